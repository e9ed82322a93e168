"""The client's end of a stream: what it makes of servers that say less, or something odd."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask.actions import CompleteOrchestration, ScheduleTask
from durabletask.backend import (
    Capabilities,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkerProfile,
)
from durabletask.errors import InvalidRequestError
from durabletask.grpc.client.options import GrpcOptions
from durabletask.grpc.client.source import GrpcWorkItemSource
from durabletask.grpc.client.turns import Ticket, responses, turn_item
from durabletask.grpc.convert import add_events, failure_message, read_actions, read_failure
from durabletask.grpc.extensions import (
    VERSIONS,
    capabilities_told,
    tell_capabilities,
    versions_told,
)
from durabletask.grpc.protocol import pb
from durabletask.history import (
    EventRaised,
    ExecutionStarted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from durabletask.state import FailureDetails, OrchestrationStatus
from durabletask.versions import VersionRule

STARTED = [OrchestratorStarted(5), ExecutionStarted("o", "i", "x", version="3")]


class Silent:
    """A connection over which everything is taken and nothing is said."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    async def call(self, name: str, request: Any, **_: Any) -> tuple[None, None]:
        self.calls.append((name, request))
        return None, None


def turn(past: list[Any], new: list[Any]) -> pb.OrchestratorRequest:
    """A request with these events."""
    request = pb.OrchestratorRequest(instanceId="i", executionId={"value": "x"})
    add_events(request.pastEvents, past)
    add_events(request.newEvents, new)
    return request


def item() -> OrchestrationWorkItem:
    """A first turn."""
    return turn_item(turn([], STARTED), "t")


def source() -> tuple[GrpcWorkItemSource, Silent]:
    """A source that is connected to nothing."""
    silent = Silent()
    profile = WorkerProfile(
        orchestrations={"o": "code"},
        activities=frozenset(),
        max_orchestrations=1,
        max_activities=1,
    )
    connection: Any = silent
    return (
        GrpcWorkItemSource(
            connection, profile, GrpcOptions(), can_park=False, in_batches=False, must_unlock=True
        ),
        silent,
    )


def test_a_first_turn() -> None:
    """Name and version are those of its start."""
    first = item()
    assert (first.name, first.version, first.sequence) == ("o", "3", 0)
    assert first.events == STARTED


def test_a_turn_with_its_history() -> None:
    """Its number is counted, and the history is at hand."""
    past = [*STARTED, TaskScheduled(1, "a"), OrchestratorStarted(6), TaskCompleted(1, "1")]
    later = turn_item(turn(past, [OrchestratorStarted(7), EventRaised("e")]), "t")
    assert (later.name, later.version, later.sequence) == ("o", "3", 2)
    assert later.token.past == past


def test_a_turn_without_a_beginning() -> None:
    """**replay-clock** A server that leaves the start of the turn out gets one of ours."""
    events = turn_item(turn(STARTED, [EventRaised("e")]), "t").events
    assert isinstance(events[0], OrchestratorStarted)
    assert events[0].timestamp > 0
    assert events[1:] == [EventRaised("e")]


def test_a_large_answer_goes_in_chunks() -> None:
    """In order, each below what servers take, marked as the protocol says."""
    actions = [ScheduleTask(number, "a", "x" * 1_000_000) for number in range(1, 10)]
    actions_and_end = [*actions, CompleteOrchestration(OrchestrationStatus.COMPLETED, "1")]
    chunks = responses(item(), OrchestrationResult(actions_and_end, '"status"'))
    assert len(chunks) == 3
    assert all(chunk.ByteSize() < 4_000_000 for chunk in chunks)
    assert [chunk.isPartial for chunk in chunks] == [True, True, False]
    assert [chunk.chunkIndex.value for chunk in chunks] == [0, 1, 2]
    assert not chunks[0].HasField("numEventsProcessed")
    assert [chunk.numEventsProcessed.value for chunk in chunks[1:]] == [0, 0]
    assert [chunk.HasField("customStatus") for chunk in chunks] == [False, False, True]
    assert read_actions([a for chunk in chunks for a in chunk.actions]) == actions_and_end


