"""Actions of an orchestrator as messages and back, by table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from durabletask.grpc.convert.entity_actions import WRITE_ENTITY_ACTION, read_entity_action
from durabletask.grpc.convert.events import add_events, read_events
from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.requests import Requests
from durabletask.grpc.convert.statuses import read_status, status_number
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_tags,
    read_text,
    text_value,
    timestamp,
)
from durabletask.grpc.extensions import PATCH
from durabletask.grpc.protocol import pb
from durabletask.history import EventRaised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from durabletask.history import EntityCaller

__all__ = ["action_message", "read_actions"]


def action_message(
    action: Action, caller: EntityCaller | None = None, scope: str = ""
) -> pb.OrchestratorAction:
    """An action as a message.

    Args:
        caller: whose action it is; entities are told.
        scope: what sets our texts for requests to entities apart from those of everybody else.
    """
    kind = action.__class__
    if kind in WRITE_ENTITY_ACTION:
        sent = WRITE_ENTITY_ACTION[kind](action, caller, scope)
        return pb.OrchestratorAction(id=action.task_id, sendEntityMessage=sent)  # type: ignore[union-attr]
    return _WRITE[kind](action)


def _schedule_task(action: ScheduleTask) -> pb.OrchestratorAction:
    scheduled = pb.ScheduleTaskAction(
        name=action.name,
        version=text_value(action.version),
        input=text_value(action.input),
        tags=action.tags,
    )
    return pb.OrchestratorAction(id=action.task_id, scheduleTask=scheduled)


def _create_timer(action: CreateTimer) -> pb.OrchestratorAction:
    timer = pb.CreateTimerAction(fireAt=timestamp(action.fire_at))
    return pb.OrchestratorAction(id=action.task_id, createTimer=timer)


def _create_child(action: CreateSubOrchestration) -> pb.OrchestratorAction:
    child = pb.CreateSubOrchestrationAction(
        instanceId=action.instance_id,
        name=action.name,
        version=text_value(action.version),
        input=text_value(action.input),
        tags=action.tags,
    )
    return pb.OrchestratorAction(id=action.task_id, createSubOrchestration=child)


def _send_event(action: SendEvent) -> pb.OrchestratorAction:
    sent = pb.SendEventAction(
        instance=pb.OrchestrationInstance(instanceId=action.instance_id),
        name=action.name,
        data=text_value(action.input),
    )
    return pb.OrchestratorAction(id=action.task_id, sendEvent=sent)


def _apply_patch(action: ApplyPatch) -> pb.OrchestratorAction:
    sent = pb.SendEventAction(
        instance=pb.OrchestrationInstance(instanceId=PATCH), name=action.patch_id
    )
    return pb.OrchestratorAction(id=_UNNUMBERED, sendEvent=sent)


def _complete(action: CompleteOrchestration) -> pb.OrchestratorAction:
    failure = action.failure
    completed = pb.CompleteOrchestrationAction(
        orchestrationStatus=status_number(action.status),
        result=text_value(action.result),
        failureDetails=None if failure is None else failure_message(failure),
    )
    return pb.OrchestratorAction(id=_END, completeOrchestration=completed)


def _continue_as_new(action: ContinueAsNew) -> pb.OrchestratorAction:
    continued = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
        result=text_value(action.input),
        newVersion=text_value(action.version),
    )
    add_events(continued.carryoverEvents, action.carryover)
    return pb.OrchestratorAction(id=_END, completeOrchestration=continued)


_UNNUMBERED = _END = -1
"""The id of the action that ends an execution, and of patches: no event refers to it."""

_WRITE: dict[type, Callable[[Any], pb.OrchestratorAction]] = {
    ScheduleTask: _schedule_task,
    CreateTimer: _create_timer,
    CreateSubOrchestration: _create_child,
    SendEvent: _send_event,
    ApplyPatch: _apply_patch,
    CompleteOrchestration: _complete,
    ContinueAsNew: _continue_as_new,
}


def read_actions(
    messages: Iterable[pb.OrchestratorAction], requests: Requests | None = None
) -> list[Action]:
    """The actions of these messages.

    A child is marked as retried: SDKs repeat the id of a finished child to try it again, and the
    protocol does not say that they do.

    Args:
        requests: what the execution has asked entities for before.

    Raises:
        ValueError: an action is of a kind that this server cannot carry out.
        InvalidRequestError: an instant or a status is none.
    """
    if requests is None:
        requests = Requests()
    return [_read(message, requests) for message in messages]


def _read(message: pb.OrchestratorAction, requests: Requests) -> Action:
    kind = message.WhichOneof("orchestratorActionType")
    if kind == "sendEntityMessage":
        return read_entity_action(message.id, message.sendEntityMessage, requests)
    read = _READ.get(kind or "")
    if read is None:
        raise ValueError(f"the action {kind!r} cannot be carried out by this server")
    return read(message.id, getattr(message, kind or ""))


def _read_sent(number: int, sent: pb.SendEventAction) -> Action:
    if sent.instance.instanceId == PATCH:
        return ApplyPatch(sent.name)
    return SendEvent(number, sent.instance.instanceId, sent.name, read_text(sent, "data"))


def _read_end(number: int, end: pb.CompleteOrchestrationAction) -> Action:
    if end.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
        raised = (e for e in read_events(end.carryoverEvents) if isinstance(e, EventRaised))
        return ContinueAsNew(
            read_text(end, "result"), tuple(raised), optional_text(end, "newVersion")
        )
    failed = end.HasField("failureDetails")
    return CompleteOrchestration(
        read_status(end.orchestrationStatus),
        read_text(end, "result"),
        read_failure(end.failureDetails) if failed else None,
    )


_READ: dict[str, Callable[[int, Any], Action]] = {
    "scheduleTask": lambda number, a: ScheduleTask(
        number, a.name, read_text(a, "input"), optional_text(a, "version"), read_tags(a.tags)
    ),
    "createTimer": lambda number, a: CreateTimer(number, read_instant(a.fireAt)),
    "createSubOrchestration": lambda number, a: CreateSubOrchestration(
        number,
        a.name,
        a.instanceId,
        read_text(a, "input"),
        optional_text(a, "version"),
        read_tags(a.tags),
        retried=True,
    ),
    "sendEvent": _read_sent,
    "completeOrchestration": _read_end,
}
