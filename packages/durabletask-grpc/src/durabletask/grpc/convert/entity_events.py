"""The events of entities in the histories of orchestrations as messages and back, by table.

``EntityAdvanced`` is not here: it is in the histories of entities only, which never travel. Servers
send entities their work with the state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.requests import chosen, request_text
from durabletask.grpc.convert.values import read_instant, read_text, text_value, timestamp
from durabletask.grpc.protocol import pb
from durabletask.history import (
    EntityCaller,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    HistoryEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.wrappers_pb2 import StringValue

    from durabletask.grpc.convert.requests import Requests
    from durabletask.history import EntityRequest

__all__ = [
    "AFTERWARDS",
    "ANSWERS",
    "NAMED_EVENTS",
    "READ_ENTITY_EVENT",
    "WRITE_ENTITY_EVENT",
    "called_message",
    "lock_message",
    "read_called",
    "read_signaled",
    "signaled_message",
    "unlock_message",
]

ANSWERS = (EntityOperationCompleted, EntityOperationFailed, EntityLockGranted)
"""What comes back from entities."""

NAMED_EVENTS = (
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityLockRequested,
    EntityUnlockSent,
    *ANSWERS,
)
"""Those that have the text of a request."""

AFTERWARDS = 2**30
"""Numbers from here on are of messages that no body has sent: they give up locks after its end."""


# --- to the wire: orchestrations send what histories keep ---------------------------------------


def _text(event: EntityRequest, number: int, request_id: str | None) -> str:
    return request_id or event.request_id or request_text(number)


def _instance_of(caller: EntityCaller | None) -> StringValue | None:
    return None if caller is None else text_value(caller.instance_id)


def called_message(
    event: EntityOperationCalled, request_id: str | None = None
) -> pb.EntityOperationCalledEvent:
    """A call; ``request_id`` is its text, if not that of the event or of its number."""
    caller = event.caller
    return pb.EntityOperationCalledEvent(
        requestId=_text(event, event.task_id, request_id),
        operation=event.operation,
        input=text_value(event.input),
        parentInstanceId=_instance_of(event.caller),
        parentExecutionId=None if caller is None else text_value(caller.execution_id),
        targetInstanceId=text_value(event.entity_id),
    )


def signaled_message(
    event: EntityOperationSignaled, request_id: str | None = None
) -> pb.EntityOperationSignaledEvent:
    """A signal; ``request_id`` as for calls."""
    at = event.scheduled_at
    return pb.EntityOperationSignaledEvent(
        requestId=_text(event, event.task_id, request_id),
        operation=event.operation,
        scheduledTime=None if at is None else timestamp(at),
        input=text_value(event.input),
        targetInstanceId=text_value(event.entity_id),
    )


def lock_message(
    event: EntityLockRequested, request_id: str | None = None
) -> pb.EntityLockRequestedEvent:
    """A request for a lock; ``request_id`` as for calls."""
    return pb.EntityLockRequestedEvent(
        criticalSectionId=_text(event, event.task_id, request_id),
        lockSet=event.entities,
        position=event.position,
        parentInstanceId=_instance_of(event.caller),
    )


def unlock_message(
    event: EntityUnlockSent, request_id: str | None = None
) -> pb.EntityUnlockSentEvent:
    """The end of a lock; ``request_id`` is the text of the lock, as for calls."""
    return pb.EntityUnlockSentEvent(
        criticalSectionId=_text(event, event.lock_id, request_id),
        parentInstanceId=_instance_of(event.caller),
        targetInstanceId=text_value(event.entity_id),
    )


def _write_called(message: pb.HistoryEvent, event: EntityOperationCalled) -> None:
    message.eventId = event.task_id
    message.entityOperationCalled.CopyFrom(called_message(event))


def _write_signaled(message: pb.HistoryEvent, event: EntityOperationSignaled) -> None:
    message.eventId = event.task_id
    message.entityOperationSignaled.CopyFrom(signaled_message(event))


def _write_lock_requested(message: pb.HistoryEvent, event: EntityLockRequested) -> None:
    message.eventId = event.task_id
    message.entityLockRequested.CopyFrom(lock_message(event))


def _write_unlock_sent(message: pb.HistoryEvent, event: EntityUnlockSent) -> None:
    message.eventId = event.task_id
    message.entityUnlockSent.CopyFrom(unlock_message(event))


def _write_completed(message: pb.HistoryEvent, event: EntityOperationCompleted) -> None:
    completed = message.entityOperationCompleted
    completed.requestId = event.request_id or request_text(event.task_id)
    if event.result is not None:
        completed.output.value = event.result


def _write_failed(message: pb.HistoryEvent, event: EntityOperationFailed) -> None:
    failed = message.entityOperationFailed
    failed.requestId = event.request_id or request_text(event.task_id)
    failed.failureDetails.CopyFrom(failure_message(event.failure))


def _write_granted(message: pb.HistoryEvent, event: EntityLockGranted) -> None:
    granted = message.entityLockGranted
    granted.criticalSectionId = event.request_id or request_text(event.task_id)


WRITE_ENTITY_EVENT: dict[type, Callable[[pb.HistoryEvent, Any], None]] = {
    EntityOperationCalled: _write_called,
    EntityOperationSignaled: _write_signaled,
    EntityOperationCompleted: _write_completed,
    EntityOperationFailed: _write_failed,
    EntityLockRequested: _write_lock_requested,
    EntityLockGranted: _write_granted,
    EntityUnlockSent: _write_unlock_sent,
}
"""Fills in the message of an event."""


# --- from the wire -----------------------------------------------------------------------------


def read_called(
    message: pb.EntityOperationCalledEvent, number: int, request_id: str | None
) -> EntityOperationCalled:
    """A call of this number."""
    caller = None
    if message.HasField("parentInstanceId"):
        caller = EntityCaller(message.parentInstanceId.value, message.parentExecutionId.value)
    return EntityOperationCalled(
        number,
        message.targetInstanceId.value,
        message.operation,
        read_text(message, "input"),
        caller,
        request_id,
    )


def read_signaled(
    message: pb.EntityOperationSignaledEvent, number: int, request_id: str | None
) -> EntityOperationSignaled:
    """A signal of this number."""
    scheduled = message.HasField("scheduledTime")
    return EntityOperationSignaled(
        number,
        message.targetInstanceId.value,
        message.operation,
        read_text(message, "input"),
        read_instant(message.scheduledTime) if scheduled else None,
        request_id,
    )


def _read_called(
    message: pb.HistoryEvent, called: pb.EntityOperationCalledEvent, requests: Requests
) -> HistoryEvent:
    requests.note(called.requestId, message.eventId)
    return read_called(called, message.eventId, chosen(called.requestId, message.eventId))


def _read_signaled(
    message: pb.HistoryEvent, signaled: pb.EntityOperationSignaledEvent, requests: Requests
) -> HistoryEvent:
    return read_signaled(signaled, message.eventId, chosen(signaled.requestId, message.eventId))


def _read_lock_requested(
    message: pb.HistoryEvent, requested: pb.EntityLockRequestedEvent, requests: Requests
) -> HistoryEvent:
    text = requested.criticalSectionId
    requests.note(text, message.eventId)
    caller = None
    if requested.HasField("parentInstanceId"):
        caller = EntityCaller(requested.parentInstanceId.value, "")
    return EntityLockRequested(
        message.eventId,
        tuple(requested.lockSet),
        requested.position,
        caller,
        chosen(text, message.eventId),
    )


def _read_unlock_sent(
    message: pb.HistoryEvent, sent: pb.EntityUnlockSentEvent, requests: Requests
) -> HistoryEvent | None:
    if message.eventId >= AFTERWARDS:
        return None
    text = sent.criticalSectionId
    lock_id = requests.number(text) or 0
    caller = None
    if sent.HasField("parentInstanceId"):
        caller = EntityCaller(sent.parentInstanceId.value, "")
    return EntityUnlockSent(
        message.eventId,
        sent.targetInstanceId.value,
        lock_id,
        caller,
        request_id=chosen(text, lock_id),
    )


# Answers that are nobody's are left out: the caller's execution has ended, and with it the call.


def _read_completed(
    message: pb.HistoryEvent, completed: pb.EntityOperationCompletedEvent, requests: Requests
) -> HistoryEvent | None:
    number = requests.number(completed.requestId)
    if number is None:
        return None
    name = chosen(completed.requestId, number)
    return EntityOperationCompleted(number, read_text(completed, "output"), name)


def _read_failed(
    message: pb.HistoryEvent, failed: pb.EntityOperationFailedEvent, requests: Requests
) -> HistoryEvent | None:
    number = requests.number(failed.requestId)
    if number is None:
        return None
    name = chosen(failed.requestId, number)
    return EntityOperationFailed(number, read_failure(failed.failureDetails), name)


def _read_granted(
    message: pb.HistoryEvent, granted: pb.EntityLockGrantedEvent, requests: Requests
) -> HistoryEvent | None:
    number = requests.number(granted.criticalSectionId)
    if number is None:
        return None
    return EntityLockGranted(number, chosen(granted.criticalSectionId, number))


READ_ENTITY_EVENT: dict[str, Callable[[pb.HistoryEvent, Any, Requests], HistoryEvent | None]] = {
    "entityOperationCalled": _read_called,
    "entityOperationSignaled": _read_signaled,
    "entityOperationCompleted": _read_completed,
    "entityOperationFailed": _read_failed,
    "entityLockRequested": _read_lock_requested,
    "entityLockGranted": _read_granted,
    "entityUnlockSent": _read_unlock_sent,
}
"""The event of a message, or None if it is nobody's."""
