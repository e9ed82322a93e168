"""Seam 1 on top of seam 2: the backend that every store gets for nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from durabletask.backend import Backend, ReusePolicy, StartRequest
from durabletask.entities import EntityId, is_entity
from durabletask.errors import (
    BackendClosedError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
    OrchestrationStateError,
)
from durabletask.history import (
    EntityOperationSignaled,
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    decode_history,
    encode_event,
)
from durabletask.limits import (
    check_instance_id,
    check_payload,
    check_reason,
    check_text,
    checked_tags,
    is_storable,
    may_match,
)
from durabletask.state import FINISHED, OrchestrationQuery, Page, PurgeResult
from durabletask.store.batch import Message, NewInstance
from durabletask.store.channel import ClientChannel
from durabletask.store.entity_reader import EntityReader
from durabletask.store.entity_turns import new_entity
from durabletask.store.hub import Hub
from durabletask.store.identity import CHANCE, new_execution_id, new_instance_id
from durabletask.store.instance import OwnedInstance
from durabletask.store.options import StoreOptions
from durabletask.store.rewinding import rewind_instance
from durabletask.store.source import StoreWorkItemSource
from durabletask.store.view import state_of_record

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable

    from durabletask.backend import Capabilities, WorkerProfile, WorkItemSource
    from durabletask.entities import EntityPage, EntityQuery, EntityState
    from durabletask.state import OrchestrationState, OrchestrationStatus
    from durabletask.store.api import Store
    from durabletask.store.lane import Lane

__all__ = ["StoreBackend"]

_PURGED_AT_ONCE = 500


class StoreBackend(Backend):
    """Runs orchestrations on any :class:`Store`.

    Args:
        store: not open yet; the backend opens and closes it.
        options: how it keeps its leases and looks for work.
        chance: makes ids and spreads retries; a seeded one makes them repeatable.

    Example::

        backend = StoreBackend(SQLiteStore("orders.db"))
        async with TaskHubWorker(backend=backend) as worker: ...
    """

    def __init__(
        self,
        store: Store,
        options: StoreOptions | None = None,
        *,
        chance: random.Random = CHANCE,
    ) -> None:
        self._options = options or StoreOptions()
        self._chance = chance
        self._hub = Hub(store, self._options, chance)
        self._store = store
        self._entities = EntityReader(store)
        self._opened = False
        # What this class makes of the verbs that every store has.
        self._capabilities = msgspec.structs.replace(store.capabilities, restart=True)
        self._opening = asyncio.Lock()
        self._channel: ClientChannel | None = None

    def __repr__(self) -> str:
        return f"StoreBackend({self._store!r})"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        async with self._opening:
            if not self._opened:
                await self._store.open()
                # A new event loop, new waiters.
                self._hub = Hub(self._store, self._options, self._chance)
                self._store.subscribe(self._hub.woken)
                self._opened = True

    async def close(self) -> None:
        async with self._opening:
            if not self._opened:
                return
            self._opened = False
            for source in [*self._hub.sources]:
                await source.drain(0)
            if self._channel is not None:
                await self._channel.lane.close()
                self._channel = None
            self._hub.waiters.fail(BackendClosedError("the backend was closed during the wait"))
            await self._hub.waiters.close()
            await self._store.close()

    async def migrate(self) -> str:
        return await self._store.migrate()

    def _check_open(self) -> None:
        if not self._opened:
            raise BackendClosedError(
                f"the {self.capabilities.name} backend is not open: use it inside `async with`, "
                "or call open() first and close() last"
            )

    def _check_may_exist(self, instance_id: str) -> None:
        if is_entity(instance_id) or not is_storable(instance_id):
            raise InstanceNotFoundError(instance_id)

    # --- client half: starting and signalling --------------------------------------------------

    def _new_instance(self, request: StartRequest, now: int, *, owned: bool) -> NewInstance:
        """The row of a new instance. Raises as ``create_instance`` for what cannot be stored."""
        check_text(request.name, "the name of an orchestration")
        if request.version:
            check_text(request.version, "the version of an orchestration")
        if request.tags is not None:
            checked_tags(request.tags)
        limit = self.capabilities.max_payload_bytes
        check_payload(request.input, f"the input of orchestration {request.name!r}", limit)
        replace = _replaceable(request.reuse.replace) if request.reuse.replace else frozenset()
        if request.instance_id is not None:
            check_instance_id(request.instance_id)
        return NewInstance(
            instance_id=request.instance_id or new_instance_id(self._chance),
            execution_id=new_execution_id(now, self._chance),
            name=request.name,
            version=request.version,
            input=request.input,
            tags=request.tags,
            created_at=now,
            start_at=request.start_at or 0,
            owned=owned,
            replace=replace,
        )

    async def create_instance_within(self, request: StartRequest, connection: object) -> str:
        self._check_open()
        self.capabilities.require("transactional_start")
        row = self._new_instance(request, self._store.now(), owned=False)
        if not await self._store.create_within(row, connection) and not request.reuse.ignore:
            raise InstanceAlreadyExistsError(row.instance_id)
        return row.instance_id

    async def create_instance(self, request: StartRequest) -> str:
        self._check_open()
        now = self._store.now()
        source = self._eager_source(request, now)
        row = self._new_instance(request, now, owned=source is not None)
        lane = source.lane if source is not None else await self._client_lane()
        created: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        lane.pending.creates.append(row)
        lane.pending.create_futures.append(created)
        if source is not None and request.instance_id is None:
            # Eager start: an id made here cannot be taken, so the first turn runs at once and
            # mostly shares the commit that creates the instance. Its effects wait for it anyway.
            source.holdings.adopt(OwnedInstance.created(row))
        lane.kick()
        if not await created and not request.reuse.ignore:
            raise InstanceAlreadyExistsError(row.instance_id)
        return row.instance_id

    def _eager_source(self, request: StartRequest, now: int) -> StoreWorkItemSource | None:
        if request.start_at is not None and request.start_at > now:
            return None
        for source in self._hub.sources:
            if source.has_room_for(request.name, request.version):
                return source
        return None

    async def _client_lane(self) -> Lane:
        for source in self._hub.sources:
            if not source.draining:
                return source.lane
        if self._channel is None:
            async with self._opening:
                self._check_open()
                if self._channel is None:
                    channel = ClientChannel(self._hub)
                    await channel.lane.open()
                    self._channel = channel
        return self._channel.lane

    async def _send(
        self, instance_id: str, event: HistoryEvent, *, urgent: bool = False, unpark: bool = False
    ) -> None:
        self._check_open()
        # An entity can be set aside like any instance, and so be released.
        if not (unpark and not urgent and is_entity(instance_id)):
            self._check_may_exist(instance_id)
        lane = await self._client_lane()
        sent: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        lane.pending.messages.append(
            Message(instance_id, encode_event(event), urgent=urgent, unpark=unpark)
        )
        lane.pending.message_futures.append(sent)
        lane.kick()
        if not await sent:
            raise InstanceNotFoundError(instance_id)

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        check_text(name, "the name of an event")
        check_payload(data, f"the data of event {name!r}", self.capabilities.max_payload_bytes)
        await self._send(instance_id, EventRaised(name, data))

    async def suspend_instance(self, instance_id: str, reason: str | None) -> None:
        check_reason(reason, "the reason of a suspension", self.capabilities.max_payload_bytes)
        await self._send(instance_id, ExecutionSuspended(reason))

    async def resume_instance(self, instance_id: str, reason: str | None) -> None:
        check_reason(reason, "the reason of a resumption", self.capabilities.max_payload_bytes)
        await self._send(instance_id, ExecutionResumed(reason), unpark=True)

    async def terminate_instance(
        self, instance_id: str, output: str | None, *, recursive: bool
    ) -> None:
        check_payload(output, "the output of a termination", self.capabilities.max_payload_bytes)
        await self._send(
            instance_id, ExecutionTerminated(output, recursive), urgent=True, unpark=True
        )

    # --- client half: reading ------------------------------------------------------------------

    async def get_instance(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        self._check_open()
        if is_entity(instance_id) or not is_storable(instance_id):
            return None
        if fetch_payloads:
            return await self._hub.reader.get(instance_id)
        rows = await self._store.get_instances([instance_id], payloads=False)
        row = rows.get(instance_id)
        return None if row is None else state_of_record(row)

    # These two hand the coroutine through instead of wrapping it in another.

    def wait_for_start(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        self._check_open()
        self._check_may_exist(instance_id)
        return self._hub.waiters.wait(instance_id, timeout, for_completion=False)

    def wait_for_completion(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        self._check_open()
        self._check_may_exist(instance_id)
        return self._hub.waiters.wait(instance_id, timeout, for_completion=True)

    async def query_instances(self, query: OrchestrationQuery) -> Page:
        self._check_open()
        if not 1 <= query.page_size <= 10_000:
            raise InvalidRequestError(
                f"page_size must be between 1 and 10,000, not {query.page_size}"
            )
        if is_entity(query.instance_id_prefix or "") or not may_match(query):
            return Page([], None)
        rows, token = await self._store.query_instances(query)
        return Page([state_of_record(row) for row in rows], token)

    async def get_history(self, instance_id: str) -> list[HistoryEvent]:
        self._check_open()
        self._check_may_exist(instance_id)
        rows = await self._store.get_instances([instance_id], payloads=False)
        row = rows.get(instance_id)
        if row is None:
            raise InstanceNotFoundError(instance_id)
        [chunks] = await self._store.read_history([(instance_id, row.execution_id)])
        return decode_history(chunks)

    # --- client half: purging ------------------------------------------------------------------

    async def purge_instances(
        self, target: str | OrchestrationQuery, *, recursive: bool
    ) -> PurgeResult:
        self._check_open()
        if isinstance(target, str):
            if is_entity(target) or not is_storable(target):
                return PurgeResult(0)
            return PurgeResult(await self._store.purge_instances([target], recursive=recursive))
        finished = (target.statuses or FINISHED) & FINISHED
        if not finished or is_entity(target.instance_id_prefix or "") or not may_match(target):
            return PurgeResult(0)
        # Each round deletes the page it read, so reading starts at the beginning again; small
        # rounds keep every transaction short.
        page = msgspec.structs.replace(
            target,
            statuses=finished,
            page_size=_PURGED_AT_ONCE,
            continuation_token=None,
            fetch_payloads=False,
        )
        deleted = 0
        while True:
            rows, _ = await self._store.query_instances(page)
            if not rows:
                return PurgeResult(deleted)
            ids = [row.instance_id for row in rows]
            gone = await self._store.purge_instances(ids, recursive=recursive)
            deleted += gone
            if not gone:
                return PurgeResult(deleted)

    # --- client half: running again ------------------------------------------------------------

    async def restart_instance(self, instance_id: str, *, new_id: bool) -> str:
        former = await self.get_instance(instance_id)
        if former is None:
            raise InstanceNotFoundError(instance_id)
        if not former.runtime_status.is_finished:
            raise OrchestrationStateError(
                f"orchestration {instance_id!r} is {former.runtime_status.value}; only a finished "
                "one can be restarted, so terminate it first"
            )
        # If the instance is purged or replaced meanwhile, this is a start like any other, and
        # whichever was first wins.
        return await self.create_instance(
            StartRequest(
                name=former.name,
                instance_id=None if new_id else instance_id,
                input=former.serialized_input,
                version=former.version,
                tags=former.tags or None,
                reuse=ReusePolicy(replace=frozenset({former.runtime_status})),
            )
        )

    async def rewind_instance(self, instance_id: str, reason: str | None) -> None:
        self._check_open()
        self.capabilities.require("rewind")
        check_reason(reason, "the reason of a rewind", self.capabilities.max_payload_bytes)
        self._check_may_exist(instance_id)
        await rewind_instance(self._store, instance_id, reason, self._chance)
        self._hub.work_written()

    # --- client half: entities -----------------------------------------------------------------

    async def signal_entity(
        self, entity_id: str, operation: str, input: str | None, signal_time: int | None
    ) -> None:
        self._check_open()
        self.capabilities.require("entities")
        target = str(EntityId.parse(entity_id))
        check_text(operation, "the name of an operation")
        limit = self.capabilities.max_payload_bytes
        check_payload(input, f"the input of operation {operation!r} of entity {target!r}", limit)
        now = self._store.now()
        lane = await self._client_lane()
        source = next((s for s in self._hub.sources if s.lane is lane), None)
        loop = asyncio.get_running_loop()
        created: asyncio.Future[bool] = loop.create_future()
        sent: asyncio.Future[bool] = loop.create_future()
        name = f"@{EntityId.parse(entity_id).name}"
        row = new_entity(
            target,
            now,
            new_execution_id(now, self._chance),
            owned=source is not None and source.has_room_for(name),
        )
        event = EntityOperationSignaled(0, target, operation, input, signal_time)
        lane.pending.creates.append(row)
        lane.pending.create_futures.append(created)
        lane.pending.messages.append(
            Message(target, encode_event(event), visible_at=signal_time or 0)
        )
        lane.pending.message_futures.append(sent)
        lane.kick()
        await asyncio.gather(created, sent)

    async def get_entity(self, entity_id: str, *, include_state: bool) -> EntityState | None:
        self._check_open()
        self.capabilities.require("entities")
        target = str(EntityId.parse(entity_id))
        if not is_storable(target):
            return None
        found = await self._entities.get(target)
        if found is None or include_state:
            return found
        return msgspec.structs.replace(found, serialized_state=None)

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        self._check_open()
        self.capabilities.require("entities")
        return await self._entities.query(query)

    async def clean_entity_storage(self) -> int:
        self._check_open()
        self.capabilities.require("entities")
        return await self._entities.clean()

    # --- worker half ---------------------------------------------------------------------------

    async def open_worker(self, profile: WorkerProfile) -> WorkItemSource:
        self._check_open()
        source = StoreWorkItemSource(self._hub, profile)
        await source.open()
        self._hub.sources.append(source)
        return source


def _replaceable(statuses: frozenset[OrchestrationStatus]) -> frozenset[str]:
    """The statuses as a store knows them, all of them finished ones."""
    unfinished = statuses - FINISHED
    if unfinished:
        raise InvalidRequestError(
            "only finished instances can be replaced; terminate the instance first instead of "
            f"listing {', '.join(sorted(status.value for status in unfinished))}"
        )
    return frozenset(status.value for status in statuses)
