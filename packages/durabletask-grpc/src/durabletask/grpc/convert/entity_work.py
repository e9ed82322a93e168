"""The work of entities and its outcome as messages and back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.actions import EntityAction, SignalEntity, StartOrchestration
from durabletask.backend import EntityResult, EntityWorkItem, OperationResult
from durabletask.entities import EntityId
from durabletask.grpc.convert.entity_events import (
    called_message,
    read_called,
    read_signaled,
    signaled_message,
)
from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.requests import request_text
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_tags,
    read_text,
    text_value,
    timestamp,
)
from durabletask.grpc.protocol import pb
from durabletask.history import EntityOperationCalled, EntityOperationSignaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from google.protobuf.timestamp_pb2 import Timestamp

__all__ = [
    "entity_item",
    "entity_request",
    "operation_batch",
    "operation_infos",
    "read_result",
    "remaining",
    "result_message",
    "started_with_tags",
]

_Operation = EntityOperationCalled | EntityOperationSignaled


# --- work, to the wire -------------------------------------------------------------------------


def operation_batch(item: EntityWorkItem) -> pb.EntityBatchRequest:
    """A work item in the form that every SDK reads. It does not say who calls."""
    return pb.EntityBatchRequest(
        instanceId=item.instance_id,
        entityState=text_value(item.state),
        operations=[
            pb.OperationRequest(
                operation=operation.operation, requestId=text, input=text_value(operation.input)
            )
            for operation, text in zip(item.operations, _texts(item), strict=True)
        ],
    )


def entity_request(item: EntityWorkItem) -> pb.EntityRequest:
    """A work item in the form that says who calls, and when the turn began."""
    request = pb.EntityRequest(
        instanceId=item.instance_id,
        executionId=item.execution_id,
        entityState=text_value(item.state),
    )
    for operation, text in zip(item.operations, _texts(item), strict=True):
        message = request.operationRequests.add(
            eventId=operation.task_id, timestamp=timestamp(item.started_at)
        )
        if isinstance(operation, EntityOperationCalled):
            message.entityOperationCalled.CopyFrom(called_message(operation, text))
        else:
            message.entityOperationSignaled.CopyFrom(signaled_message(operation, text))
    return request


def remaining(item: EntityWorkItem, done: int, state: str | None) -> EntityWorkItem:
    """What is left of an item after its first operations, which have left this state behind.

    The others keep the texts by which they are known.
    """
    operations = [
        msgspec.structs.replace(operation, request_id=text)
        for operation, text in zip(item.operations, _texts(item), strict=True)
    ]
    return msgspec.structs.replace(item, operations=operations[done:], state=state)


def _texts(item: EntityWorkItem) -> list[str]:
    """What each operation is named by; no text comes twice to one entity."""
    turn = f"{item.execution_id}\n{item.sequence}"
    return [
        operation.request_id or _text(operation, position, turn)
        for position, operation in enumerate(item.operations)
    ]


def _text(operation: _Operation, position: int, turn: str) -> str:
    if isinstance(operation, EntityOperationCalled) and operation.caller is not None:
        caller = operation.caller
        return request_text(operation.task_id, f"{caller.instance_id}\n{caller.execution_id}")
    return request_text(position, turn)


# --- work, from the wire -----------------------------------------------------------------------


def entity_item(
    request: pb.EntityBatchRequest | pb.EntityRequest, now: int, token: Any
) -> EntityWorkItem:
    """The work item of a request in either form.

    What turns are told apart by is not in all requests. So it is made of the texts of the
    operations, which are others in every turn, and the same when a turn comes again.

    Args:
        now: clock of the turn if the request does not say.

    Raises:
        InvalidRequestError: it is of no entity.
    """
    entity_id = EntityId.parse(request.instanceId)
    operations: list[_Operation]
    if isinstance(request, pb.EntityRequest):
        operations = _read_operations(request, str(entity_id))
        execution_id = request.executionId
        stamps = (message.timestamp for message in request.operationRequests)
        began = max((read_instant(stamp) for stamp in stamps), default=0)
    else:
        operations = [
            EntityOperationSignaled(
                0, str(entity_id), asked.operation, read_text(asked, "input"), None, asked.requestId
            )
            for asked in request.operations
        ]
        execution_id, began = "", 0
    texts = "\n".join(operation.request_id or "" for operation in operations)
    mixed = hashlib.blake2b(texts.encode(), digest_size=7)
    return EntityWorkItem(
        request.instanceId,
        execution_id,
        entity_id.name,
        int.from_bytes(mixed.digest()),
        began if began > 0 else now,
        optional_text(request, "entityState"),
        operations,
        token,
    )


def _read_operations(request: pb.EntityRequest, entity_id: str) -> list[_Operation]:
    operations: list[_Operation] = []
    for message in request.operationRequests:
        operation: _Operation
        if message.HasField("entityOperationCalled"):
            called = message.entityOperationCalled
            operation = read_called(called, message.eventId, called.requestId)
        else:
            signaled = message.entityOperationSignaled
            operation = read_signaled(signaled, message.eventId, signaled.requestId)
        operations.append(msgspec.structs.replace(operation, entity_id=entity_id))
    return operations


def operation_infos(item: EntityWorkItem) -> list[pb.OperationInfo]:
    """Where the server is to send each result, for one that leaves it to workers to know."""
    infos: list[pb.OperationInfo] = []
    for operation in item.operations:
        info = pb.OperationInfo(requestId=operation.request_id or "")
        if isinstance(operation, EntityOperationCalled) and operation.caller is not None:
            destination = info.responseDestination
            destination.instanceId = operation.caller.instance_id
            if operation.caller.execution_id:
                destination.executionId.value = operation.caller.execution_id
        infos.append(info)
    return infos


# --- outcomes ----------------------------------------------------------------------------------


def result_message(result: EntityResult, began: int, ended: int) -> pb.EntityBatchResult:
    """The outcome of a work item, which was worked on between these instants."""
    return pb.EntityBatchResult(
        results=[_outcome_message(outcome, began, ended) for outcome in result.results],
        actions=[_action_message(action, n) for n, action in enumerate(result.actions, 1)],
        entityState=text_value(result.state),
    )


def _outcome_message(outcome: OperationResult, began: int, ended: int) -> pb.OperationResult:
    start, end = timestamp(began), timestamp(ended)
    if outcome.failure is None:
        success = pb.OperationResultSuccess(
            result=text_value(outcome.result), startTimeUtc=start, endTimeUtc=end
        )
        return pb.OperationResult(success=success)
    failure = pb.OperationResultFailure(
        failureDetails=failure_message(outcome.failure), startTimeUtc=start, endTimeUtc=end
    )
    return pb.OperationResult(failure=failure)


def _action_message(action: EntityAction, number: int) -> pb.OperationAction:
    if isinstance(action, SignalEntity):
        signal = pb.SendSignalAction(
            instanceId=action.entity_id,
            name=action.operation,
            input=text_value(action.input),
            scheduledTime=_instant(action.scheduled_at),
        )
        return pb.OperationAction(id=number, sendSignal=signal)
    start = pb.StartNewOrchestrationAction(
        instanceId=action.instance_id,
        name=action.name,
        version=text_value(action.version),
        input=text_value(action.input),
        scheduledTime=_instant(action.start_at),
    )
    return pb.OperationAction(id=number, startNewOrchestration=start)


def _instant(micros: int | None) -> Timestamp | None:
    return None if micros is None else timestamp(micros)


def started_with_tags(actions: Iterable[EntityAction]) -> dict[int, dict[str, str]]:
    """The tags of the orchestrations that are started, by the number of the action."""
    return {
        number: action.tags
        for number, action in enumerate(actions, 1)
        if isinstance(action, StartOrchestration) and action.tags
    }


def read_result(
    message: pb.EntityBatchResult, tags: Mapping[int, dict[str, str]] | None = None
) -> EntityResult:
    """The outcome of a message. An orchestration may have no id yet.

    Args:
        tags: of the orchestrations that are started, by the number of the action.

    Raises:
        ValueError: a result or an action is of no kind.
        InvalidRequestError: an instant is none.
    """
    tags = tags or {}
    return EntityResult(
        [_read_outcome(outcome) for outcome in message.results],
        [_read_action(action, tags) for action in message.actions],
        optional_text(message, "entityState"),
    )


def _read_outcome(message: pb.OperationResult) -> OperationResult:
    if message.HasField("failure"):
        return OperationResult(failure=read_failure(message.failure.failureDetails))
    if message.HasField("success"):
        return OperationResult(optional_text(message.success, "result"))
    raise ValueError("the result of an operation is neither a success nor a failure")


def _read_action(message: pb.OperationAction, tags: Mapping[int, dict[str, str]]) -> EntityAction:
    kind = message.WhichOneof("operationActionType")
    if kind is None:
        raise ValueError("an action of an entity asks for nothing")
    return _READ_ACTION[kind](getattr(message, kind), tags.get(message.id))


def _read_start(
    start: pb.StartNewOrchestrationAction, tags: dict[str, str] | None
) -> StartOrchestration:
    return StartOrchestration(
        start.name,
        start.instanceId,
        optional_text(start, "input"),
        optional_text(start, "version"),
        read_tags(tags or {}),
        _given(start.scheduledTime),
    )


def _read_signal(signal: pb.SendSignalAction, tags: dict[str, str] | None) -> SignalEntity:
    at = _given(signal.scheduledTime)
    return SignalEntity(0, signal.instanceId, signal.name, optional_text(signal, "input"), at)


_READ_ACTION: dict[str, Callable[[Any, dict[str, str] | None], EntityAction]] = {
    "sendSignal": _read_signal,
    "startNewOrchestration": _read_start,
}


def _given(message: Timestamp) -> int | None:
    """An instant; the epoch, which some SDKs send for none, is none."""
    micros = read_instant(message)
    return micros if micros > 0 else None
