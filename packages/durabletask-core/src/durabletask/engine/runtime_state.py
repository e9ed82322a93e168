"""From what an orchestrator asked for to what must be recorded, started and sent.

Pure: events and actions in, :class:`TurnOutcome` out. This is the only place that turns actions
into history, for every backend that keeps history itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

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
    UnlockEntity,
)
from durabletask.history import (
    ContinuedAsNew,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    EntityUnlockSent,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    HistoryEvent,
    PatchApplied,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "TurnOutcome",
    "apply_actions",
    "status_after",
]

Item = TypeVar("Item")


class TurnOutcome(msgspec.Struct, eq=False, gc=False):
    """What one turn leads to.

    Most turns do one thing, so what a turn does not do is a shared empty tuple.

    Attributes:
        events: the turn as history records it, received events first.
        activities, timers, children, sent, asked: what starts once the turn is durable, in order;
            ``asked`` is what entities are asked for, without saying by whom.
        completion, continuation: how the execution ended, if it did; never both.
    """

    events: list[HistoryEvent]
    activities: Sequence[TaskScheduled] = ()
    timers: Sequence[TimerFired] = ()
    children: Sequence[CreateSubOrchestration] = ()
    sent: Sequence[tuple[str, EventRaised]] = ()
    asked: Sequence[tuple[str, EntityRequest]] = ()
    completion: CompleteOrchestration | None = None
    continuation: ContinueAsNew | None = None

    @property
    def ended(self) -> bool:
        """Whether the execution is over."""
        return self.completion is not None or self.continuation is not None


def apply_actions(received: Sequence[HistoryEvent], actions: Sequence[Action]) -> TurnOutcome:
    """The outcome of a turn that received these events and asked for these actions."""
    outcome = TurnOutcome([*received])
    for action in actions:
        _APPLY[type(action)](outcome, action)
    return outcome


def _add(items: Sequence[Item], item: Item) -> Sequence[Item]:
    """Append, making a list of the shared empty tuple first."""
    if isinstance(items, list):
        items.append(item)
        return items
    return [item]


def _schedule_task(outcome: TurnOutcome, action: ScheduleTask) -> None:
    event = TaskScheduled(
        action.task_id, action.name, action.input, action.version, action.tags, action.origin
    )
    outcome.events.append(event)
    outcome.activities = _add(outcome.activities, event)


def _create_timer(outcome: TurnOutcome, action: CreateTimer) -> None:
    outcome.events.append(TimerCreated(action.task_id, action.fire_at))
    outcome.timers = _add(outcome.timers, TimerFired(action.task_id, action.fire_at))


def _create_child(outcome: TurnOutcome, action: CreateSubOrchestration) -> None:
    outcome.events.append(
        SubOrchestrationInstanceCreated(
            action.task_id,
            action.name,
            action.instance_id,
            action.input,
            action.version,
            action.tags,
        )
    )
    outcome.children = _add(outcome.children, action)


def _send_event(outcome: TurnOutcome, action: SendEvent) -> None:
    outcome.events.append(EventSent(action.task_id, action.instance_id, action.name, action.input))
    event = EventRaised(action.name, action.input)
    outcome.sent = _add(outcome.sent, (action.instance_id, event))


def _call_entity(outcome: TurnOutcome, action: CallEntity) -> None:
    event = EntityOperationCalled(
        action.task_id,
        action.entity_id,
        action.operation,
        action.input,
        request_id=action.request_id,
    )
    _ask(outcome, action.entity_id, event)


def _signal_entity(outcome: TurnOutcome, action: SignalEntity) -> None:
    event = EntityOperationSignaled(
        action.task_id,
        action.entity_id,
        action.operation,
        action.input,
        action.scheduled_at,
        action.request_id,
    )
    _ask(outcome, action.entity_id, event)


def _lock_entities(outcome: TurnOutcome, action: LockEntities) -> None:
    event = EntityLockRequested(action.task_id, action.entities, request_id=action.request_id)
    _ask(outcome, action.entities[0], event)


def _unlock_entity(outcome: TurnOutcome, action: UnlockEntity) -> None:
    event = EntityUnlockSent(
        action.task_id, action.entity_id, action.lock_id, request_id=action.request_id
    )
    _ask(outcome, action.entity_id, event)


def _ask(outcome: TurnOutcome, entity_id: str, event: EntityRequest) -> None:
    outcome.events.append(event)
    outcome.asked = _add(outcome.asked, (entity_id, event))


def _apply_patch(outcome: TurnOutcome, action: ApplyPatch) -> None:
    outcome.events.append(PatchApplied(action.patch_id))


def _complete(outcome: TurnOutcome, action: CompleteOrchestration) -> None:
    outcome.events.append(ExecutionCompleted(action.status.value, action.result, action.failure))
    outcome.completion = action


def _continue_as_new(outcome: TurnOutcome, action: ContinueAsNew) -> None:
    outcome.events.append(ContinuedAsNew(action.input))
    outcome.continuation = action


# Keyed by the exact type; the union of actions is closed, so a missing key is a bug of ours.
_APPLY: dict[type, Callable[[TurnOutcome, Any], None]] = {
    ScheduleTask: _schedule_task,
    CreateTimer: _create_timer,
    CreateSubOrchestration: _create_child,
    SendEvent: _send_event,
    CallEntity: _call_entity,
    SignalEntity: _signal_entity,
    LockEntities: _lock_entities,
    UnlockEntity: _unlock_entity,
    ApplyPatch: _apply_patch,
    CompleteOrchestration: _complete,
    ContinueAsNew: _continue_as_new,
}

_STATUS_AFTER = {
    ExecutionStarted: OrchestrationStatus.RUNNING,
    ExecutionSuspended: OrchestrationStatus.SUSPENDED,
    ExecutionResumed: OrchestrationStatus.RUNNING,
}


def status_after(
    status: OrchestrationStatus, received: Iterable[HistoryEvent]
) -> OrchestrationStatus:
    """The status once these events are applied to an instance that has not finished."""
    for event in received:
        status = _STATUS_AFTER.get(type(event), status)
    return status
