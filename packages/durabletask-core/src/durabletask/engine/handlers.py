"""One function per kind of event, and the tables that choose among them.

A session keeps the table of the state it is in: :data:`ACTIVE`, :data:`SUSPENDED` or
:data:`FINISHED`. This is the hot path of replay, hence plain functions and few calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from durabletask.engine.call import (
    ActivityCall,
    ChildCall,
    EntityCall,
    EventTimeout,
    LockCall,
    RetryTimer,
    SentEvent,
    SentSignal,
    SentUnlock,
)
from durabletask.engine.delivery import deliver
from durabletask.engine.nondeterminism import END, mismatch, unrecorded
from durabletask.engine.retry import try_again
from durabletask.history import (
    ContinuedAsNew,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
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
from durabletask.state import OrchestrationStatus
from durabletask.task._tasks import COMPLETED, FAILED, TimerTask

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger
    from durabletask.engine.session import OrchestrationSession
    from durabletask.history import HistoryEvent

__all__ = ["ACTIVE", "CONTINUED", "FINISHED", "SUSPENDED", "Table", "check_all_confirmed"]

Table = dict[type, Callable[["OrchestrationSession", Any], None]]

_log = logging.getLogger("durabletask.engine")

CONTINUED = "continue_as_new"
_TERMINATED = OrchestrationStatus.TERMINATED.value


# --- the frame of a turn -----------------------------------------------------------------------


def orchestrator_started(session: OrchestrationSession, event: OrchestratorStarted) -> None:
    """**replay-clock**: the clock moves here only, and never back."""
    ledger = session.ledger
    if ledger.unconfirmed:
        check_all_confirmed(session)
    session.sequence += 1
    if event.timestamp > ledger.now:
        ledger.now = event.timestamp
        ledger.now_datetime = None


def execution_started(session: OrchestrationSession, event: ExecutionStarted) -> None:
    session.start(event)


def execution_rewound(session: OrchestrationSession, event: ExecutionRewound) -> None:
    """The body does not hear of it. Its next children may have the ids of some taken back."""
    session.ledger.rewound = True


def execution_completed(session: OrchestrationSession, event: ExecutionCompleted) -> None:
    asked = session.ledger.unconfirmed.pop(END, None)
    if event.status == _TERMINATED:
        return  # nobody asked for it: it came with ExecutionTerminated
    if asked is None or asked.how != f"the end as {event.status}":
        raise mismatch(session, END, event, asked)


def continued_as_new(session: OrchestrationSession, event: ContinuedAsNew) -> None:
    asked = session.ledger.unconfirmed.pop(END, None)
    if asked is None or asked.how != CONTINUED:
        raise mismatch(session, END, event, asked)


def check_all_confirmed(session: OrchestrationSession) -> None:
    """Raise if the turn asked for something that history does not record in it."""
    for number, asked in session.ledger.unconfirmed.items():
        raise unrecorded(session, number, asked)


# --- confirmations, while replaying only -------------------------------------------------------


def task_scheduled(session: OrchestrationSession, event: TaskScheduled) -> None:
    call = session.ledger.unconfirmed.pop(event.task_id, None)
    if call.__class__ is not ActivityCall or call.target.name != event.name:
        if call is None and _sent_anew(session, session.ledger.activities, event):
            return
        raise mismatch(session, event.task_id, event, call)
    if call.retry is not None:
        call.remember(call.retry, event)


def child_created(session: OrchestrationSession, event: SubOrchestrationInstanceCreated) -> None:
    call = session.ledger.unconfirmed.pop(event.task_id, None)
    if call.__class__ is not ChildCall or call.target.name != event.name:
        raise mismatch(session, event.task_id, event, call)
    if call.retry is not None:
        call.remember(call.retry, event)


def timer_created(session: OrchestrationSession, event: TimerCreated) -> None:
    timer = session.ledger.unconfirmed.pop(event.task_id, None)
    if timer.__class__ not in _FIRED:
        if timer is None and _sent_anew(session, session.ledger.timers, event):
            return
        raise mismatch(session, event.task_id, event, timer)


def _sent_anew(
    session: OrchestrationSession, waiting: Mapping[int, Any], event: TaskScheduled | TimerCreated
) -> bool:
    """Whether this is not the body's doing: servers that leave rewinding to workers are told once
    more what is still waited for."""
    return session.ledger.rewound and event.task_id in waiting


def event_sent(session: OrchestrationSession, event: EventSent) -> None:
    sent = session.ledger.unconfirmed.pop(event.task_id, None)
    if (
        not isinstance(sent, SentEvent)
        or sent.name.casefold() != event.name.casefold()
        or sent.instance_id != event.instance_id
    ):
        raise mismatch(session, event.task_id, event, sent)


def operation_called(session: OrchestrationSession, event: EntityOperationCalled) -> None:
    call = session.ledger.unconfirmed.pop(event.task_id, None)
    if not isinstance(call, EntityCall) or not _is_same_operation(call, event):
        raise mismatch(session, event.task_id, event, call)


def operation_signaled(session: OrchestrationSession, event: EntityOperationSignaled) -> None:
    sent = session.ledger.unconfirmed.pop(event.task_id, None)
    if not isinstance(sent, SentSignal) or not _is_same_operation(sent, event):
        raise mismatch(session, event.task_id, event, sent)


def _is_same_operation(
    asked: EntityCall | SentSignal, event: EntityOperationCalled | EntityOperationSignaled
) -> bool:
    return (asked.entity_id, asked.operation) == (event.entity_id, event.operation)


def lock_requested(session: OrchestrationSession, event: EntityLockRequested) -> None:
    call = session.ledger.unconfirmed.pop(event.task_id, None)
    if not isinstance(call, LockCall) or call.entities != event.entities:
        raise mismatch(session, event.task_id, event, call)


def unlock_sent(session: OrchestrationSession, event: EntityUnlockSent) -> None:
    sent = session.ledger.unconfirmed.pop(event.task_id, None)
    if not isinstance(sent, SentUnlock) or sent.entity_id != event.entity_id:
        raise mismatch(session, event.task_id, event, sent)


# --- completions -------------------------------------------------------------------------------


def task_completed(session: OrchestrationSession, event: TaskCompleted) -> None:
    _completed(session, session.ledger.activities.pop(event.task_id, None), event)


def task_failed(session: OrchestrationSession, event: TaskFailed) -> None:
    _failed(session, session.ledger.activities.pop(event.task_id, None), event)


def child_completed(
    session: OrchestrationSession, event: SubOrchestrationInstanceCompleted
) -> None:
    _completed(session, session.ledger.children.pop(event.task_id, None), event)


def child_failed(session: OrchestrationSession, event: SubOrchestrationInstanceFailed) -> None:
    _failed(session, session.ledger.children.pop(event.task_id, None), event)


def _completed(
    session: OrchestrationSession,
    call: ActivityCall | ChildCall | None,
    event: TaskCompleted | SubOrchestrationInstanceCompleted,
) -> None:
    if call is None:
        return unknown(session, event)
    try:
        outcome = session.ledger.converter.deserialize(
            event.result, call.result_type, where=call.target.result_place
        )
    except Exception as error:
        call._settle(FAILED, error)
    else:
        call._settle(COMPLETED, outcome)
    if session.body.awaiting._status:
        session.advance()


def _failed(
    session: OrchestrationSession,
    call: ActivityCall | ChildCall | None,
    event: TaskFailed | SubOrchestrationInstanceFailed,
) -> None:
    if call is None:
        return unknown(session, event)
    try:
        if try_again(session.ledger, session.instance_id, call, event.failure):
            return  # **retry-quiet**: nobody hears of it
    except Exception as error:
        call._settle(FAILED, error)
    else:
        call._settle(FAILED, call.failure(event.failure))
    if session.body.awaiting._status:
        session.advance()


def operation_completed(session: OrchestrationSession, event: EntityOperationCompleted) -> None:
    call = _answered(session, event.task_id)
    if call is None:
        return unknown(session, event)
    try:
        outcome = session.ledger.converter.deserialize(
            event.result, call.result_type, where=call.result_place
        )
    except Exception as error:
        call._settle(FAILED, error)
    else:
        call._settle(COMPLETED, outcome)
    if session.body.awaiting._status:
        session.advance()


def operation_failed(session: OrchestrationSession, event: EntityOperationFailed) -> None:
    call = _answered(session, event.task_id)
    if call is None:
        return unknown(session, event)
    call._settle(FAILED, call.failure(event.failure))
    if session.body.awaiting._status:
        session.advance()


def _answered(session: OrchestrationSession, task_id: int) -> EntityCall | None:
    ledger = session.ledger
    call = ledger.operations.pop(task_id, None) if ledger.operations else None
    if call is not None and ledger.section is not None:
        ledger.section.answered(call.entity_id, task_id)
    return call


def lock_granted(session: OrchestrationSession, event: EntityLockGranted) -> None:
    section = session.ledger.section
    if section is None or not section.grant(session.ledger, event.task_id):
        return unknown(session, event)
    if session.body.awaiting._status:
        session.advance()


def timer_fired(session: OrchestrationSession, event: TimerFired) -> None:
    timer = session.ledger.timers.pop(event.task_id, None)
    if timer is None:
        return unknown(session, event)
    _FIRED[timer.__class__](session.ledger, timer)
    if session.body.awaiting._status:
        session.advance()


def _timer_over(ledger: Ledger, timer: TimerTask) -> None:
    timer._settle(COMPLETED, None)


def _retry_due(ledger: Ledger, timer: RetryTimer) -> None:
    call: Any = timer.call
    call.send_again(ledger, call.retry)


def _patience_over(ledger: Ledger, timeout: EventTimeout) -> None:
    wait = timeout.wait
    ledger.withdraw_wait(wait)
    text = f"no external event {wait.name!r} arrived within {timeout.patience}"
    wait._settle(FAILED, TimeoutError(text))


_FIRED: dict[type, Callable[[Ledger, Any], None]] = {
    TimerTask: _timer_over,
    RetryTimer: _retry_due,
    EventTimeout: _patience_over,
}


def event_raised(session: OrchestrationSession, event: EventRaised) -> None:
    ledger = session.ledger
    wait = ledger.events.arrive(event)
    if wait is not None:
        deliver(ledger, wait, event)
        if session.body.awaiting._status:
            session.advance()


def unknown(session: OrchestrationSession, event: Any) -> None:
    """**replay-unknown**: a duplicate, a cancelled timer, or a loser of a race."""
    if not session.ledger.replaying:
        _log.debug(
            "instance %s: nothing waits for %s of call #%d, it is ignored",
            session.instance_id,
            type(event).__name__,
            event.task_id,
        )


# --- suspension and the end --------------------------------------------------------------------


def suspended(session: OrchestrationSession, event: ExecutionSuspended) -> None:
    session.table = SUSPENDED


def keep_for_later(session: OrchestrationSession, event: HistoryEvent) -> None:
    if session.postponed is None:
        session.postponed = []
    session.postponed.append(event)


def resumed(session: OrchestrationSession, event: ExecutionResumed) -> None:
    postponed, session.postponed = session.postponed or (), None
    session.table = ACTIVE
    session.apply(postponed)


def terminated(session: OrchestrationSession, event: ExecutionTerminated) -> None:
    # Only met while replaying: a live turn with this event in it runs no user code at all. So what
    # replay may have asked for before it came to the event was never sent.
    session.ledger.unconfirmed.clear()
    session.finish()


def kept_after_the_end(session: OrchestrationSession, event: EventRaised) -> None:
    """An event that came with the turn that called continue_as_new may still carry over."""
    session.ledger.events.arrive(event)


def ignored(session: OrchestrationSession, event: HistoryEvent) -> None:
    pass


_FRAME: Table = {
    OrchestratorStarted: orchestrator_started,
    TaskScheduled: task_scheduled,
    TimerCreated: timer_created,
    SubOrchestrationInstanceCreated: child_created,
    EventSent: event_sent,
    EntityOperationCalled: operation_called,
    EntityOperationSignaled: operation_signaled,
    EntityLockRequested: lock_requested,
    EntityUnlockSent: unlock_sent,
    ExecutionTerminated: terminated,
    ExecutionRewound: execution_rewound,
    PatchApplied: ignored,  # all of them were looked up before replay began
    ExecutionCompleted: execution_completed,
    ContinuedAsNew: continued_as_new,
}

ACTIVE: Table = {
    **_FRAME,
    ExecutionStarted: execution_started,
    TaskCompleted: task_completed,
    TaskFailed: task_failed,
    TimerFired: timer_fired,
    SubOrchestrationInstanceCompleted: child_completed,
    SubOrchestrationInstanceFailed: child_failed,
    EntityOperationCompleted: operation_completed,
    EntityOperationFailed: operation_failed,
    EntityLockGranted: lock_granted,
    EventRaised: event_raised,
    ExecutionSuspended: suspended,
    ExecutionResumed: ignored,
}

SUSPENDED: Table = {
    **_FRAME,
    ExecutionStarted: execution_started,
    TaskCompleted: keep_for_later,
    TaskFailed: keep_for_later,
    TimerFired: keep_for_later,
    SubOrchestrationInstanceCompleted: keep_for_later,
    SubOrchestrationInstanceFailed: keep_for_later,
    EntityOperationCompleted: keep_for_later,
    EntityOperationFailed: keep_for_later,
    EntityLockGranted: keep_for_later,
    EventRaised: keep_for_later,
    ExecutionSuspended: ignored,
    ExecutionResumed: resumed,
}
"""**suspend**: what was asked for before is still confirmed; the rest waits for the resume."""

FINISHED: Table = {
    **_FRAME,
    ExecutionStarted: ignored,
    TaskCompleted: ignored,
    TaskFailed: ignored,
    TimerFired: ignored,
    SubOrchestrationInstanceCompleted: ignored,
    SubOrchestrationInstanceFailed: ignored,
    EntityOperationCompleted: ignored,
    EntityOperationFailed: ignored,
    EntityLockGranted: ignored,
    EventRaised: kept_after_the_end,
    ExecutionSuspended: ignored,
    ExecutionResumed: ignored,
}
