"""The worker's loop: receive, run, receive again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem, OrchestrationWorkItem

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import EntityWorkItem, WorkItem, WorkItemSource
    from durabletask.worker.activities import ActivityRunner
    from durabletask.worker.entities import EntityRunner
    from durabletask.worker.turns import TurnRunner

__all__ = ["WorkerLoop"]

_log = logging.getLogger("durabletask.worker")

_SLICE = 0.002
"""Seconds of uninterrupted work before the event loop's other tasks get a turn."""


class WorkerLoop:
    """Runs what a source delivers, with as few asyncio tasks as possible.

    Most short activities never suspend, and a task for each would cost more than the activity. So
    one task receives work and runs everything itself: turns, and async activities and entities up
    to their first real wait. When one of these does wait, that task stays with it, and a new task
    takes over the loop: it passes the baton. There are as many tasks as activities and entities
    that wait, plus one.

    Invariant: exactly one task holds the baton, and only the holder receives and takes from the
    queue. Whoever passes it on does nothing more than to finish its one item.
    """

    def __init__(
        self,
        source: WorkItemSource,
        turns: TurnRunner,
        activities: ActivityRunner,
        entities: EntityRunner,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._turns = turns
        self._activities = activities
        self._entities = entities
        self._clock = clock
        self._queue: deque[ActivityWorkItem | EntityWorkItem] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Begin to receive."""
        self._pass_baton()

    @property
    def ended(self) -> asyncio.Future[None]:
        """Done when the source has been drained, or when the loop broke. Not to be cancelled."""
        return self._ended

    @property
    def error(self) -> BaseException | None:
        """What broke the loop, or None."""
        if not self._ended.done() or self._ended.cancelled():
            return None
        return self._ended.exception()

    async def close(self) -> None:
        """Cancel what still waits; it is abandoned and runs again elsewhere."""
        self._activities.closing = self._entities.closing = True
        for item in self._queue:
            self._source.abandon(item)
        self._queue.clear()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._ended.done():
            self._ended.set_result(None)

    def _pass_baton(self) -> None:
        task = asyncio.get_running_loop().create_task(self._hold(), name="durabletask-worker")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(self) -> None:
        try:
            await self._run()
        except Exception as error:
            _log.critical("the worker's loop broke; it takes no more work", exc_info=error)
            if not self._ended.done():
                self._ended.set_exception(error)
                self._ended.exception()  # logged above; nobody need ask for it

    async def _run(self) -> None:
        clock = self._clock
        began = clock()
        while True:
            if not self._queue:
                items = await self._source.receive()
                if not items:
                    self._ended.set_result(None)
                    return
                self._take(items)
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, ActivityWorkItem):
                    waiting = self._activities.start(item)
                    if waiting is not None:
                        self._pass_baton()
                        await self._activities.finish(item, waiting)
                        return
                else:
                    waiting = self._entities.start(item)
                    if waiting is not None:
                        self._pass_baton()
                        await self._entities.finish(item, waiting)
                        return
                if clock() - began > _SLICE:
                    break
            if clock() - began > _SLICE:
                await asyncio.sleep(0)
                began = clock()

    def _take(self, items: list[WorkItem]) -> None:
        """Run the turns, which never wait, and queue the rest."""
        unloaded: list[OrchestrationWorkItem] = []
        for item in items:
            if not isinstance(item, OrchestrationWorkItem):
                self._queue.append(item)
            elif not self._turns.start(item):
                unloaded.append(item)
        if unloaded:
            self._turns.replay(unloaded)
