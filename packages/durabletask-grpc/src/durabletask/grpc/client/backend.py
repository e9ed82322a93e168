"""A backend that talks to a sidecar, ours or anybody's."""

from __future__ import annotations

import asyncio
import time
import uuid
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import msgspec
from google.protobuf.empty_pb2 import Empty

from durabletask.backend import Backend
from durabletask.entities import EntityId, EntityPage, check_entity_query
from durabletask.errors import (
    BackendClosedError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
)
from durabletask.grpc.client.backoff import pause
from durabletask.grpc.client.connection import Connection
from durabletask.grpc.client.faults import TRANSIENT, error_of, intact, reading
from durabletask.grpc.client.many import CallFailed, Completions, Starts
from durabletask.grpc.client.options import GrpcOptions
from durabletask.grpc.client.querying import matches, narrowed
from durabletask.grpc.client.source import GrpcWorkItemSource
from durabletask.grpc.convert import (
    Requests,
    entity_query_message,
    query_message,
    read_entity,
    read_events,
    read_state,
    start_message,
    text_value,
    timestamp,
    timestamp_of,
)
from durabletask.grpc.extensions import (
    BATCHES,
    CAPABILITIES,
    PARKED,
    QUERY,
    capabilities_told,
    flatten,
    tell_query,
)
from durabletask.grpc.protocol import pb
from durabletask.limits import (
    check_instance_id,
    check_payload,
    check_reason,
    check_text,
    checked_tags,
    is_storable,
    may_match,
)
from durabletask.state import FINISHED, OrchestrationStatus, Page, PurgeResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from durabletask.backend import Capabilities, StartRequest, WorkerProfile, WorkItemSource
    from durabletask.entities import EntityQuery, EntityState
    from durabletask.grpc.client.connection import Metadata, TokenSource
    from durabletask.grpc.client.target import Target
    from durabletask.history import HistoryEvent
    from durabletask.state import OrchestrationQuery, OrchestrationState

__all__ = ["GrpcBackend"]

T = TypeVar("T")

_OUTAGE = 60.0
"""Seconds without a server after which a wait gives up."""


