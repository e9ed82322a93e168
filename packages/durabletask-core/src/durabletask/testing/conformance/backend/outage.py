"""Backends that can be cut off from their store, as a broken network or a dead worker would be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from durabletask.backend import Backend
from durabletask.errors import BackendUnavailableError
from durabletask.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.backend import Capabilities
    from durabletask.state import OrchestrationQuery
    from durabletask.store import (
        Batch,
        CommitResult,
        InstanceRecord,
        Interest,
        LaneKey,
        LaneOptions,
        LaneStanding,
        Unclaimed,
        Work,
    )

__all__ = ["LEASE", "FragileFactory", "FragileStore", "Outage"]


class Outage(Protocol):
    """The connection of one backend object to what it keeps its instances in."""

    def begin(self) -> None:
        """From now on nothing reaches the store, and nothing comes back."""

    def end(self) -> None:
        """Everything works again."""


FragileFactory = Callable[[], Awaitable[tuple[Backend, Outage]]]
"""Gives, at every call, another opened Backend of the hub of ``backend_factory``, and its outage.

A worker that is cut off must lose its work to others within :data:`LEASE` seconds or so, and what
it died with is to be set aside after a few such deaths, without long waits in between.
"""

LEASE = 0.4
"""Seconds; the lease that fragile backends are to have."""


class FragileStore(Store):
    """Passes everything on to another store, except during an outage.

    Then every call fails with BackendUnavailableError before it reaches the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_down = False

    def begin(self) -> None:
        """Cut the connection."""
        self._is_down = True

    def end(self) -> None:
        """Mend the connection."""
        self._is_down = False

    def _reach(self) -> Store:
        if self._is_down:
            raise BackendUnavailableError("the store cannot be reached: the test cut it off")
        return self._store

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    async def open(self) -> None:
        await self._reach().open()

    async def close(self) -> None:
        await self._store.close()

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._store.subscribe(wake)

    def now(self) -> int:
        return self._store.now()

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        return await self._reach().open_lane(options)

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        return await self._reach().renew_lane(lane)

    async def close_lane(self, lane: LaneKey) -> None:
        await self._reach().close_lane(lane)

    async def take_over(self) -> int:
        return await self._reach().take_over()

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        return await self._reach().poll(lane, interest)

    async def commit(self, batch: Batch) -> CommitResult:
        return await self._reach().commit(batch)

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        return await self._reach().resolve(batch)

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        return await self._reach().unclaimed(older_than)

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        return await self._reach().read_history(executions)

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        return await self._reach().get_instances(instance_ids, payloads=payloads)

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        return await self._reach().query_instances(query)

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        return await self._reach().purge_instances(instance_ids, recursive=recursive)
