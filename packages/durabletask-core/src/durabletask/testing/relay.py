"""A store that passes everything on to another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from durabletask.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

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

__all__ = ["StoreRelay"]


class StoreRelay(Store):
    """Sends every call that reads or writes through one method, where anything may befall it."""

    @abstractmethod
    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        """Make the call of this name, or whatever happens instead."""

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

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        deleted: int = await self._call("purge_idle", instance_ids)
        return deleted

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        done: bool = await self._call("rewind_instances", rewound)
        return done
