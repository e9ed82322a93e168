"""Turns as they arrive over the wire, and as they go back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET

from durabletask.backend import ActivityWorkItem, OrchestrationWorkItem
from durabletask.grpc.client.rewinding import turn_of
from durabletask.grpc.convert import (
    Requests,
    action_message,
    optional_text,
    read_events,
    read_tags,
    read_text,
    requests_of,
)
from durabletask.grpc.extensions import CONTINUES, NAME, REQUESTS, SEQUENCE, VERSION
from durabletask.grpc.protocol import pb
from durabletask.history import EntityCaller, ExecutionStarted, OrchestratorStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.actions import Action
    from durabletask.backend import OrchestrationResult
    from durabletask.history import HistoryEvent

__all__ = ["Ticket", "activity_item", "failed_turn", "responses", "turn_item", "turns_in"]

_CHUNK = 3_900_000
"""Bytes of a response; servers take 4 MiB unless they were told otherwise."""


class Ticket(NamedTuple):
    """The token of a work item.

    Attributes:
        completion: the server's completion token.
        past: the history that came with a turn, or None if it has to be asked for.
        again: what the answer to a turn asks for beside what the orchestrator does.
    """

    completion: str
    past: list[HistoryEvent] | None = None
    again: tuple[Action, ...] = ()


def turn_item(
    request: pb.OrchestratorRequest, completion: str, fetched: list[HistoryEvent] | None = None
) -> OrchestrationWorkItem:
    """The work item of a request.

    Args:
        fetched: the history, if the request says nothing about it and it was asked for.
    """
    properties = request.properties
    if SEQUENCE in properties and not request.pastEvents:
        # Our own sidecar says the numbers of requests, and nothing of executions that are over.
        requests = Requests()
        for text, number in properties[REQUESTS].struct_value.fields.items():
            requests.note(text, int(number.number_value))
        events = _events(request, requests)
        return OrchestrationWorkItem(
            request.instanceId,
            request.executionId.value,
            properties[NAME].string_value,
            properties[VERSION].string_value or None if VERSION in properties else None,
            int(properties[SEQUENCE].number_value),
            events,
            Ticket(completion),
            properties[CONTINUES].bool_value,
        )
    past = fetched
    if past is None:
        past = read_events(request.pastEvents, Requests(only_known=True))
    events = _events(request, requests_of(past, only_known=True))
    past, events, again = turn_of(past, events)
    started = _started(past) or _started(events)
    return OrchestrationWorkItem(
        request.instanceId,
        request.executionId.value or (started.execution_id if started else ""),
        started.name if started else "",
        started.version if started else None,
        turns_in(past),
        events,
        Ticket(completion, past, again),
        # A server that says no more than the history leaves it to the number of turns to tell.
        continues=bool(past),
    )


def _events(request: pb.OrchestratorRequest, requests: Requests) -> list[HistoryEvent]:
    """The new events, the begin of the turn first."""
    events = read_events(request.newEvents, requests)
    if not events or not isinstance(events[0], OrchestratorStarted):
        events.insert(0, OrchestratorStarted(time.time_ns() // 1000))
    return events


def _started(events: Iterable[HistoryEvent]) -> ExecutionStarted | None:
    return next((event for event in events if isinstance(event, ExecutionStarted)), None)


def turns_in(history: Iterable[HistoryEvent]) -> int:
    """How many turns a history records."""
    return sum(event.__class__ is OrchestratorStarted for event in history)


def activity_item(request: pb.ActivityRequest, completion: str) -> ActivityWorkItem:
    """The work item of a request."""
    return ActivityWorkItem(
        request.orchestrationInstance.instanceId,
        request.orchestrationInstance.executionId.value,
        request.taskId,
        request.name,
        read_text(request, "input"),
        optional_text(request, "version"),
        read_tags(request.tags),
        Ticket(completion),
    )


def responses(
    item: OrchestrationWorkItem, result: OrchestrationResult
) -> list[pb.OrchestratorResponse]:
    """The answer to a turn: one message, or several if it is too large for one."""
    response = _answer(item, (*item.token.again, *result.actions))
    status = result.custom_status
    if status is not UNSET:
        # The protocol has no word for "cleared"; an empty text is no JSON and so no status.
        response.customStatus.value = status or ""
    if response.ByteSize() <= _CHUNK or len(response.actions) < 2:
        return [response]
    return _chunked(response)


def _answer(item: OrchestrationWorkItem, actions: Iterable[Action]) -> pb.OrchestratorResponse:
    completion = item.token.completion
    caller = EntityCaller(item.instance_id, item.execution_id)
    # Some servers give executions no ids, and an answer must not be taken for that of a later one.
    scope = f"{item.instance_id}\n{item.execution_id}\n{completion}"
    return pb.OrchestratorResponse(
        instanceId=item.instance_id,
        completionToken=completion,
        actions=[action_message(action, caller, scope) for action in actions],
    )


def _chunked(response: pb.OrchestratorResponse) -> list[pb.OrchestratorResponse]:
    chunks: list[pb.OrchestratorResponse] = []
    room = 0
    for action in response.actions:
        size = action.ByteSize()
        if not chunks or size > room:
            chunk = pb.OrchestratorResponse(
                instanceId=response.instanceId,
                completionToken=response.completionToken,
                isPartial=True,
            )
            chunk.chunkIndex.value = len(chunks)
            if chunks:
                chunk.numEventsProcessed.value = 0
            chunks.append(chunk)
            room = _CHUNK
        chunks[-1].actions.append(action)
        room -= size
    chunks[-1].isPartial = False
    if response.HasField("customStatus"):
        chunks[-1].customStatus.CopyFrom(response.customStatus)
    return chunks


def failed_turn(item: OrchestrationWorkItem, end: OrchestrationResult) -> pb.OrchestratorResponse:
    """The answer to a turn whose own answer the server does not take: only how it ends."""
    return _answer(item, end.actions)