class GrpcBackend(Backend):
    """One task hub of a Durable Task sidecar.

    Args:
        target: where the sidecar listens.
        options: limits, the hub, TLS, a fixed token.
        tokens: gives bearer tokens; instead of ``options.token``.
        name: how errors call the backend.
        user_agent: how calls name the caller's library.

    Raises:
        ConfigurationError: a token would travel in plain text.

    Example::

        backend = GrpcBackend(Target("localhost:8080", secure=False))
        async with TaskHubWorker(backend=backend) as worker: ...
    """

    def __init__(
        self,
        target: Target,
        options: GrpcOptions | None = None,
        *,
        tokens: TokenSource | None = None,
        name: str = "grpc",
        user_agent: str | None = None,
    ) -> None:
        options = options or GrpcOptions()
        if tokens is None and options.token is not None:
            fixed = options.token

            async def fixed_token() -> str:
                return fixed

            tokens = fixed_token
        if tokens is not None:
            target.check_token_may_travel(over_plaintext=options.token_over_plaintext)
        self._target = target
        self._options = options
        self._tokens = tokens
        self._user_agent = user_agent or f"durabletask-grpc/{version('durabletask-grpc')}"
        self._capabilities = capabilities_told(None, name)
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._told = False
        self._in_batches = False
        self._starts: Starts | None = None
        self._completions: Completions | None = None

    def __repr__(self) -> str:
        return f"GrpcBackend({str(self._target)!r}, task_hub={self._options.task_hub!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What the server said it can do, once opened; else what the protocol promises."""
        return self._capabilities

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        async with self._opening:
            if self._connection is not None:
                return
            connection = Connection(
                self._target, self._options, user_agent=self._user_agent, tokens=self._tokens
            )
            try:
                _, call = await connection.call("Hello", Empty(), timeout=self._options.timeout)
                answer = flatten(await call.initial_metadata())
            except grpc.aio.AioRpcError as error:
                await connection.close()
                raise error_of(error, self._target) from None
            except BaseException:
                await connection.close()
                raise
            told = answer.get(CAPABILITIES)
            try:
                with reading(self._target):
                    capabilities = capabilities_told(
                        told if isinstance(told, str) else None, self._capabilities.name
                    )
            except BaseException:
                await connection.close()
                raise
            self._capabilities = capabilities
            self._told = isinstance(told, str)
            self._in_batches = BATCHES in answer and self._options.batches
            if self._in_batches:
                self._starts = Starts(connection, self._options.timeout)
                self._completions = Completions(connection)
            self._connection = connection

    async def close(self) -> None:
        async with self._opening:
            connection, self._connection = self._connection, None
            for shared in (self._starts, self._completions):
                if shared is not None:
                    await shared.close()
            self._starts = self._completions = None
            if connection is not None:
                await connection.close()

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise BackendClosedError(
                f"the {self._capabilities.name} backend is not open: use it inside `async with`, "
                "or call open() first and close() last"
            )
        return self._connection

    # --- calls ---------------------------------------------------------------------------------

    async def _call(
        self,
        name: str,
        request: Any,
        *,
        instance_id: str | None = None,
        again: bool = True,
        extra: Metadata = (),
    ) -> tuple[Any, Any]:
        """Make a call, within the time that calls may take.

        Args:
            again: the call may be repeated, for a second one does what the first did.
        """
        connection = self._open_connection()

        def attempt(rest: float) -> Awaitable[tuple[Any, Any]]:
            return connection.call(name, request, timeout=rest, extra=extra)

        return await self._repeat(attempt, instance_id, again=again)

    async def _repeat(
        self, attempt: Callable[[float], Awaitable[T]], instance_id: str | None, *, again: bool
    ) -> T:
        """Attempt a call with the seconds that are left, and once more if that may help."""
        connection = self._open_connection()
        deadline = time.monotonic() + self._options.timeout
        failures = 0
        while True:
            try:
                return await attempt(max(0.01, deadline - time.monotonic()))
            except (grpc.aio.AioRpcError, CallFailed) as error:
                self._check_not_closed(connection)
                failures += 1
                nap = pause(failures)
                late = time.monotonic() + nap >= deadline
                if late or not again or error.code() not in TRANSIENT:
                    raise error_of(error, self._target, instance_id) from None
            except asyncio.CancelledError:
                self._check_not_closed(connection)
                raise
            await asyncio.sleep(nap)

    def _check_not_closed(self, connection: Connection) -> None:
        """Tell a caller whose call ended with the backend, not because it was cancelled."""
        task = asyncio.current_task()
        if self._connection is not connection and not (task is not None and task.cancelling()):
            raise BackendClosedError(
                f"the {self._capabilities.name} backend was closed during a call"
            ) from None

    # --- client half: starting and signalling --------------------------------------------------

    async def create_instance(self, request: StartRequest) -> str:
        check_text(request.name, "the name of an orchestration")
        if request.version:
            check_text(request.version, "the version of an orchestration")
        if request.tags is not None:
            checked_tags(request.tags)
        limit = self._capabilities.max_payload_bytes
        check_payload(request.input, f"the input of orchestration {request.name!r}", limit)
        unfinished = request.reuse.replace - FINISHED
        if unfinished:
            raise InvalidRequestError(
                "only finished instances can be replaced; terminate the instance first instead of "
                f"listing {', '.join(sorted(status.value for status in unfinished))}"
            )
        if request.instance_id is not None:
            check_instance_id(request.instance_id)
        # The id is chosen here, so that a call that is repeated starts one instance: that its own
        # id exists already can then only mean that an attempt before had reached the server.
        instance_id = request.instance_id or uuid.uuid4().hex
        message = start_message(request, instance_id)
        again = request.instance_id is None
        starts = self._starts
        try:
            if starts is None:
                await self._call("StartInstance", message, instance_id=instance_id, again=again)
            else:
                await self._repeat(lambda _: starts.start(message), instance_id, again=again)
        except InstanceAlreadyExistsError:
            if request.instance_id is not None and not request.reuse.ignore:
                raise
        return instance_id

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        check_text(name, "the name of an event")
        check_payload(data, f"the data of event {name!r}", self._capabilities.max_payload_bytes)
        _check_may_exist(instance_id)
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name, input=text_value(data))
        await self._call("RaiseEvent", request, instance_id=instance_id, again=False)

    async def suspend_instance(self, instance_id: str, reason: str | None) -> None:
        check_reason(reason, "the reason of a suspension", self._capabilities.max_payload_bytes)
        _check_may_exist(instance_id)
        request = pb.SuspendRequest(instanceId=instance_id, reason=text_value(reason))
        await self._call("SuspendInstance", request, instance_id=instance_id)

    async def resume_instance(self, instance_id: str, reason: str | None) -> None:
        check_reason(reason, "the reason of a resumption", self._capabilities.max_payload_bytes)
        _check_may_exist(instance_id)
        request = pb.ResumeRequest(instanceId=instance_id, reason=text_value(reason))
        await self._call("ResumeInstance", request, instance_id=instance_id)

    async def terminate_instance(
        self, instance_id: str, output: str | None, *, recursive: bool
    ) -> None:
        check_payload(output, "the output of a termination", self._capabilities.max_payload_bytes)
        _check_may_exist(instance_id)
        request = pb.TerminateRequest(
            instanceId=instance_id, output=text_value(output), recursive=recursive
        )
        await self._call("TerminateInstance", request, instance_id=instance_id)

    # --- client half: reading ------------------------------------------------------------------

    async def get_instance(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        if not is_storable(instance_id):
            return None
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=fetch_payloads)
        answer, call = await self._call("GetInstance", request)
        if not answer.exists:
            return None
        with reading(self._target):
            return await _state(answer, call, payloads=fetch_payloads)

    def wait_for_start(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        self._open_connection()
        return self._wait("WaitForInstanceStart", instance_id, timeout)

    def wait_for_completion(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        self._open_connection()
        return self._wait("WaitForInstanceCompletion", instance_id, timeout)

    async def _wait(self, name: str, instance_id: str, timeout: float | None) -> OrchestrationState:
        connection = self._open_connection()
        _check_may_exist(instance_id)
        what = "start" if name == "WaitForInstanceStart" else "complete"
        late = TimeoutError(
            f"orchestration {instance_id!r} did not {what} within {timeout or 0:g} s; it goes on"
        )
        if timeout is not None and timeout <= 0:
            state = await self.get_instance(instance_id)
            if state is None:
                raise InstanceNotFoundError(instance_id)
            if _is_met(state, what):
                return state
            raise late
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        deadline = None if timeout is None else time.monotonic() + timeout
        lost_since: float | None = None
        failures = 0
        while True:
            rest = None if deadline is None else max(0.001, deadline - time.monotonic())
            try:
                if self._completions is not None and what == "complete":
                    call = None
                    async with asyncio.timeout(rest):
                        answer = await self._completions.wait(instance_id)
                else:
                    answer, call = await connection.call(
                        name, request, timeout=rest, wait_for_ready=False
                    )
            except TimeoutError:
                raise late from None
            except (grpc.aio.AioRpcError, CallFailed) as error:
                self._check_not_closed(connection)
                now = time.monotonic()
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    if deadline is not None and now >= deadline - 0.001:
                        raise late from None
                    continue
                lost_since = lost_since or now
                if error.code() not in TRANSIENT or now - lost_since > _OUTAGE:
                    raise error_of(error, self._target, instance_id) from None
            except asyncio.CancelledError:
                self._check_not_closed(connection)
                raise
            else:
                if not answer.exists:
                    raise InstanceNotFoundError(instance_id)
                with reading(self._target):
                    state = await _state(answer, call, payloads=True)
                if _is_met(state, what):
                    return state
            failures += 1
            await asyncio.sleep(pause(failures))
            if deadline is not None and time.monotonic() >= deadline:
                raise late

    async def query_instances(self, query: OrchestrationQuery) -> Page:
        if not 1 <= query.page_size <= 10_000:
            raise InvalidRequestError(
                f"page_size must be between 1 and 10,000, not {query.page_size}"
            )
        if not may_match(query):
            return Page([], None)
        request = pb.QueryInstancesRequest(query=query_message(query))
        extra = ((QUERY, tell_query(query)),) if self._told else ()
        answer, _ = await self._call("QueryInstances", request, extra=extra)
        with reading(self._target):
            states = [
                read_state(message, payloads=query.fetch_payloads)
                for message in answer.orchestrationState
            ]
        token = answer.continuationToken.value
        # What the protocol cannot say is looked at here, so a page may be short, or empty.
        items = states if self._told else [state for state in states if matches(query, state)]
        return Page(items, None if token in ("", "0") else token)

    async def get_history(self, instance_id: str) -> list[HistoryEvent]:
        connection = self._open_connection()
        _check_may_exist(instance_id)
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        events: list[HistoryEvent] = []
        requests = Requests(only_known=True)
        try:
            async for chunk in await connection.stream("StreamInstanceHistory", request):
                with reading(self._target):
                    events += read_events(intact(chunk, self._target).events, requests)
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self._target, instance_id) from None
        return events

    # --- client half: running again ------------------------------------------------------------

    async def restart_instance(self, instance_id: str, *, new_id: bool) -> str:
        _check_may_exist(instance_id)
        request = pb.RestartInstanceRequest(instanceId=instance_id, restartWithNewInstanceId=new_id)
        answer, _ = await self._call(
            "RestartInstance", request, instance_id=instance_id, again=False
        )
        return str(answer.instanceId)

    async def rewind_instance(self, instance_id: str, reason: str | None) -> None:
        check_reason(reason, "the reason of a rewind", self._capabilities.max_payload_bytes)
        request = pb.RewindInstanceRequest(instanceId=instance_id, reason=text_value(reason))
        await self._call("RewindInstance", request, instance_id=instance_id, again=False)

    # --- client half: purging ------------------------------------------------------------------

    async def purge_instances(
        self, target: str | OrchestrationQuery, *, recursive: bool
    ) -> PurgeResult:
        if isinstance(target, str):
            if not is_storable(target):
                return PurgeResult(0)
            request = pb.PurgeInstancesRequest(
                instanceId=target, recursive=recursive, isOrchestration=True
            )
            return PurgeResult(await self._purge(request))
        if not may_match(target):
            return PurgeResult(0)
        if self._told or not narrowed(target):
            finished = (target.statuses or FINISHED) & FINISHED
            message = query_message(msgspec.structs.replace(target, statuses=finished))
            filter = pb.PurgeInstanceFilter(runtimeStatus=message.runtimeStatus)
            if target.created_from is not None:
                filter.createdTimeFrom.CopyFrom(timestamp_of(target.created_from))
            if target.created_to is not None:
                filter.createdTimeTo.CopyFrom(timestamp_of(target.created_to))
            request = pb.PurgeInstancesRequest(purgeInstanceFilter=filter, recursive=recursive)
            extra = ((QUERY, tell_query(target)),) if self._told else ()
            return PurgeResult(await self._purge(request, extra)) if finished else PurgeResult(0)
        deleted = 0
        async for state in self._matching(target):
            purged = await self.purge_instances(state.instance_id, recursive=recursive)
            deleted += purged.deleted_instance_count
        return PurgeResult(deleted)

    async def _matching(self, query: OrchestrationQuery) -> AsyncIterator[OrchestrationState]:
        query = msgspec.structs.replace(query, fetch_payloads=False, continuation_token=None)
        while True:
            page = await self.query_instances(query)
            for state in page.items:
                yield state
            if page.continuation_token in (None, query.continuation_token):
                return
            query = msgspec.structs.replace(query, continuation_token=page.continuation_token)

    async def _purge(self, request: pb.PurgeInstancesRequest, extra: Metadata = ()) -> int:
        answer, _ = await self._call("PurgeInstances", request, extra=extra)
        return int(answer.deletedInstanceCount)

    # --- client half: entities -----------------------------------------------------------------

    async def signal_entity(
        self, entity_id: str, operation: str, input: str | None, signal_time: int | None
    ) -> None:
        self._capabilities.require("entities")
        target = str(EntityId.parse(entity_id))
        check_text(operation, "the name of an operation")
        limit = self._capabilities.max_payload_bytes
        check_payload(input, f"the input of operation {operation!r} of entity {target!r}", limit)
        request = pb.SignalEntityRequest(
            instanceId=target,
            name=operation,
            input=text_value(input),
            requestId=str(uuid.uuid4()),
            scheduledTime=None if signal_time is None else timestamp(signal_time),
        )
        await self._call("SignalEntity", request, again=False)

    async def get_entity(self, entity_id: str, *, include_state: bool) -> EntityState | None:
        self._capabilities.require("entities")
        target = str(EntityId.parse(entity_id))
        if not is_storable(target):
            return None
        # A server of others tells by the state alone whether there is one.
        wanted = include_state or not self._told
        request = pb.GetEntityRequest(instanceId=target, includeState=wanted)
        answer, _ = await self._call("GetEntity", request)
        if not answer.exists:
            return None
        with reading(self._target):
            return read_entity(answer.entity, include_state=include_state)

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        self._capabilities.require("entities")
        check_entity_query(query)
        if not is_storable(query.name, query.key_prefix):
            return EntityPage([])
        wanted = query.include_state or not self._told
        message = entity_query_message(query, include_state=wanted)
        answer, _ = await self._call("QueryEntities", pb.QueryEntitiesRequest(query=message))
        with reading(self._target):
            items = [
                read_entity(entity, include_state=query.include_state) for entity in answer.entities
            ]
        token = answer.continuationToken.value
        return EntityPage(items, None if token in ("", "0") else token)

    async def clean_entity_storage(self) -> int:
        self._capabilities.require("entities")
        removed, token = 0, ""
        while True:
            request = pb.CleanEntityStorageRequest(
                continuationToken=text_value(token or None),
                removeEmptyEntities=True,
                releaseOrphanedLocks=True,
            )
            answer, _ = await self._call("CleanEntityStorage", request)
            removed += int(answer.emptyEntitiesRemoved)
            if answer.continuationToken.value in ("", "0", token):
                return removed
            token = answer.continuationToken.value

    # --- worker half ---------------------------------------------------------------------------

    async def open_worker(self, profile: WorkerProfile) -> WorkItemSource:
        source = GrpcWorkItemSource(
            self._open_connection(),
            profile,
            self._options,
            can_park=self._told and self._capabilities.parking,
            in_batches=self._in_batches,
            must_unlock=not self._told,
        )
        await source.open()
        return source


def _check_may_exist(instance_id: str) -> None:
    """Raise here what the server would, for ids that no message can carry."""
    if not is_storable(instance_id):
        raise InstanceNotFoundError(instance_id)


async def _state(
    answer: pb.GetInstanceResponse, call: Any, *, payloads: bool
) -> OrchestrationState:
    parked = None if call is None else flatten(await call.trailing_metadata()).get(PARKED)
    return read_state(
        answer.orchestrationState,
        payloads=payloads,
        parked_reason=parked.decode("utf-8", "replace") if isinstance(parked, bytes) else None,
    )


def _is_met(state: OrchestrationState, what: str) -> bool:
    if what == "complete":
        return state.runtime_status.is_finished
    return state.runtime_status is not OrchestrationStatus.PENDING
