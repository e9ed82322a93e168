"""What orchestrations ask of entities as messages and back, by table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.actions import Action, CallEntity, LockEntities, SignalEntity, UnlockEntity
from durabletask.grpc.convert.entity_events import (
    called_message,
    lock_message,
    read_called,
    read_signaled,
    signaled_message,
    unlock_message,
)
from durabletask.grpc.convert.requests import number_in, request_text
from durabletask.grpc.protocol import pb
from durabletask.history import (
    EntityCaller,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.grpc.convert.requests import Requests

__all__ = ["WRITE_ENTITY_ACTION", "read_entity_action"]


# --- to the wire -------------------------------------------------------------------------------


def _call(
    action: CallEntity, caller: EntityCaller | None, scope: str
) -> pb.SendEntityMessageAction:
    event = EntityOperationCalled(
        action.task_id, action.entity_id, action.operation, action.input, caller
    )
    text = action.request_id or request_text(action.task_id, scope)
    return pb.SendEntityMessageAction(entityOperationCalled=called_message(event, text))


def _signal(
    action: SignalEntity, caller: EntityCaller | None, scope: str
) -> pb.SendEntityMessageAction:
    event = EntityOperationSignaled(
        action.task_id, action.entity_id, action.operation, action.input, action.scheduled_at
    )
    text = action.request_id or request_text(action.task_id, scope)
    return pb.SendEntityMessageAction(entityOperationSignaled=signaled_message(event, text))


def _lock(
    action: LockEntities, caller: EntityCaller | None, scope: str
) -> pb.SendEntityMessageAction:
    event = EntityLockRequested(action.task_id, action.entities, caller=caller)
    text = action.request_id or request_text(action.task_id, scope)
    return pb.SendEntityMessageAction(entityLockRequested=lock_message(event, text))


def _unlock(
    action: UnlockEntity, caller: EntityCaller | None, scope: str
) -> pb.SendEntityMessageAction:
    event = EntityUnlockSent(action.task_id, action.entity_id, action.lock_id, caller)
    text = action.request_id or request_text(action.lock_id, scope)
    return pb.SendEntityMessageAction(entityUnlockSent=unlock_message(event, text))


WRITE_ENTITY_ACTION: dict[
    type, Callable[[Any, EntityCaller | None, str], pb.SendEntityMessageAction]
] = {
    CallEntity: _call,
    SignalEntity: _signal,
    LockEntities: _lock,
    UnlockEntity: _unlock,
}
"""The message of an action."""


# --- from the wire -----------------------------------------------------------------------------


def read_entity_action(
    number: int, message: pb.SendEntityMessageAction, requests: Requests
) -> Action:
    """The action of a message.

    Raises:
        ValueError: it asks for nothing, or ends a lock that was not asked for.
    """
    kind = message.WhichOneof("EntityMessageType")
    if kind is None:
        raise ValueError("a message to an entity asks for nothing")
    return _READ[kind](number, getattr(message, kind), requests)


def _chosen(text: str, number: int) -> str | None:
    """A text as actions keep it: ours says no more than the number and the execution do."""
    return None if not text or number_in(text) == number else text


def _read_call(
    number: int, message: pb.EntityOperationCalledEvent, requests: Requests
) -> CallEntity:
    called = read_called(message, number, _chosen(message.requestId, number))
    return CallEntity(number, called.entity_id, called.operation, called.input, called.request_id)


def _read_signal(
    number: int, message: pb.EntityOperationSignaledEvent, requests: Requests
) -> SignalEntity:
    signaled = read_signaled(message, number, _chosen(message.requestId, number))
    return SignalEntity(
        number,
        signaled.entity_id,
        signaled.operation,
        signaled.input,
        signaled.scheduled_at,
        signaled.request_id,
    )


def _read_lock(
    number: int, message: pb.EntityLockRequestedEvent, requests: Requests
) -> LockEntities:
    text = message.criticalSectionId
    requests.note(text, number)
    return LockEntities(number, tuple(message.lockSet), _chosen(text, number))


def _read_unlock(
    number: int, message: pb.EntityUnlockSentEvent, requests: Requests
) -> UnlockEntity:
    text = message.criticalSectionId
    lock_id = requests.number(text)
    if lock_id is None:
        raise ValueError(f"the lock {text[:80]!r} is given up and was not asked for")
    entity_id = message.targetInstanceId.value
    return UnlockEntity(number, entity_id, lock_id, _chosen(text, lock_id))


_READ: dict[str, Callable[[int, Any, Requests], Action]] = {
    "entityOperationCalled": _read_call,
    "entityOperationSignaled": _read_signal,
    "entityLockRequested": _read_lock,
    "entityUnlockSent": _read_unlock,
}
