"""The words for code that does not do what its history says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.engine.call import (
    ActivityCall,
    ChildCall,
    Ended,
    EntityCall,
    EventTimeout,
    LockCall,
    RetryTimer,
    SentEvent,
    SentSignal,
    SentUnlock,
)
from durabletask.errors import NonDeterminismError
from durabletask.history import (
    ContinuedAsNew,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    EventSent,
    ExecutionCompleted,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from durabletask.task._tasks import TimerTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.engine.session import OrchestrationSession

__all__ = ["END", "mismatch", "unrecorded"]

END = 0
"""The number under which the end of the execution is looked up; calls count from 1."""

_HINT = (
    "An orchestrator must do the same at every replay. Take time and chance from the context "
    "(current_utc_datetime, random, new_uuid), leave I/O to activities, and do not change the "
    "code under running instances: ask ctx.is_patched, or give the new code a new name or version."
)

_RECORDED: dict[type, Callable[[Any], str]] = {
    TaskScheduled: lambda event: f"activity {event.name!r}",
    TimerCreated: lambda event: "a timer",
    SubOrchestrationInstanceCreated: lambda event: f"sub-orchestration {event.name!r}",
    EventSent: lambda event: f"event {event.name!r} to instance {event.instance_id!r}",
    EntityOperationCalled: lambda event: f"operation {event.operation!r} of {event.entity_id!r}",
    EntityOperationSignaled: lambda event: f"signal {event.operation!r} to {event.entity_id!r}",
    EntityLockRequested: lambda event: f"the lock of {', '.join(event.entities)}",
    EntityUnlockSent: lambda event: f"the release of {event.entity_id!r}",
    ExecutionCompleted: lambda event: f"the end as {event.status}",
    ContinuedAsNew: lambda event: "continue_as_new",
}

_ASKED: dict[type, Callable[[Any], str]] = {
    ActivityCall: lambda call: f"activity {call.target.name!r}",
    TimerTask: lambda call: "a timer",
    RetryTimer: lambda call: f"a timer to retry {_ASKED[type(call.call)](call.call)}",
    EventTimeout: lambda call: f"a timer to end the wait for event {call.wait.name!r}",
    ChildCall: lambda call: f"sub-orchestration {call.target.name!r}",
    SentEvent: lambda call: f"event {call.name!r} to instance {call.instance_id!r}",
    EntityCall: lambda call: f"operation {call.operation!r} of {call.entity_id!r}",
    SentSignal: lambda call: f"signal {call.operation!r} to {call.entity_id!r}",
    LockCall: lambda call: f"the lock of {', '.join(call.entities)}",
    SentUnlock: lambda call: f"the release of {call.entity_id!r}",
    Ended: lambda call: call.how,
}


def mismatch(
    session: OrchestrationSession, number: int, event: object, asked: object
) -> NonDeterminismError:
    """History records ``event`` where the code asked for something else, or for nothing (None)."""
    now = "nothing" if asked is None else _ASKED[type(asked)](asked)
    return _error(session, number, _RECORDED[type(event)](event), now)


def unrecorded(session: OrchestrationSession, number: int, asked: object) -> NonDeterminismError:
    """The code asked for something that history does not record in that turn."""
    return _error(session, number, "nothing", _ASKED[type(asked)](asked))


def _error(
    session: OrchestrationSession, number: int, recorded: str, asked: str
) -> NonDeterminismError:
    place = f"call #{number}" if number != END else "the end of the execution"
    return NonDeterminismError(
        f"orchestration {session.registration.name!r}, instance {session.instance_id!r}, turn "
        f"{session.sequence}, {place}: history records {recorded}, but the code now asks for "
        f"{asked}. {_HINT}"
    )
