"""The store: the core's memory store, and a journal of what was done to it."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.backend import Capabilities
from durabletask.errors import BackendClosedError, DurableTaskError
from durabletask.store import Batch, Interest, LaneKey, LaneOptions, Store
from durabletask.stores.memory import MemoryStore
from durabletask_journal.journal import Journal
from durabletask_journal.options import JournalOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.state import OrchestrationQuery
    from durabletask.store import CommitResult, InstanceRecord, LaneStanding, Unclaimed, Work

__all__ = ["JournalStore"]

CAPABILITIES = Capabilities(name="journal", shared=False, entities=True)

ARGUMENTS: dict[str, Any] = {
    "open_lane": tuple[LaneOptions],
    "renew_lane": tuple[LaneKey],
    "close_lane": tuple[LaneKey],
    "take_over": tuple[()],
    "poll": tuple[LaneKey, Interest],
    "commit": tuple[Batch],
    "resolve": tuple[Batch],
    "purge_instances": tuple[list[str], bool],
    "purge_idle": tuple[list[str]],
}
"""The verbs that change a hub, and the types of what they are called with."""


def system_clock() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


class JournalStore(Store):
    """One task hub in one file, used by one process at a time.

    Args:
        path: of the file; it is created if there is none.
        clock: microseconds since the Unix epoch.
    """

    def __init__(
        self,
        path: str,
        options: JournalOptions | None = None,
        *,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        self._path = path
        self._options = options or JournalOptions()
        self._clock = clock
        self._instant = 0
        self._parts: tuple[Journal, MemoryStore] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def now(self) -> int:
        return max(self._clock(), self._instant)

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        if self._parts is not None:
            return
        journal = Journal.open(self._path, sync=self._options.sync)
        # Memory stores of one name share a hub, so each opening gets a name of its own.
        memory = MemoryStore(uuid.uuid4().hex, clock=lambda: self._instant)
        await memory.open()
        try:
            for call in journal.calls():
                self._instant = call.at
                arguments = msgspec.json.decode(call.arguments, type=ARGUMENTS[call.verb])
                await self._try_again(memory, call.verb, arguments)
        except BaseException:
            journal.close()
            await memory.close()
            raise
        self._parts = journal, memory

    async def _try_again(self, memory: MemoryStore, verb: str, arguments: Any) -> None:
        try:
            await apply(memory, verb, arguments)
        except DurableTaskError:
            # It failed the first time too, and changed nothing.
            pass

    async def close(self) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            journal, memory = parts
            journal.close()
            await memory.close()

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Nobody else writes, so there is nothing to tell."""

    async def _call(self, verb: str, *arguments: object) -> Any:
        """Write the call down, then make it. Without a pause in between, so in that order."""
        journal, memory = self._opened()
        journal.write(self._instant, verb, arguments)
        return await apply(memory, verb, arguments)

    def _look(self) -> MemoryStore:
        return self._opened()[1]

    def _opened(self) -> tuple[Journal, MemoryStore]:
        if self._parts is None:
            raise BackendClosedError(f"the journal {self._path!r} is not open: open it first")
        self._instant = self.now()
        return self._parts

    # --- what changes the hub ------------------------------------------------------------------

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        answer: tuple[LaneKey, LaneStanding] = await self._call("open_lane", options)
        return answer

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        answer: LaneStanding = await self._call("renew_lane", lane)
        return answer

    async def close_lane(self, lane: LaneKey) -> None:
        await self._call("close_lane", lane)

    async def take_over(self) -> int:
        answer: int = await self._call("take_over")
        return answer

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        answer: Work = await self._call("poll", lane, interest)
        return answer

    async def commit(self, batch: Batch) -> CommitResult:
        answer: CommitResult = await self._call("commit", batch)
        return answer

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        answer: tuple[LaneKey, CommitResult | None] = await self._call("resolve", batch)
        return answer

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        answer: int = await self._call("purge_instances", list(instance_ids), recursive)
        return answer

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        answer: int = await self._call("purge_idle", list(instance_ids))
        return answer

    # --- what only looks -----------------------------------------------------------------------

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        return await self._look().unclaimed(older_than)

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        return await self._look().read_history(executions)

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        return await self._look().get_instances(instance_ids, payloads=payloads)

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        return await self._look().query_instances(query)


async def apply(memory: MemoryStore, verb: str, arguments: tuple[Any, ...]) -> Any:
    """Make a call of the memory store."""
    if verb == "purge_instances":
        instance_ids, recursive = arguments
        return await memory.purge_instances(instance_ids, recursive=recursive)
    return await getattr(memory, verb)(*arguments)