def test_a_status_that_is_cleared() -> None:
    """Absent leaves it, empty clears it."""
    assert not responses(item(), OrchestrationResult([]))[0].HasField("customStatus")
    cleared = responses(item(), OrchestrationResult([], None))[0]
    assert cleared.HasField("customStatus")
    assert cleared.customStatus.value == ""


@pytest.mark.asyncio
async def test_an_item_that_cannot_be_read_is_given_back() -> None:
    """**failure-infra** It ends neither the stream nor an instance."""
    taken, silent = source()
    request = turn([], STARTED)
    request.newEvents.add().executionCompleted.orchestrationStatus = 99  # type: ignore[assignment]
    taken._take(pb.WorkItem(orchestratorRequest=request, completionToken="odd"))
    taken._take(pb.WorkItem(orchestratorRequest=turn([], STARTED), completionToken="good"))
    [good] = await taken.receive()
    assert good.token == Ticket("good", [])
    await taken._outbox.flush(5)
    [(name, abandoned)] = silent.calls
    assert (name, abandoned.completionToken) == ("AbandonTaskOrchestratorWorkItem", "odd")


@pytest.mark.asyncio
async def test_where_nothing_can_be_parked_the_turn_comes_again() -> None:
    """**replay-park** A server without parking gets the turn back, to be tried later."""
    taken, silent = source()
    taken._take(pb.WorkItem(orchestratorRequest=turn([], STARTED), completionToken="t"))
    [parked] = await taken.receive()
    assert isinstance(parked, OrchestrationWorkItem)
    taken.park(parked, "code and history disagree")
    taken.park(parked, "again")
    await taken._outbox.flush(5)
    assert [name for name, _ in silent.calls] == ["AbandonTaskOrchestratorWorkItem"]


RULES = {
    "none": (None, [], False),
    "strict": (VersionRule(version="2", match="strict"), ["2"], True),
    "strict, no version": (VersionRule(match="strict"), [""], True),
    "current or older": (VersionRule(version="2", match="current_or_older"), [], True),
    "fail": (VersionRule(version="2", match="strict", failure="fail"), [], False),
}


@pytest.mark.parametrize("name", RULES)
def test_versions_are_asked_for_as_far_as_the_protocol_can(name: str) -> None:
    """**version-match** A list of versions can be sent to any server, a rule to those of ours."""
    rule, listed, told = RULES[name]
    profile = WorkerProfile(
        orchestrations={"o": "code", "p": "code"},
        activities=frozenset({"a"}),
        max_orchestrations=1,
        max_activities=1,
        versions=rule,
    )
    connection: Any = Silent()
    source = GrpcWorkItemSource(
        connection, profile, GrpcOptions(), can_park=False, in_batches=False, must_unlock=True
    )
    filters = source._request.workItemFilters
    assert [list(entry.versions) for entry in filters.orchestrations] == [listed, listed]
    assert [list(entry.versions) for entry in filters.activities] == [[]]
    extra = dict(source._extra)
    assert versions_told(extra.get(VERSIONS)) == (rule if told else None)


@pytest.mark.parametrize("value", [b"", b"{", b'{"match": "newest"}', "[]"])
def test_a_rule_that_cannot_be_read_is_refused(value: str | bytes) -> None:
    """The call is, with a text that says what was wrong."""
    with pytest.raises(InvalidRequestError, match=VERSIONS):
        versions_told(value)


def test_a_server_that_does_not_say_so_cannot_record_patches() -> None:
    """**patch** Neither a server of others nor one that has never heard of them."""
    assert not capabilities_told(None, "x").patches
    assert not capabilities_told('{"rewind": true}', "x").patches
    assert capabilities_told(tell_capabilities(Capabilities(name="y")), "x").patches


def test_a_mismatch_has_the_name_that_the_protocol_gives_it() -> None:
    """**version-match** There it is VersionMismatch, here an error of ours."""
    ours = FailureDetails("durabletask.errors.VersionMismatchError", "no", non_retriable=True)
    message = failure_message(ours)
    assert message.errorType == "VersionMismatch"
    assert read_failure(message) == ours
