"""The rpcs of workers: the stream of work items, and what comes back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from durabletask.actions import (
    CallEntity,
    CompleteOrchestration,
    ContinueAsNew,
    LockEntities,
    SignalEntity,
    UnlockEntity,
)
from durabletask.backend import (
    ActivityResult,
    ActivityWorkItem,
    EntityResult,
    EntityWorkItem,
    OperationResult,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkerProfile,
)
from durabletask.engine import failure_of
from durabletask.errors import DurableTaskError, InvalidRequestError
from durabletask.grpc.convert import read_actions, read_failure, read_result, read_text
from durabletask.grpc.extensions import (
    CODE,
    DELAY,
    DRAINING,
    GRACE,
    PARK_REASON,
    TAGS,
    USER_AGENT,
    VERSIONS,
    WORKER_ID,
    versions_told,
)
from durabletask.grpc.protocol import pb
from durabletask.grpc.sidecar.asked import checked, checked_outcome
from durabletask.grpc.sidecar.filters import WorkItemFilter
from durabletask.grpc.sidecar.items import item_messages
from durabletask.grpc.sidecar.stream import WorkStream
from durabletask.limits import check_payload
from durabletask.state import FailureDetails, OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from durabletask.actions import Action
    from durabletask.grpc.sidecar.calls import Call, Unary
    from durabletask.grpc.sidecar.delivery import Delivery
    from durabletask.grpc.sidecar.desk import Desk
    from durabletask.grpc.sidecar.traces import Traces

__all__ = [
    "WORK_CALLS",
    "complete_activity",
    "complete_entity",
    "complete_turn",
    "get_work_items",
    "work_items",
]

_UNLIMITED = 1000
"""Items of a kind at a time for a worker that states no limit."""

_RETRY_DELAY = 0.5
"""Seconds until an item that was given back comes again, lest a worker that refuses it spin."""

_OF_ENTITIES = (CallEntity, SignalEntity, LockEntities, UnlockEntity)

_decode_tags = msgspec.json.Decoder(dict[int, dict[str, str]]).decode

_PING = pb.WorkItem(healthPing=pb.HealthPing())


async def get_work_items(
    call: Call, request: pb.GetWorkItemsRequest
) -> AsyncGenerator[pb.WorkItem, None]:
    """Work for one worker, until either side ends the stream."""
    async with aclosing(work_items(call, request)) as batches:
        async for messages in batches:
            for message in messages:
                yield message


async def work_items(
    call: Call, request: pb.GetWorkItemsRequest
) -> AsyncGenerator[list[pb.WorkItem], None]:
    """As ``get_work_items``, with what is ready at one time together."""
    desk = call.hub.desk
    stream = await _open_stream(call, request)
    desk.join(stream)
    try:
        await call.context.send_initial_metadata(())
        while (deliveries := await stream.next(desk.ping_interval)) is not None:
            yield await item_messages(deliveries, desk) if deliveries else [_PING]
    finally:
        desk.leave(stream)


async def _open_stream(call: Call, request: pb.GetWorkItemsRequest) -> WorkStream:
    filter = WorkItemFilter(
        request, versions_told(call.metadata.get(VERSIONS)), call.text(USER_AGENT) or ""
    )
    code = call.text(CODE)
    turns = request.maxConcurrentOrchestrationWorkItems or _UNLIMITED
    # Many SDKs do not say it of entities; then those share what is said of turns.
    entities = request.maxConcurrentEntityWorkItems or turns
    profile = WorkerProfile(
        orchestrations=dict.fromkeys(filter.orchestrations, code or ""),
        activities=frozenset(filter.activities),
        entities=dict.fromkeys(filter.entities, code or ""),
        max_orchestrations=max(turns, entities),  # of both together; the stream knows each
        max_activities=request.maxConcurrentActivityWorkItems or _UNLIMITED,
        unregistered_grace=call.number(GRACE, 60.0),
        name=call.text(WORKER_ID) or call.context.peer(),
        any_name=filter.is_open,
        any_entity=filter.takes_any_entity,
        code=code or "",
        versions=filter.rule,
    )
    return WorkStream(
        await call.hub.backend.open_worker(profile),
        filter,
        max_turns=turns,
        max_activities=profile.max_activities,
        max_entities=entities,
        is_ours=code is not None,
        streams_history=pb.WORKER_CAPABILITY_HISTORY_STREAMING in request.capabilities,
    )


# --- what comes back ---------------------------------------------------------------------------


def complete_turn(desk: Desk, response: pb.OrchestratorResponse) -> None:
    """Take the answer to a turn. A token that is not out changes nothing.

    An instance that asks for what no backend here can do fails with a text that says so: given
    back, the turn would ask for the same again.
    """
    delivery = desk.find(response.completionToken)
    if delivery is None or not isinstance(delivery.item, OrchestrationWorkItem):
        return  # given to another meanwhile, or completed before
    if response.requiresHistory:
        desk.send_again(delivery)
    elif response.isPartial:
        if response.chunkIndex.value == 0:
            delivery.actions.clear()  # the first chunk may come again after a broken connection
        delivery.actions.extend(response.actions)
    else:
        result = _result(desk, delivery, response)
        _note_traces(desk.traces, delivery, response, result.actions)
        desk.take(response.completionToken)
        delivery.source.complete_orchestration(delivery.item, result)


def _note_traces(
    traces: Traces,
    delivery: Delivery,
    response: pb.OrchestratorResponse,
    actions: Sequence[Action],
) -> None:
    if actions and isinstance(actions[-1], CompleteOrchestration):
        traces.ended(delivery.item.instance_id)
        return
    own = response.HasField("orchestrationTraceContext")
    context = response.orchestrationTraceContext if own else None
    traces.answered(delivery.item.instance_id, context, [*delivery.actions, *response.actions])


def _result(
    desk: Desk, delivery: Delivery, response: pb.OrchestratorResponse
) -> OrchestrationResult:
    """What the turn asks for; if nobody can do that, the end of its instance."""
    limit = desk.largest_payload
    try:
        status = read_text(response, "customStatus")
        check_payload(status, "the custom status", limit)
        asked = read_actions([*delivery.actions, *response.actions], delivery.requests)
        if not desk.has_entities and any(isinstance(action, _OF_ENTITIES) for action in asked):
            raise ValueError("there are no entities in the backend of this server")
        actions = checked(asked, delivery.item.instance_id, limit)
    except DurableTaskError as error:
        failure = failure_of(error, non_retriable=True)
    except ValueError as error:
        failure = FailureDetails(
            "durabletask.errors.CapabilityError", str(error), non_retriable=True
        )
    else:
        return OrchestrationResult(actions, _custom_status(status, actions))
    return OrchestrationResult([CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure)])


def _custom_status(status: str | None, actions: list[Action]) -> str | UnsetType | None:
    if status is not None:
        return status or None
    ended = bool(actions) and isinstance(actions[-1], ContinueAsNew)
    return None if ended else UNSET  # rule can-fresh: a new execution begins without one


def complete_activity(desk: Desk, response: pb.ActivityResponse) -> None:
    """Take the outcome of an activity. A token that is not out changes nothing."""
    delivery = desk.take(response.completionToken)
    if delivery is not None and isinstance(delivery.item, ActivityWorkItem):
        if response.HasField("failureDetails"):
            result = ActivityResult(failure=read_failure(response.failureDetails))
        else:
            result = _activity_result(read_text(response, "result"), desk.largest_payload)
        desk.traces.completed(delivery.item.instance_id, delivery.item.task_id)
        delivery.source.complete_activity(delivery.item, result)


def _activity_result(result: str | None, limit: int) -> ActivityResult:
    try:
        check_payload(result, "the result of an activity", limit)
    except DurableTaskError as error:
        return ActivityResult(failure=failure_of(error, non_retriable=True))
    return ActivityResult(result)


def complete_entity(
    desk: Desk, message: pb.EntityBatchResult, tags: Mapping[int, dict[str, str]] | None = None
) -> None:
    """Take the outcome of an entity's operations. A token that is not out changes nothing.

    If only the first of them have been run, the others are sent again. All of it is handed back at
    once, so that what a lost worker has done is not there.

    Args:
        tags: of the orchestrations that are started, by the number of the action.
    """
    delivery = desk.find(message.completionToken)
    if delivery is None or not isinstance(delivery.item, EntityWorkItem):
        return
    is_nothing = message.HasField("failureDetails") or not message.results
    if message.requiresState:
        desk.send_again(delivery)
    elif is_nothing:  # it broke outside user code
        desk.abandon(message.completionToken, _RETRY_DELAY, draining=False)
    else:
        done = delivery.done = _operations_done(desk, delivery, message, tags)
        if len(done.results) < len(delivery.item.operations):
            desk.send_again(delivery)
        else:
            desk.take(message.completionToken)
            delivery.source.complete_entity(delivery.item, done)


def _operations_done(
    desk: Desk,
    delivery: Delivery,
    message: pb.EntityBatchResult,
    tags: Mapping[int, dict[str, str]] | None,
) -> EntityResult:
    """All that has been done; operations whose outcome nobody can take have failed."""
    item = delivery.rest
    done = delivery.done or EntityResult([], [], item.state)
    try:
        read = read_result(message, tags)
        new = checked_outcome(read, item, len(done.actions), desk.largest_payload)
    except (DurableTaskError, ValueError) as error:
        failed = OperationResult(failure=failure_of(error, non_retriable=True))
        new = EntityResult([failed] * len(item.operations), [], item.state)
    return EntityResult([*done.results, *new.results], [*done.actions, *new.actions], new.state)


async def _complete_turn(call: Call, response: pb.OrchestratorResponse) -> pb.CompleteTaskResponse:
    complete_turn(call.hub.desk, response)
    return pb.CompleteTaskResponse()


async def _complete_activity(call: Call, response: pb.ActivityResponse) -> pb.CompleteTaskResponse:
    complete_activity(call.hub.desk, response)
    return pb.CompleteTaskResponse()


async def _complete_entity(call: Call, message: pb.EntityBatchResult) -> pb.CompleteTaskResponse:
    told = call.metadata.get(TAGS)
    try:
        tags = None if told is None else _decode_tags(told)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequestError(f"the tags in {TAGS} cannot be read: {error}") from None
    complete_entity(call.hub.desk, message, tags)
    return pb.CompleteTaskResponse()


def _abandoning(answer: Any) -> Unary:
    """Gives an item back, or sets its instance aside; the answer says nothing."""

    async def abandon(call: Call, request: Any) -> Any:
        desk, token = call.hub.desk, request.completionToken
        reason = call.metadata.get(PARK_REASON)
        delivery = desk.find(token)
        if isinstance(reason, bytes) and delivery is not None:
            if not isinstance(delivery.item, ActivityWorkItem):
                desk.take(token)
                delivery.source.park(delivery.item, reason.decode("utf-8", "replace"))
        else:
            delay = call.number(DELAY, _RETRY_DELAY)
            desk.abandon(token, delay, draining=DRAINING in call.metadata)
        return answer()

    return abandon


WORK_CALLS: dict[str, Unary] = {
    "CompleteOrchestratorTask": _complete_turn,
    "CompleteActivityTask": _complete_activity,
    "CompleteEntityTask": _complete_entity,
    "AbandonTaskOrchestratorWorkItem": _abandoning(pb.AbandonOrchestrationTaskResponse),
    "AbandonTaskActivityWorkItem": _abandoning(pb.AbandonActivityTaskResponse),
    "AbandonTaskEntityWorkItem": _abandoning(pb.AbandonEntityTaskResponse),
}
"""Every unary rpc of a worker."""
