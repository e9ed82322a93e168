"""What an execution has begun and not heard the end of, read from its history.

Pure: events in, in the order of the history, and what is open by its number out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from durabletask.history import (
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityUnlockSent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.history import HistoryEvent

__all__ = ["follow_locks", "open_activities", "open_children", "open_operations", "open_timers"]

Begun = TypeVar(
    "Begun", TaskScheduled, SubOrchestrationInstanceCreated, EntityOperationCalled, TimerCreated
)
Outcome = (
    TaskCompleted
    | TaskFailed
    | SubOrchestrationInstanceCompleted
    | SubOrchestrationInstanceFailed
    | EntityOperationCompleted
    | EntityOperationFailed
    | TimerFired
)


def open_activities(history: Iterable[HistoryEvent]) -> dict[int, TaskScheduled]:
    """Activities that were scheduled and have no outcome in this history, by number.

    A retried activity repeats its number; the last schedule without an outcome counts.
    """
    return _open(history, TaskScheduled, TaskCompleted, TaskFailed)


def open_children(history: Iterable[HistoryEvent]) -> dict[int, SubOrchestrationInstanceCreated]:
    """Children that were started and have no outcome in this history, by number."""
    return _open(
        history,
        SubOrchestrationInstanceCreated,
        SubOrchestrationInstanceCompleted,
        SubOrchestrationInstanceFailed,
    )


def open_operations(history: Iterable[HistoryEvent]) -> dict[int, EntityOperationCalled]:
    """Calls of entities that have no outcome in this history, by number."""
    return _open(history, EntityOperationCalled, EntityOperationCompleted, EntityOperationFailed)


def open_timers(history: Iterable[HistoryEvent]) -> dict[int, TimerFired]:
    """The firings of timers that were created and have not fired in this history, by number."""
    created = _open(history, TimerCreated, TimerFired)
    return {number: TimerFired(number, timer.fire_at) for number, timer in created.items()}


def _open(
    history: Iterable[HistoryEvent], begun: type[Begun], *outcomes: type[Outcome]
) -> dict[int, Begun]:
    waiting: dict[int, Begun] = {}
    for event in history:
        if isinstance(event, begun):
            waiting[event.task_id] = event
        elif isinstance(event, outcomes):
            waiting.pop(event.task_id, None)
    return waiting


def follow_locks(locks: dict[int, tuple[str, ...]], events: Iterable[HistoryEvent]) -> None:
    """Bring ``locks`` up to date with what an orchestration has asked for in these events.

    It maps the number of each lock that was asked for to those of its entities that have not been
    given up. Whether the lock was granted does not matter: it is to be given up either way.
    """
    for event in events:
        if isinstance(event, EntityLockRequested):
            locks[event.task_id] = event.entities
        elif isinstance(event, EntityUnlockSent):
            left = tuple(e for e in locks.get(event.lock_id, ()) if e != event.entity_id)
            if left:
                locks[event.lock_id] = left
            else:
                locks.pop(event.lock_id, None)
