"""The store as a simulated process sees it: beyond a network, and not always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.store import Store
from durabletask.testing.simulation.server import ProcessDeath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    from durabletask.testing.simulation.server import Server
    from durabletask.testing.simulation.world import Process

__all__ = ["ProcessDeath", "SimulatedStore"]


class SimulatedStore(Store):
    """Passes every call on to the server, which decides when it arrives and what comes back.

    Args:
        server: the store model.
        process: who calls.
        embedded: the store is a library in the process, as SQLite is: no call travels, the time
            is known exactly, and commits can be made at once.
    """

    def __init__(self, server: Server, process: Process, *, embedded: bool) -> None:
        self._server = server
        self._process = process
        self._embedded = embedded

    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return await self._server.call(self._process, verb, arguments, options)

    @property
    def capabilities(self) -> Capabilities:
        return self._server.capabilities

    def now(self) -> int:
        skew = 0 if self._embedded else self._process.skew
        return self._server.now + skew

    async def open(self) -> None:
        self._server.join(self._process, embedded=self._embedded)

    async def close(self) -> None:
        self._server.leave(self._process)

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._server.subscribe(self._process, wake)

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        opened: tuple[LaneKey, LaneStanding] = await self._call("open_lane", options)
        return opened

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        standing: LaneStanding = await self._call("renew_lane", lane)
        return standing

    async def close_lane(self, lane: LaneKey) -> None:
        await self._call("close_lane", lane)

    async def take_over(self) -> int:
        ended: int = await self._call("take_over")
        return ended

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        work: Work = await self._call("poll", lane, interest)
        return work

    async def commit(self, batch: Batch) -> CommitResult:
        result: CommitResult = await self._call("commit", batch)
        return result

    def commit_now(self, batch: Batch) -> CommitResult | None:
        if not self._embedded:
            return None
        return self._server.commit_now(self._process, batch)

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        resolved: tuple[LaneKey, CommitResult | None] = await self._call("resolve", batch)
        return resolved

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        waiting: list[Unclaimed] = await self._call("unclaimed", older_than)
        return waiting

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        histories: list[list[bytes]] = await self._call("read_history", executions)
        return histories

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        rows: dict[str, InstanceRecord] = await self._call(
            "get_instances", instance_ids, payloads=payloads
        )
        return rows

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        page: tuple[list[InstanceRecord], str | None] = await self._call("query_instances", query)
        return page

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        deleted: int = await self._call("purge_instances", instance_ids, recursive=recursive)
        return deleted
