"""A task hub in memory whose time is virtual, and that knows when nothing more can happen."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, cast

from durabletask.store import StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore

if TYPE_CHECKING:
    from durabletask.backend import WorkerProfile, WorkItemSource
    from durabletask.store.source import StoreWorkItemSource
    from durabletask.testing.clock import VirtualClock

__all__ = ["VirtualHub"]

_FOR_EVER = 1e10
"""Seconds, some 300 years: leases must outlast the time that tests let pass."""

_numbers = itertools.count(1)


class VirtualHub(StoreBackend):
    """The storage backend as it is in production, on a hub of its own, for one worker.

    What it takes for random is the same at every run.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._memory = MemoryStore(f"testing-{next(_numbers)}", clock=clock)
        self._source: StoreWorkItemSource | None = None
        options = StoreOptions(lease=_FOR_EVER, client_lease=_FOR_EVER, poll_interval=3600.0)
        super().__init__(self._memory, options, chance=random.Random(0))

    async def open_worker(self, profile: WorkerProfile) -> WorkItemSource:
        source = await super().open_worker(profile)
        self._source = cast("StoreWorkItemSource", source)
        return source

    @property
    def resting(self) -> bool:
        """Whether nothing will happen until time passes or a client asks for something."""
        return self._source is None or self._source.resting

    @property
    def next_due(self) -> int | None:
        """When the next timer or delayed start is due, or None. Exact while resting."""
        return None if self._source is None else self._source.scout.next_due

    def move_to(self, instant: int) -> None:
        """Let time pass, and have the worker look what has become due."""
        self._clock.move_to(instant)
        if self._source is not None:
            self._source.scout.soon()

    async def check_names(self) -> None:
        """Raise if something is called that the worker does not know.

        Raises:
            ActivityNotRegisteredError, OrchestrationNotRegisteredError, EntityNotRegisteredError:
                with what it does know.
        """
        for work in await self._memory.unclaimed(0):
            raise self._hub.not_registered(work.kind, work.name)
