"""What a worker may ask for in a turn, by table.

Our own worker checks the same before it asks. Others do not, and a text that the database refuses
would take down the batch it is in, which holds the work of everybody else too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.actions import (
    Action,
    ApplyPatch,
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    ScheduleTask,
    SendEvent,
)
from durabletask.errors import InvalidRequestError
from durabletask.limits import check_instance_id, check_payload, check_text, checked_tags
from durabletask.state import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["checked"]


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
        _CHECKS[type(action)](action, limit)
        (ends if isinstance(action, _ENDS) else begun).append(action)
    if len(ends) > 1:
        raise InvalidRequestError("a turn ends its execution once, not several times")
    return begun + ends


_ENDS = (CompleteOrchestration, ContinueAsNew)


def _check_call(action: ScheduleTask | CreateSubOrchestration, limit: int) -> None:
    check_text(action.name, "the name of what is called")
    if action.version is not None:
        check_text(action.version, f"the version of {action.name!r}")
    if action.tags is not None:
        checked_tags(action.tags)
    check_payload(action.input, f"the input of {action.name!r}", limit)


def _check_child(action: CreateSubOrchestration, limit: int) -> None:
    check_instance_id(action.instance_id, "the id of a sub-orchestration")
    _check_call(action, limit)


def _check_sent(action: SendEvent, limit: int) -> None:
    check_text(action.instance_id, "the receiver of an event")
    check_text(action.name, "the name of an event")
    check_payload(action.input, f"the data of event {action.name!r}", limit)


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
    ApplyPatch: _check_patch,
    CompleteOrchestration: _check_end,
    ContinueAsNew: _check_next,
}
