"""History events as messages and back, by table.

An event of ours carries no time: it happened in the turn whose ``OrchestratorStarted`` precedes
it, so that is the time its message shows. The kinds that say nothing to an orchestrator have no
counterpart here: reading leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.grpc.convert.entity_events import (
    ANSWERS,
    NAMED_EVENTS,
    READ_ENTITY_EVENT,
    WRITE_ENTITY_EVENT,
)
from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.requests import Requests, request_text
from durabletask.grpc.convert.statuses import read_status, status_number
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_tags,
    read_text,
    text_value,
    timestamp,
)
from durabletask.grpc.extensions import FORMER, PATCH
from durabletask.grpc.protocol import pb
from durabletask.history import (
    ContinuedAsNew,
    EntityLockRequested,
    EntityOperationCalled,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestratorStarted,
    PatchApplied,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durabletask.state import OrchestrationStatus, ParentInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["add_events", "plain_events", "read_events", "requests_of", "texts_in"]

_RECEIVED = -1
"""The event id of everything that was not asked for by the orchestrator."""


# --- to the wire -------------------------------------------------------------------------------


def add_events(target: Any, events: Iterable[HistoryEvent], clock: int = 0) -> int:
    """Append events to a repeated field of a message.

    Args:
        clock: time of the turn they continue, in microseconds, if they do not begin one.

    Returns:
        The time of the last turn among them.
    """
    for event in events:
        if isinstance(event, OrchestratorStarted):
            clock = event.timestamp
        message = target.add()
        message.eventId = _RECEIVED
        message.timestamp.CopyFrom(timestamp(clock))
        _WRITE[event.__class__](message, event)
    return clock


def _write_orchestrator_started(message: pb.HistoryEvent, event: OrchestratorStarted) -> None:
    message.orchestratorStarted.SetInParent()


def _write_execution_started(message: pb.HistoryEvent, event: ExecutionStarted) -> None:
    started = message.executionStarted
    started.name = event.name
    if event.version is not None:
        started.version.value = event.version
    if event.input is not None:
        started.input.value = event.input
    started.orchestrationInstance.instanceId = event.instance_id
    started.orchestrationInstance.executionId.value = event.execution_id
    if event.parent is not None:
        parent = started.parentInstance
        parent.taskScheduledId = event.parent.task_id
        parent.name.value = event.parent.name
        parent.orchestrationInstance.instanceId = event.parent.instance_id
        parent.orchestrationInstance.executionId.value = event.parent.execution_id
    if event.scheduled_start_at is not None:
        started.scheduledStartTimestamp.CopyFrom(timestamp(event.scheduled_start_at))
    if event.tags:
        started.tags.update(event.tags)


def _write_task_scheduled(message: pb.HistoryEvent, event: TaskScheduled) -> None:
    message.eventId = event.task_id
    message.taskScheduled.CopyFrom(
        pb.TaskScheduledEvent(
            name=event.name,
            version=text_value(event.version),
            input=text_value(event.input),
            tags=event.tags,
        )
    )


def _write_child_created(message: pb.HistoryEvent, event: SubOrchestrationInstanceCreated) -> None:
    message.eventId = event.task_id
    message.subOrchestrationInstanceCreated.CopyFrom(
        pb.SubOrchestrationInstanceCreatedEvent(
            instanceId=event.instance_id,
            name=event.name,
            version=text_value(event.version),
            input=text_value(event.input),
            tags=event.tags,
        )
    )


def _write_timer_created(message: pb.HistoryEvent, event: TimerCreated) -> None:
    message.eventId = event.task_id
    message.timerCreated.fireAt.CopyFrom(timestamp(event.fire_at))


def _write_event_sent(message: pb.HistoryEvent, event: EventSent) -> None:
    message.eventId = event.task_id
    sent = message.eventSent
    sent.instanceId, sent.name = event.instance_id, event.name
    if event.input is not None:
        sent.input.value = event.input


def _write_patch_applied(message: pb.HistoryEvent, event: PatchApplied) -> None:
    message.eventSent.instanceId, message.eventSent.name = PATCH, event.patch_id


def _write_timer_fired(message: pb.HistoryEvent, event: TimerFired) -> None:
    message.timerFired.timerId = event.task_id
    message.timerFired.fireAt.CopyFrom(timestamp(event.fire_at))


def _write_event_raised(message: pb.HistoryEvent, event: EventRaised) -> None:
    message.eventRaised.name = event.name
    if event.input is not None:
        message.eventRaised.input.value = event.input


def _result_writer(kind: str) -> Callable[[pb.HistoryEvent, Any], None]:
    def write(message: pb.HistoryEvent, event: Any) -> None:
        completed = getattr(message, kind)
        completed.taskScheduledId = event.task_id
        if event.result is not None:
            completed.result.value = event.result

    return write


def _failure_writer(kind: str) -> Callable[[pb.HistoryEvent, Any], None]:
    def write(message: pb.HistoryEvent, event: Any) -> None:
        failed = getattr(message, kind)
        failed.taskScheduledId = event.task_id
        failed.failureDetails.CopyFrom(failure_message(event.failure))

    return write


def _reason_writer(kind: str) -> Callable[[pb.HistoryEvent, Any], None]:
    def write(message: pb.HistoryEvent, event: Any) -> None:
        changed = getattr(message, kind)
        changed.SetInParent()
        if event.reason is not None:
            changed.input.value = event.reason

    return write


def _write_terminated(message: pb.HistoryEvent, event: ExecutionTerminated) -> None:
    message.executionTerminated.recurse = event.recurse
    if event.output is not None:
        message.executionTerminated.input.value = event.output


def _write_completed(message: pb.HistoryEvent, event: ExecutionCompleted) -> None:
    completed = message.executionCompleted
    completed.orchestrationStatus = status_number(OrchestrationStatus(event.status))
    if event.result is not None:
        completed.result.value = event.result
    if event.failure is not None:
        completed.failureDetails.CopyFrom(failure_message(event.failure))


def _write_rewound(message: pb.HistoryEvent, event: ExecutionRewound) -> None:
    rewound = message.executionRewound
    if event.reason is not None:
        rewound.reason.value = event.reason
    rewound.tags[FORMER] = event.execution_id


def _write_continued(message: pb.HistoryEvent, event: ContinuedAsNew) -> None:
    message.continueAsNew.SetInParent()
    if event.input is not None:
        message.continueAsNew.input.value = event.input


_WRITE: dict[type, Callable[[pb.HistoryEvent, Any], None]] = {
    OrchestratorStarted: _write_orchestrator_started,
    ExecutionStarted: _write_execution_started,
    TaskScheduled: _write_task_scheduled,
    TaskCompleted: _result_writer("taskCompleted"),
    TaskFailed: _failure_writer("taskFailed"),
    TimerCreated: _write_timer_created,
    TimerFired: _write_timer_fired,
    SubOrchestrationInstanceCreated: _write_child_created,
    SubOrchestrationInstanceCompleted: _result_writer("subOrchestrationInstanceCompleted"),
    SubOrchestrationInstanceFailed: _failure_writer("subOrchestrationInstanceFailed"),
    EventSent: _write_event_sent,
    PatchApplied: _write_patch_applied,
    EventRaised: _write_event_raised,
    ExecutionSuspended: _reason_writer("executionSuspended"),
    ExecutionResumed: _reason_writer("executionResumed"),
    ExecutionTerminated: _write_terminated,
    ExecutionCompleted: _write_completed,
    ContinuedAsNew: _write_continued,
    ExecutionRewound: _write_rewound,
    **WRITE_ENTITY_EVENT,
}


# --- from the wire -----------------------------------------------------------------------------


def read_events(
    messages: Iterable[pb.HistoryEvent], requests: Requests | None = None
) -> list[HistoryEvent]:
    """The events of these messages, without those that have no counterpart.

    Args:
        requests: what entities were asked for before, to which that of these events is added.
    """
    if requests is None:
        requests = Requests()
    events: list[HistoryEvent] = []
    for message in messages:
        kind = message.WhichOneof("eventType")
        if kind in _READ:
            events.append(_READ[kind](message, getattr(message, kind)))
        elif kind in READ_ENTITY_EVENT:
            event = READ_ENTITY_EVENT[kind](message, getattr(message, kind), requests)
            if event is not None:
                events.append(event)
    return events


def _read_execution_started(
    message: pb.HistoryEvent, started: pb.ExecutionStartedEvent
) -> ExecutionStarted:
    parent = None
    if started.HasField("parentInstance"):
        info = started.parentInstance
        parent = ParentInstance(
            info.orchestrationInstance.instanceId,
            info.orchestrationInstance.executionId.value,
            info.taskScheduledId,
            info.name.value,
        )
    start_at = (
        read_instant(started.scheduledStartTimestamp)
        if started.HasField("scheduledStartTimestamp")
        else None
    )
    return ExecutionStarted(
        started.name,
        started.orchestrationInstance.instanceId,
        started.orchestrationInstance.executionId.value,
        read_text(started, "input"),
        optional_text(started, "version"),
        parent,
        read_tags(started.tags),
        start_at,
    )


def _read_event_sent(message: pb.HistoryEvent, sent: pb.EventSentEvent) -> HistoryEvent:
    if sent.instanceId == PATCH:
        return PatchApplied(sent.name)
    return EventSent(message.eventId, sent.instanceId, sent.name, read_text(sent, "input"))


def _read_execution_completed(
    message: pb.HistoryEvent, completed: pb.ExecutionCompletedEvent
) -> HistoryEvent:
    if completed.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
        return ContinuedAsNew(read_text(completed, "result"))
    failed = completed.HasField("failureDetails")
    return ExecutionCompleted(
        read_status(completed.orchestrationStatus).value,
        read_text(completed, "result"),
        read_failure(completed.failureDetails) if failed else None,
    )


_READ: dict[str, Callable[[pb.HistoryEvent, Any], HistoryEvent]] = {
    "orchestratorStarted": lambda m, e: OrchestratorStarted(read_instant(m.timestamp)),
    "executionStarted": _read_execution_started,
    "executionCompleted": _read_execution_completed,
    "executionTerminated": lambda m, e: ExecutionTerminated(read_text(e, "input"), e.recurse),
    "executionSuspended": lambda m, e: ExecutionSuspended(read_text(e, "input")),
    "executionResumed": lambda m, e: ExecutionResumed(read_text(e, "input")),
    "executionRewound": lambda m, e: ExecutionRewound(
        e.tags.get(FORMER, ""), read_text(e, "reason")
    ),
    "continueAsNew": lambda m, e: ContinuedAsNew(read_text(e, "input")),
    "taskScheduled": lambda m, e: TaskScheduled(
        m.eventId,
        e.name,
        read_text(e, "input"),
        optional_text(e, "version"),
        read_tags(e.tags),
    ),
    "taskCompleted": lambda m, e: TaskCompleted(e.taskScheduledId, read_text(e, "result")),
    "taskFailed": lambda m, e: TaskFailed(e.taskScheduledId, read_failure(e.failureDetails)),
    "timerCreated": lambda m, e: TimerCreated(m.eventId, read_instant(e.fireAt)),
    "timerFired": lambda m, e: TimerFired(e.timerId, read_instant(e.fireAt)),
    "subOrchestrationInstanceCreated": lambda m, e: SubOrchestrationInstanceCreated(
        m.eventId,
        e.name,
        e.instanceId,
        read_text(e, "input"),
        optional_text(e, "version"),
        read_tags(e.tags),
    ),
    "subOrchestrationInstanceCompleted": lambda m, e: SubOrchestrationInstanceCompleted(
        e.taskScheduledId, read_text(e, "result")
    ),
    "subOrchestrationInstanceFailed": lambda m, e: SubOrchestrationInstanceFailed(
        e.taskScheduledId, read_failure(e.failureDetails)
    ),
    "eventSent": _read_event_sent,
    "eventRaised": lambda m, e: EventRaised(e.name, read_text(e, "input")),
}


# --- what entities were asked for --------------------------------------------------------------


def requests_of(history: Iterable[HistoryEvent], *, only_known: bool = False) -> Requests:
    """What an execution with this history has asked entities for; ``only_known`` as there."""
    requests = Requests(only_known=only_known)
    for event in history:
        if isinstance(event, (EntityOperationCalled, EntityLockRequested)):
            requests.note(event.request_id or request_text(event.task_id), event.task_id)
    return requests


def plain_events(events: Iterable[HistoryEvent]) -> list[HistoryEvent]:
    """The events for a worker of ours, which goes by the numbers, whoever made the turns before."""
    return [
        msgspec.structs.replace(event, request_id=None)
        if isinstance(event, NAMED_EVENTS) and event.request_id is not None
        else event
        for event in events
    ]


def texts_in(events: Iterable[HistoryEvent]) -> list[tuple[str, int]]:
    """What answers among these events say that others have chosen, and the numbers for it."""
    return [
        (event.request_id, event.task_id)
        for event in events
        if isinstance(event, ANSWERS) and event.request_id is not None
    ]
