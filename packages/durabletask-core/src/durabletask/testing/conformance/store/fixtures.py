"""What every suite of this kit stands on: the fixtures an author overrides, and those they feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import ClassVar

import pytest
import pytest_asyncio

from durabletask.store import Store

__all__ = ["Advance", "CommitBreaker", "StoreFactory", "StoreFixtures"]

StoreFactory = Callable[[], Awaitable[Store]]
"""Gives another opened store object of one and the same hub at every call."""

Advance = Callable[[float], Awaitable[None]]
"""Lets at least so many seconds pass by the store's clock."""

CommitBreaker = Callable[[Store, bool], None]
"""Lets the next commit of a store raise UnknownCommitError, after applying it or without."""


class StoreFixtures:
    """Base of all suites. Override ``store_factory``; the others have defaults.

    ``opens_twice`` says whether one hub can be opened by two store objects of this process at a
    time, as two processes would. None means: if the store declares ``shared``.
    """

    opens_twice: ClassVar[bool | None] = None

    needs: ClassVar[str | None] = None
    """The capability without which a suite's tests are skipped."""

    @pytest.fixture(autouse=True)
    def gate(self, request: pytest.FixtureRequest, store: Store) -> None:
        """Skip the test if the suite that defines it needs what the store lacks."""
        # Several suites share one class here, so the attribute is looked up where the test is.
        test: str = request.function.__name__
        suite = next(base for base in type(self).__mro__ if test in vars(base))
        capability: str | None = vars(suite).get("needs")
        if capability is not None:
            self.require(store, capability)

    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        """Override: an async function that gives opened stores of one hub, fresh per test.

        The kit closes what the function gave, before this fixture is torn down.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override the fixture store_factory: return an async "
            "function that gives an opened Store of the same fresh hub at every call"
        )

    @pytest.fixture
    def advance(self) -> Advance:
        """Override for a store whose clock tests can move; the default really waits."""
        return asyncio.sleep

    @pytest.fixture
    def neighbour_factory(self) -> StoreFactory | None:
        """Override: like ``store_factory`` for another hub of the same database."""
        return None

    @pytest.fixture
    def commit_breaker(self) -> CommitBreaker | None:
        """Override for a store that can lose the answer of a commit on request."""
        return None

    @pytest_asyncio.fixture
    async def open_store(self, store_factory: StoreFactory) -> AsyncIterator[StoreFactory]:
        """Opens stores of the hub and closes them after the test."""
        opened: list[Store] = []

        async def open_store() -> Store:
            opened.append(await store_factory())
            return opened[-1]

        yield open_store
        for store in reversed(opened):
            await store.close()

    @pytest_asyncio.fixture
    async def store(self, open_store: StoreFactory) -> Store:
        """A store of the hub."""
        return await open_store()

    @pytest_asyncio.fixture
    async def other_store(self, store: Store, open_store: StoreFactory) -> Store:
        """A second store of the hub if it can have two at a time, else the first."""
        if self.can_open_twice(store):
            return await open_store()
        return store

    def can_open_twice(self, store: Store) -> bool:
        """Whether two store objects of this process may use the hub at a time."""
        return store.capabilities.shared if self.opens_twice is None else self.opens_twice

    @staticmethod
    def require(store: Store, capability: str) -> None:
        """Skip the test if the store declares that it lacks ``capability``."""
        if not getattr(store.capabilities, capability):
            pytest.skip(f"the {store.capabilities.name} store declares {capability}=False")
