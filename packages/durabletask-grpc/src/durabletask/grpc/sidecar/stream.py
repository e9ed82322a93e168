"""One worker's stream of work items."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem, EntityWorkItem, OrchestrationWorkItem

if TYPE_CHECKING:
    from durabletask.backend import WorkItem, WorkItemSource
    from durabletask.grpc.sidecar.delivery import Delivery
    from durabletask.grpc.sidecar.filters import WorkItemFilter

__all__ = ["WorkStream"]


class WorkStream:
    """What one GetWorkItems call gets, within its limits.

    Attributes:
        source: the worker's own source; what others refuse may come from another one.
        filter: what the worker takes.
        is_ours: the worker is of this library. It keeps orchestrations between turns and asks for
            history only if not, and takes the numbers of requests for what they say.
        streams_history: the worker can fetch long histories itself.
        is_open: items may still be sent.
    """

    def __init__(
        self,
        source: WorkItemSource,
        filter: WorkItemFilter,
        *,
        max_turns: int,
        max_activities: int,
        max_entities: int,
        is_ours: bool,
        streams_history: bool,
    ) -> None:
        self.source = source
        self.filter = filter
        self.is_ours = is_ours
        self.streams_history = streams_history
        self.is_open = True
        self._limits: dict[type[WorkItem], int] = {
            OrchestrationWorkItem: max_turns,
            EntityWorkItem: max_entities,
            ActivityWorkItem: max_activities,
        }
        self._out = dict.fromkeys(self._limits, 0)
        self._pending: dict[type[WorkItem], deque[Delivery]] = {
            kind: deque() for kind in self._limits
        }
        self._wake: asyncio.Future[None] | None = None
        self._ended = False

    def takes(self, delivery: Delivery) -> bool:
        """Whether the worker takes this item now or later."""
        return self.is_open and self.filter.accepts(delivery.item)

    @property
    def load(self) -> int:
        """Items sent or waiting."""
        return sum(self._out.values()) + sum(map(len, self._pending.values()))

    def put(self, delivery: Delivery) -> None:
        """Send an item as soon as the limits allow."""
        delivery.stream = self
        self._pending[type(delivery.item)].append(delivery)
        self._notify()

    def came_back(self, delivery: Delivery) -> None:
        """An item that was sent is no longer out."""
        kind = type(delivery.item)
        self._out[kind] -= 1
        if self._pending[kind]:
            self._notify()

    def end(self) -> None:
        """Let ``next`` give None, so that the call ends."""
        self._ended = True
        self._notify()

    def close(self) -> list[Delivery]:
        """Send no more; returns what was waiting to be sent."""
        self.is_open = False
        waiting = [delivery for pending in self._pending.values() for delivery in pending]
        for pending in self._pending.values():
            pending.clear()
        return waiting

    async def next(self, patience: float) -> list[Delivery] | None:
        """What is to be sent now, empty after ``patience`` seconds; None when the stream ends."""
        loop = asyncio.get_running_loop()
        while not self._ended:
            ready = self._take()
            if ready:
                return ready
            self._wake = loop.create_future()
            await asyncio.wait([self._wake], timeout=patience)
            if not self._wake.done():
                return []
        return None

    def _take(self) -> list[Delivery]:
        ready: list[Delivery] = []
        for kind, pending in self._pending.items():
            room = self._limits[kind] - self._out[kind]
            while pending and room > 0:
                ready.append(pending.popleft())
                room -= 1
                self._out[kind] += 1
        return ready

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
