"""The memory store keeps the contract of seam 2."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance import StoreSuite

if TYPE_CHECKING:
    from durabletask.store import Store
    from durabletask.testing.conformance.store import Advance, StoreFactory

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
    def store_factory(self, clock: ManualClock) -> StoreFactory:
        name = f"conformance-{next(_names)}"

        async def opened() -> Store:
            store = MemoryStore(name, clock=clock)
            await store.open()
            return store

        return opened
