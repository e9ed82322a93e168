"""The memory store keeps the contract of seam 2."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from durabletask.errors import UnknownCommitError
from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance import StoreSuite

if TYPE_CHECKING:
    from durabletask.store import Batch, CommitResult, Store
    from durabletask.testing.conformance.store import Advance, CommitBreaker, StoreFactory

_names = itertools.count()


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1_000_000)


class ForgetfulStore(MemoryStore):
    """Loses the answer of a commit on request, as a broken connection would."""

    def __init__(self, name: str, clock: ManualClock | None) -> None:
        super().__init__(name, clock=clock)
        self.lose_next: bool | None = None

    async def commit(self, batch: Batch) -> CommitResult:
        applied, self.lose_next = self.lose_next, None
        if applied is False:
            raise UnknownCommitError("the request was lost")
        result = await super().commit(batch)
        if applied:
            raise UnknownCommitError("the answer was lost")
        return result


def lose_next_commit(store: Store, applied: bool) -> None:
    """Let the next commit of the store end in UnknownCommitError."""
    assert isinstance(store, ForgetfulStore)
    store.lose_next = applied


def factory(name: str, clock: ManualClock | None) -> StoreFactory:
    """Gives opened stores of the hub of this name."""

    async def opened() -> Store:
        store = ForgetfulStore(name, clock)
        await store.open()
        return store

    return opened


class TestMemoryStore(StoreSuite):
    """On a clock of its own; any number of stores may open a hub."""

    opens_twice = True

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def advance(self, clock: ManualClock) -> Advance:
        return clock.advance

    @pytest.fixture
    def commit_breaker(self) -> CommitBreaker:
        return lose_next_commit

    @pytest.fixture
    def store_factory(self, clock: ManualClock) -> StoreFactory:
        return factory(f"conformance-{next(_names)}", clock)

    @pytest.fixture
    def neighbour_factory(self, clock: ManualClock) -> StoreFactory:
        return factory(f"neighbour-{next(_names)}", clock)


class TestMemoryStoreInRealTime(StoreSuite):
    """On the machine's clock, with no more fixtures than an author must write."""

    opens_twice = True

    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return factory(f"real-time-{next(_names)}", None)
