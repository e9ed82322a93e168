"""The store behind ``memory://``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from durabletask.backend.capabilities import Capabilities
from durabletask.errors import BackendClosedError, LaneFencedError
from durabletask.store import Store
from durabletask.stores.memory import lanes
from durabletask.stores.memory.clock import system_clock
from durabletask.stores.memory.commit import commit
from durabletask.stores.memory.hub import Hub, join, leave
from durabletask.stores.memory.poll import poll, unclaimed
from durabletask.stores.memory.query import find, purge, purge_idle, record
from durabletask.stores.memory.rewind import rewind
from durabletask.stores.memory.wake import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.state import OrchestrationQuery
    from durabletask.store import (
        Batch,
        CommitResult,
        InstanceRecord,
        Interest,
        LaneKey,
        LaneOptions,
        LaneStanding,
        RewoundInstance,
        Unclaimed,
        Work,
    )

__all__ = ["MemoryStore"]

_CAPABILITIES = Capabilities(name="memory", durable=False, shared=False, rewind=True, entities=True)


class MemoryStore(Store):
    """A hub in the memory of this process: fast, exact, and gone with the process.

    All stores of one name in a process open the same hub, whatever their event loops and
    threads: they see each other's writes and wake each other. The hub lives while a store of its
    name is open; the next one to be opened begins with an empty hub.

    Nothing here waits, and payloads are kept as they came, never copied.

    Parameters:
        name: of the hub.
        clock: microseconds since the Unix epoch, never backwards; None is the machine's. All
            stores of a hub run by one clock.
    """

    def __init__(self, name: str = "default", *, clock: Callable[[], int] | None = None) -> None:
        self._name = name
        self._clock = clock
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Join the hub.

        Raises:
            ConfigurationError: the hub is open and runs by another clock.
        """
        if self._hub is None:
            self._hub = join(self._name, self._clock)
            self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        hub, self._hub, self._loop = self._hub, None, None
        if hub is None:
            return
        if self._listener is not None:
            self._listener.silence()
            with hub.lock:
                hub.listeners.remove(self._listener)
            self._listener = None
        leave(hub)

    def subscribe(self, wake: Callable[[], None]) -> None:
        hub = self._opened()
        if self._loop is not None:
            self._listener = Listener(self._loop, wake)
            with hub.lock:
                hub.listeners.append(self._listener)

    def _opened(self) -> Hub:
        if self._hub is None:
            raise BackendClosedError(
                f"the memory store of hub {self._name!r} is not open: open it first, or do "
                "not use it after closing it"
            )
        return self._hub

    def _hint(self, hub: Hub) -> None:
        """Wake the other stores of the hub. The caller holds the hub's lock."""
        for listener in hub.listeners:
            if listener is not self._listener and self._loop is not None:
                listener.hint(self._loop)

    def now(self) -> int:
        if self._hub is not None:
            return self._hub.clock()
        return (self._clock or system_clock)()

    # --- lanes ---------------------------------------------------------------------------------

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        hub = self._opened()
        with hub.lock:
            opened = lanes.open_lane(hub, options)
            self._hint(hub)
        return opened

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        hub = self._opened()
        with hub.lock:
            return lanes.renew_lane(hub, lane)

    async def close_lane(self, lane: LaneKey) -> None:
        hub = self._opened()
        with hub.lock:
            lanes.close_lane(hub, lane)
            self._hint(hub)

    async def take_over(self) -> int:
        hub = self._opened()
        with hub.lock:
            ended = lanes.take_over(hub)
            if ended:
                self._hint(hub)
        return ended

    # --- work ----------------------------------------------------------------------------------

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        hub = self._opened()
        with hub.lock:
            return poll(hub, hub.lane(lane), interest)

    async def commit(self, batch: Batch) -> CommitResult:
        return self._commit(batch)

    def commit_now(self, batch: Batch) -> CommitResult | None:
        try:
            return self._commit(batch)
        except LaneFencedError:
            return None  # as ``commit`` will say

    def _commit(self, batch: Batch) -> CommitResult:
        hub = self._opened()
        with hub.lock:
            result = commit(hub, batch)
            self._hint(hub)
        return result

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        hub = self._opened()
        with hub.lock:
            return lanes.resolve(hub, batch)

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        hub = self._opened()
        with hub.lock:
            return unclaimed(hub, older_than)

    # --- reading and upkeep --------------------------------------------------------------------

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        hub = self._opened()
        with hub.lock:
            return [hub.history(*execution) for execution in executions]

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        hub = self._opened()
        with hub.lock:
            return {
                instance_id: record(row, payloads=payloads)
                for instance_id in instance_ids
                if (row := hub.instances.get(instance_id)) is not None
            }

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        hub = self._opened()
        with hub.lock:
            return find(hub, query)

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        hub = self._opened()
        with hub.lock:
            deleted = purge(hub, instance_ids, recursive=recursive)
            if deleted:
                self._hint(hub)
        return deleted

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        hub = self._opened()
        with hub.lock:
            return purge_idle(hub, instance_ids)

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        hub = self._opened()
        with hub.lock:
            done = rewind(hub, rewound)
            if done:
                self._hint(hub)
        return done
