"""Finds due work: asks the store when something may have changed, and now and then anyway.

Hints make it quick, the slow poll makes it correct: a lost hint costs time, never work.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from durabletask.errors import BackendUnavailableError, LaneFencedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.store.api import Store
    from durabletask.store.source import StoreWorkItemSource

__all__ = ["Scout"]

_log = logging.getLogger("durabletask.store.scout")

_AFTER_FAILURE = 0.25
"""Seconds at least until the next look when one could not be had, however much is due."""


class Scout:
    """Polls the store for one work item source, one poll at a time."""

    def __init__(self, store: Store, source: StoreWorkItemSource, interval: float) -> None:
        self._store = store
        self._source = source
        self._interval = interval
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._next_due: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._handled: set[int] | None = None

    async def start(self) -> None:
        """Look once, then go on in the background."""
        await self._look()
        self._task = asyncio.create_task(self._run(), name="durabletask-scout")

    async def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def resting(self) -> bool:
        """Whether no look is under way or asked for."""
        return self._handled is None and not self._wake.is_set()

    @property
    def next_due(self) -> int | None:
        """When the next timer or delayed start becomes due, as far as the last look has told.

        It may belong to an instance that has ended since; a look at that instant finds out.
        """
        return self._next_due

    def soon(self) -> None:
        """Look as soon as possible."""
        self._wake.set()

    def due(self, at: int) -> None:
        """A timer of an owned instance becomes due at ``at`` (microseconds, store's clock)."""
        if self._next_due is None or at < self._next_due:
            self._next_due = at
            self._arm()

    def consumed(self, message_ids: Iterable[int]) -> None:
        """These messages are gone from the store.

        A poll that began before may still bring them (it reads beside the commits); ids consumed
        while it runs are remembered, so that no message is delivered twice.
        """
        if self._handled is not None:
            self._handled.update(message_ids)

    def _arm(self, least: float = 0.0) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = self._interval
        if self._next_due is not None:
            delay = min(delay, max(least, (self._next_due - self._store.now()) / 1e6))
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake.set)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._look()

    async def _look(self) -> None:
        self._wake.clear()
        lane = self._source.lane.key
        if lane is None:
            self._arm(_AFTER_FAILURE)
            return
        least = 0.0
        handled: set[int] = set()
        self._handled = handled
        try:
            work = await self._store.poll(lane, self._source.interest())
        except LaneFencedError:
            await self._source.lost(lane)
        except BackendUnavailableError as error:
            _log.warning("the store cannot be polled now: %s", error)
            least = _AFTER_FAILURE
        else:
            current = self._source.lane.key
            if current is not None and current.lane_id == lane.lane_id:
                self._next_due = work.next_due
                self._source.arrived(work, handled)
        finally:
            self._handled = None
            self._arm(least)
