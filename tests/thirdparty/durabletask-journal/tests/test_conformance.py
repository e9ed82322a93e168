"""The journal store keeps the contract of the core's seam 2."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from durabletask_journal import JournalStore

from durabletask.testing.conformance import StoreSuite


class TestJournalStore(StoreSuite):
    """On a clock that the tests move."""

    @pytest.fixture
    def clock(self) -> list[int]:
        """The one item is the instant."""
        return [1_800_000_000_000_000]

    @pytest.fixture
    def store_factory(
        self, tmp_path: Path, clock: list[int]
    ) -> Callable[[], Awaitable[JournalStore]]:
        """Opens the same file every time."""

        async def opened() -> JournalStore:
            store = JournalStore(str(tmp_path / "hub.log"), clock=lambda: clock[0])
            await store.open()
            return store

        return opened

    @pytest.fixture
    def advance(self, clock: list[int]) -> Callable[[float], Awaitable[None]]:
        """Nobody needs to wait."""

        async def advance(seconds: float) -> None:
            clock[0] += round(seconds * 1_000_000)

        return advance
