"""A worker written out by hand: what a test does with a work item source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from durabletask.actions import CompleteOrchestration, ScheduleTask
from durabletask.backend import (
    ActivityWorkItem,
    Backend,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkerProfile,
)
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import PATIENCE
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

if TYPE_CHECKING:
    from durabletask.backend import WorkItem, WorkItemSource

__all__ = [
    "WAITING",
    "Taker",
    "TakerFactory",
    "TakerFixtures",
    "calls",
    "ends",
    "first_of",
    "profile",
]

WAITING = OrchestrationResult([])
"""Of a turn that asked for nothing and waits on."""


def profile(**changed: Any) -> WorkerProfile:
    """A worker that knows the orchestration "o" and the activity "a"."""
    settings: dict[str, Any] = {
        "orchestrations": {"o": "code"},
        "activities": frozenset({"a"}),
        "max_orchestrations": 10,
        "max_activities": 10,
        **changed,
    }
    return WorkerProfile(**settings)


def calls(*task_ids: int, name: str = "a") -> OrchestrationResult:
    """A turn that called activities."""
    return OrchestrationResult([ScheduleTask(number, name, str(number)) for number in task_ids])


def ends(result: str | None = None) -> OrchestrationResult:
    """A turn that returned."""
    return OrchestrationResult([CompleteOrchestration(OrchestrationStatus.COMPLETED, result)])


class Taker:
    """What a worker does with its source, by hand."""

    def __init__(self, source: WorkItemSource) -> None:
        self.source = source
        self._taken: list[WorkItem] = []
        self._receiving: asyncio.Future[list[WorkItem]] | None = None

    async def next(self, patience: float = PATIENCE) -> WorkItem | None:
        """The next item, or None if there is none for so many seconds."""
        if not self._taken:
            if self._receiving is None:
                self._receiving = asyncio.ensure_future(self.source.receive())
            done, _ = await asyncio.wait([self._receiving], timeout=patience)
            if not done:
                return None
            self._taken += self._receiving.result()
            self._receiving = None
            assert self._taken, "the source was not told to stop"
        return self._taken.pop(0)

    async def turn(self) -> OrchestrationWorkItem:
        """The next item, which must be a turn."""
        item = await self.next()
        assert isinstance(item, OrchestrationWorkItem)
        return item

    async def activity(self) -> ActivityWorkItem:
        """The next item, which must be an activity."""
        item = await self.next()
        assert isinstance(item, ActivityWorkItem)
        return item

    async def rests(self) -> bool:
        """Whether nothing is handed out for a while."""
        return await self.next(0.1) is None

    async def close(self) -> None:
        """Give everything back."""
        await self.source.drain(0)
        if self._receiving is not None:
            assert await asyncio.wait_for(self._receiving, PATIENCE) == []


async def first_of(*takers: Taker) -> tuple[Taker, WorkItem]:
    """The next item that any of these gets, and who got it."""
    for _ in range(round(PATIENCE / 0.05)):
        for taker in takers:
            item = await taker.next(0.05)
            if item is not None:
                return taker, item
    raise AssertionError("nobody got anything")


TakerFactory = Callable[..., Awaitable[Taker]]
"""Opens a work item source; the fields of its profile can be given by name."""


class TakerFixtures(BackendFixtures):
    """Base of the suites that take work items themselves."""

    @pytest_asyncio.fixture
    async def open_taker(self, backend: Backend) -> AsyncIterator[TakerFactory]:
        """Opens work item sources, and drains them after the test."""
        opened: list[Taker] = []

        async def open_taker(home: Backend = backend, **changed: Any) -> Taker:
            opened.append(Taker(await home.open_worker(profile(**changed))))
            return opened[-1]

        yield open_taker
        for taker in opened:
            await taker.close()
