"""What a worker may ask for in a turn, by table.

Our own worker checks the same before it asks. Others do not, and a text that the database refuses
would take down the batch it is in, which holds the work of everybody else too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.actions import (
    Action,
    ApplyPatch,
    CallEntity,
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    LockEntities,
    ScheduleTask,
    SendEvent,
    SignalEntity,
    StartOrchestration,
    UnlockEntity,
)
from durabletask.entities import EntityId
from durabletask.errors import InvalidRequestError
from durabletask.limits import check_instance_id, check_payload, check_text, checked_tags
from durabletask.state import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from durabletask.actions import EntityAction
    from durabletask.backend import EntityResult, EntityWorkItem

__all__ = ["checked", "checked_outcome"]


def checked(actions: Iterable[Action], instance_id: str, limit: int) -> list[Action]:
    """The actions, that which ends the execution last, and every child with an id.

    Args:
        instance_id: the instance whose turn it is; children without an id get one from it.
        limit: bytes of the largest payload.

    Raises:
        InvalidRequestError, SerializationError: no store should have to take this.
    """
    begun: list[Action] = []
    ends: list[Action] = []
    for action in actions:
        if isinstance(action, CreateSubOrchestration) and not action.instance_id:
            child = f"{instance_id}:{action.task_id:04x}"
            action = msgspec.structs.replace(action, instance_id=child)
        elif isinstance(action, (CallEntity, SignalEntity, UnlockEntity)):
            action = msgspec.structs.replace(action, entity_id=_entity(action.entity_id))
        elif isinstance(action, LockEntities):
            # All SDKs have to lock in one order, or they wait for each other in a ring.
            entities = tuple(sorted({*map(_entity, action.entities)}))
            action = msgspec.structs.replace(action, entities=entities)
        _CHECKS[type(action)](action, limit)
        (ends if isinstance(action, _ENDS) else begun).append(action)
    if len(ends) > 1:
        raise InvalidRequestError("a turn ends its execution once, not several times")
    return begun + ends


def checked_outcome(
    result: EntityResult, item: EntityWorkItem, before: int, limit: int
) -> EntityResult:
    """The outcome of operations of an entity; every orchestration that it starts has an id.

    Args:
        before: actions that earlier operations of the item have asked for.
        limit: as ``checked``.

    Raises:
        InvalidRequestError, SerializationError: no store should have to take this.
    """
    if len(result.results) > len(item.operations):
        raise InvalidRequestError(
            f"{len(item.operations)} operations have {len(result.results)} results"
        )
    for outcome in result.results:
        check_payload(outcome.result, "the result of an operation", limit)
    check_payload(result.state, f"the state of entity {item.instance_id!r}", limit)
    actions: list[EntityAction] = []
    for number, action in enumerate(result.actions, before):
        if isinstance(action, SignalEntity):
            action = msgspec.structs.replace(action, entity_id=_entity(action.entity_id))
            _check_operation(action, limit)
        else:
            if not action.instance_id:
                cause = f"{item.instance_id}:{item.execution_id}:{item.sequence}:{number}"
                made = hashlib.blake2b(cause.encode(), digest_size=16).hexdigest()
                action = msgspec.structs.replace(action, instance_id=made)
            _check_child(action, limit)
        actions.append(action)
    return msgspec.structs.replace(result, actions=actions)


def _entity(text: str) -> str:
    return str(EntityId.parse(text))


_ENDS = (CompleteOrchestration, ContinueAsNew)


def _check_call(
    action: ScheduleTask | CreateSubOrchestration | StartOrchestration, limit: int
) -> None:
    check_text(action.name, "the name of what is called")
    if action.version is not None:
        check_text(action.version, f"the version of {action.name!r}")
    if action.tags is not None:
        checked_tags(action.tags)
    check_payload(action.input, f"the input of {action.name!r}", limit)


def _check_child(action: CreateSubOrchestration | StartOrchestration, limit: int) -> None:
    check_instance_id(action.instance_id, f"the id of an instance of {action.name!r}")
    _check_call(action, limit)


def _check_sent(action: SendEvent, limit: int) -> None:
    check_text(action.instance_id, "the receiver of an event")
    check_text(action.name, "the name of an event")
    check_payload(action.input, f"the data of event {action.name!r}", limit)


def _check_operation(action: CallEntity | SignalEntity, limit: int) -> None:
    check_text(action.operation, "the name of an operation")
    check_payload(action.input, f"the input of operation {action.operation!r}", limit)
    _check_named(action, limit)


def _check_lock(action: LockEntities, limit: int) -> None:
    if not action.entities:
        raise InvalidRequestError("a lock is of at least one entity")
    _check_named(action, limit)


def _check_named(
    action: CallEntity | SignalEntity | LockEntities | UnlockEntity, limit: int
) -> None:
    if action.request_id is not None:
        check_text(action.request_id, "the id of a request to an entity")


def _check_patch(action: ApplyPatch, limit: int) -> None:
    check_text(action.patch_id, "the id of a patch")


def _check_end(action: CompleteOrchestration, limit: int) -> None:
    if action.status not in FINISHED:
        raise InvalidRequestError(f"an orchestration cannot end as {action.status.value}")
    check_payload(action.result, "the result", limit)


def _check_next(action: ContinueAsNew, limit: int) -> None:
    if action.version is not None:
        check_text(action.version, "the version to continue as")
    check_payload(action.input, "the input of the next execution", limit)


_CHECKS: dict[type, Callable[[Any, int], None]] = {
    ScheduleTask: _check_call,
    CreateTimer: lambda action, limit: None,
    CreateSubOrchestration: _check_child,
    SendEvent: _check_sent,
    CallEntity: _check_operation,
    SignalEntity: _check_operation,
    LockEntities: _check_lock,
    UnlockEntity: _check_named,
    ApplyPatch: _check_patch,
    CompleteOrchestration: _check_end,
    ContinueAsNew: _check_next,
}
