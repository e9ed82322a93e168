"""Rewinding on servers that leave it to the worker to rewrite the history.

Such a server sends a turn whose new events say that a FAILED execution is rewound. The answer is
one action with the history to put in place of the old one. After that comes a plain turn, in which
nothing is new: what the body is to receive anew has to be part of that history, and what is to run
again has to be asked for again, for such a server starts nothing by itself.

So the rewritten history ends with what is received anew, and the plain turn begins where that does.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from durabletask.actions import CallEntity, CompleteOrchestration, CreateTimer, ScheduleTask
from durabletask.engine import failure_of
from durabletask.engine.open_work import open_activities, open_operations, open_timers
from durabletask.engine.rewind import rewound
from durabletask.errors import OrchestrationStateError
from durabletask.grpc.convert import action_message, add_events, read_text
from durabletask.grpc.protocol import pb
from durabletask.history import (
    EntityOperationCalled,
    ExecutionCompleted,
    ExecutionRewound,
    ExecutionStarted,
    HistoryEvent,
    OrchestratorStarted,
)
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.actions import Action

__all__ = ["Turn", "rewind_response", "turn_of"]


class Turn(NamedTuple):
    """A turn as the engine takes it.

    Attributes:
        past, events: the committed turns, and the events of this one.
        again: what its answer has to ask for beside what the body asks for.
    """

    past: list[HistoryEvent]
    events: list[HistoryEvent]
    again: tuple[Action, ...] = ()


def rewind_response(
    request: pb.OrchestratorRequest, completion: str, past: Sequence[HistoryEvent]
) -> pb.OrchestratorResponse | None:
    """The answer to a turn that asks for the rewritten history; None to any other turn.

    An execution that cannot be rewound fails once more, and says why.

    Raises:
        ValueError: the history has no beginning.
    """
    if not any(isinstance(event, ExecutionCompleted) for event in past):
        return None
    asked = [e.executionRewound for e in request.newEvents if e.HasField("executionRewound")]
    if not asked:
        return None
    started = next((event for event in past if isinstance(event, ExecutionStarted)), None)
    if started is None:
        raise ValueError("the history to rewind does not say what was started")
    former = request.executionId.value or started.execution_id
    news = ExecutionRewound(former, read_text(asked[0], "reason"))
    try:
        after = rewound(past, news)
    except OrchestrationStateError as error:  # given back, the turn would come again and again
        failure = failure_of(error, non_retriable=True)
        end = CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure)
        return pb.OrchestratorResponse(
            instanceId=request.instanceId,
            completionToken=completion,
            actions=[action_message(end)],
        )
    successor = _successor(started, read_text(asked[0], "parentExecutionId"))
    events = [
        successor if event is started else event
        for turn in (*after.turns, after.received)
        for event in turn
    ]
    response = pb.OrchestratorResponse(instanceId=request.instanceId, completionToken=completion)
    action = response.actions.add(id=-1)
    add_events(action.rewindOrchestration.newHistory, events)
    return response


def _successor(started: ExecutionStarted, parent_execution: str | None) -> ExecutionStarted:
    parent = started.parent
    if parent is not None and parent_execution:
        parent = msgspec.structs.replace(parent, execution_id=parent_execution)
    # A server that gives executions no ids does not get one for this one either.
    execution_id = uuid.uuid4().hex if started.execution_id else ""
    return msgspec.structs.replace(started, execution_id=execution_id, parent=parent)


def turn_of(past: list[HistoryEvent], events: list[HistoryEvent]) -> Turn:
    """Read a history that may have been rewritten as above.

    Args:
        past: as the server keeps it.
        events: of the new turn, ``OrchestratorStarted`` first.
    """
    if not any(isinstance(event, ExecutionRewound) for event in past):
        return Turn(past, events)
    past, tail = _settled(_with_first_id(past))
    if tail is None:
        return Turn(_sent_once(past), events)
    begun, received = _sent_once(past[:tail]), past[tail:]
    known = [*begun, *received]
    again: list[Action] = [
        ScheduleTask(task.task_id, task.name, task.input, task.version, task.tags)
        for task in open_activities(known).values()
    ]
    again += [CreateTimer(timer.task_id, timer.fire_at) for timer in open_timers(known).values()]
    again += [
        CallEntity(call.task_id, call.entity_id, call.operation, call.input)
        for call in open_operations(known).values()
    ]
    return Turn(begun, [events[0], *received, *events[1:]], tuple(again))


def _with_first_id(past: list[HistoryEvent]) -> list[HistoryEvent]:
    """Let the body see the execution id by which it has lived since the beginning."""
    first = next(event for event in past if isinstance(event, ExecutionRewound)).execution_id
    return [
        msgspec.structs.replace(event, execution_id=first)
        if first and isinstance(event, ExecutionStarted)
        else event
        for event in past
    ]


def _sent_once(past: list[HistoryEvent]) -> list[HistoryEvent]:
    """Leave out calls of entities that were sent again: the body has made each of them once."""
    made: set[int] = set()
    events: list[HistoryEvent] = []
    for event in past:
        if isinstance(event, EntityOperationCalled):
            if event.task_id in made:
                continue
            made.add(event.task_id)
        events.append(event)
    return events


def _settled(past: list[HistoryEvent]) -> tuple[list[HistoryEvent], int | None]:
    """Put the begin of each plain turn before what it received.

    Returns the history, and where in it begins what no turn has received yet.
    """
    settled: list[HistoryEvent] = []
    tail: int | None = None
    for event in past:
        if isinstance(event, OrchestratorStarted) and tail is not None:
            settled.insert(tail, event)
            tail = None
            continue
        if isinstance(event, ExecutionRewound) and tail is None:
            at = len(settled)
            while at and isinstance(settled[at - 1], ExecutionStarted):
                at -= 1
            before = settled[at - 1] if at else None
            if not isinstance(before, (OrchestratorStarted, ExecutionRewound)):
                tail = at
        settled.append(event)
    return settled, tail
