"""What is left of a history when its orchestration is to go on from before it failed.

Pure: the history of a FAILED execution in, what its rewound successor begins with out.

A body is replayed against its history call by call, so nothing may stay in it that the body asked
for because of a result that goes. Hence three parts, from the end backwards:

* From the *cut* on, what the body asked for goes with all that came of it, and so do attempts that
  were sent again there. What came in for other reasons is kept and given to the body anew, as
  events of the first turn after the rewind: it may well do something else with them now.
* Before the cut lie turns in which only retries were sent. No body asked for those, so the turns
  stay as they are, less the results that failed for good.
* Everything earlier stays as it is. Failures there were dealt with: the body went on after them.

A call whose failed result went has a schedule and no outcome, as one that was under way when its
worker died, and is run again as such, with its number and its arguments. So a call with a retry
policy is given its last attempt once more.

The locks of entities that a failed execution held were given up when it failed, and others have had
the entities since. So what is left must not believe that it holds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.engine.open_work import follow_locks
from durabletask.errors import OrchestrationStateError
from durabletask.history import (
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
    HistoryEvent,
    OrchestratorStarted,
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
    from collections.abc import Sequence

    from durabletask.state import FailureDetails

__all__ = ["RewoundHistory", "rewound"]

_CALLS = (TaskScheduled, SubOrchestrationInstanceCreated, EntityOperationCalled)
_SENT = (EventSent, EntityOperationSignaled, EntityLockRequested, EntityUnlockSent)
_ASKED = (*_CALLS, *_SENT, TimerCreated)
_FAILED = (TaskFailed, SubOrchestrationInstanceFailed, EntityOperationFailed)
_ANSWERS = (
    TaskCompleted,
    SubOrchestrationInstanceCompleted,
    EntityOperationCompleted,
    EntityLockGranted,
    TimerFired,
)
_TOLD = (EventRaised, ExecutionSuspended, ExecutionResumed)

Turn = list[HistoryEvent]


class RewoundHistory(msgspec.Struct, frozen=True):
    """What the successor of a failed execution begins with.

    Attributes:
        turns: its committed history.
        received: what its next turn receives, in order; ``ExecutionStarted`` first if no turn is
            left.
    """

    turns: list[Turn]
    received: list[HistoryEvent]


def rewound(history: Sequence[HistoryEvent], news: ExecutionRewound) -> RewoundHistory:
    """Take back the failure of an execution, and of the calls that it failed of.

    Args:
        history: of the execution, complete.
        news: what the next turn is told, and history keeps.

    Raises:
        OrchestrationStateError: it held a lock of entities where it is to go on.
    """
    turns = _turns_of(history)
    schedule = _Schedule(turns)
    start, cut = _reach(turns, schedule, len(turns) - 1)
    culprit = _culprit(turns, _causes(history))
    if culprit < start:
        # It failed of a result after which the body has asked for more, compensations perhaps.
        start, cut = _reach(turns, schedule, _next_asking(turns, schedule, culprit))
    kept = turns[:cut]
    for position in range(start, cut):
        kept[position] = [
            event for event in turns[position] if not schedule.gives_up(event, position)
        ]
    locks: dict[int, tuple[str, ...]] = {}
    for turn in kept:
        follow_locks(locks, turn)
    if locks:
        held = ", ".join(entity for entities in locks.values() for entity in entities)
        raise OrchestrationStateError(
            f"the execution {news.execution_id} held the lock of {held} when it failed, and has "
            "given it up since: it cannot go on as if it held it still. Restart it instead"
        )
    received = _received(turns, cut, schedule, news)
    return RewoundHistory(_with_origins(kept, received, news), received)


# --- where to cut ------------------------------------------------------------------------------


class _Schedule:
    """In which turns each call was sent, the first time and the last."""

    def __init__(self, turns: list[Turn]) -> None:
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        for position, turn in enumerate(turns):
            for event in turn:
                if isinstance(event, _CALLS):
                    self._first.setdefault(event.task_id, position)
                    self._last[event.task_id] = position

    def gives_up(self, event: HistoryEvent, position: int) -> bool:
        """Whether the event of this turn is a failure after which the call was not sent again."""
        return isinstance(event, _FAILED) and self._last.get(event.task_id, -1) <= position

    def is_sent(self, task_id: int, cut: int) -> bool:
        """Whether a call was sent, perhaps once more, in the turn ``cut`` or later."""
        return self._last.get(task_id, -1) >= cut

    def only_retries(self, turn: Turn, position: int) -> bool:
        """Whether the body asked for nothing in this turn.

        A call that comes again keeps its number. Its timer does not say whose it is, but belongs
        to the turn in which the attempt failed, so that many timers there are no author's.
        """
        timers = attempts = 0
        for event in turn:
            if isinstance(event, _CALLS):
                if self._first[event.task_id] == position:
                    return False
            elif isinstance(event, _SENT):
                return False
            elif isinstance(event, TimerCreated):
                timers += 1
            elif isinstance(event, _FAILED) and not self.gives_up(event, position):
                attempts += 1
        return timers <= attempts


def _reach(turns: list[Turn], schedule: _Schedule, end: int) -> tuple[int, int]:
    """The turns ``(start, cut)`` between which failures go, if all from ``cut`` is taken back.

    ``end`` is the latest turn to cut at. If nothing at all was asked for in the turns before it,
    they are given anew rather than kept without their failures: then the body is free to do other
    things with what came beside these, as it must be after ``when_any``.
    """
    at = start = cut = end
    while at and not any(isinstance(event, _ASKED) for event in turns[at - 1]):
        at -= 1
        if any(isinstance(event, _FAILED) for event in turns[at]):
            start = cut = at
    while at and schedule.only_retries(turns[at - 1], at - 1):
        at -= 1
        if any(schedule.gives_up(event, at) for event in turns[at]):
            start = at
    return start, cut


def _next_asking(turns: list[Turn], schedule: _Schedule, position: int) -> int:
    """The first turn from ``position`` on in which the body asked for something, or the last."""
    while position < len(turns) - 1 and schedule.only_retries(turns[position], position):
        position += 1
    return position


def _causes(history: Sequence[HistoryEvent]) -> list[FailureDetails]:
    """What the execution failed of: the failure, its cause, and so on."""
    causes: list[FailureDetails] = []
    for event in history:
        if isinstance(event, ExecutionCompleted):
            details = event.failure
            while details is not None:
                causes.append(details)
                details = details.cause
    return causes


def _culprit(turns: list[Turn], causes: list[FailureDetails]) -> int:
    """The last turn that brought one of the causes; the very last if they came from within."""
    for position in range(len(turns) - 1, -1, -1):
        for event in turns[position]:
            if isinstance(event, _FAILED) and event.failure in causes:
                return position
    return len(turns) - 1


def _turns_of(history: Sequence[HistoryEvent]) -> list[Turn]:
    turns: list[Turn] = []
    for event in history:
        if isinstance(event, OrchestratorStarted) or not turns:
            turns.append([])
        turns[-1].append(event)
    return turns


# --- what is given anew ------------------------------------------------------------------------


def _with_origins(
    turns: list[Turn], received: list[HistoryEvent], news: ExecutionRewound
) -> list[Turn]:
    """Note in what is to run again which execution it is from: the call stays the same one.

    Its idempotency key depends on it. The successor may use the number of a call that is taken
    back for another call, which then has another key.
    """
    done = {
        event.task_id
        for turn in (*turns, received)
        for event in turn
        if isinstance(event, TaskCompleted)
    }
    return [
        [
            msgspec.structs.replace(event, origin=news.execution_id)
            if isinstance(event, TaskScheduled)
            and event.origin is None
            and event.task_id not in done
            else event
            for event in turn
        ]
        for turn in turns
    ]


def _received(
    turns: list[Turn], cut: int, schedule: _Schedule, news: ExecutionRewound
) -> list[HistoryEvent]:
    """What came in from the cut on, less the answers to what was asked for or retried there."""
    asked = {event.task_id for turn in turns[:cut] for event in turn if isinstance(event, _ASKED)}
    began: list[HistoryEvent] = []
    told: list[HistoryEvent] = []
    for turn in turns[cut:]:
        for event in turn:
            if isinstance(event, (ExecutionStarted, ExecutionRewound)):
                began.append(event)
            elif isinstance(event, _TOLD) or (
                isinstance(event, _ANSWERS)
                and event.task_id in asked
                and not schedule.is_sent(event.task_id, cut)
            ):
                told.append(event)
    return [*began, news, *told]
