"""**rewind** on servers that have the worker rewrite the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask import history as h
from durabletask import task
from durabletask.actions import CallEntity, CompleteOrchestration, ScheduleTask
from durabletask.backend import OrchestrationResult
from durabletask.engine import OrchestrationSession, Registry
from durabletask.grpc.client.rewinding import rewind_response, turn_of
from durabletask.grpc.client.turns import responses, turn_item
from durabletask.grpc.convert import action_message, add_events, read_events
from durabletask.grpc.extensions import FORMER
from durabletask.grpc.protocol import pb
from durabletask.state import FailureDetails, ParentInstance

if TYPE_CHECKING:
    from durabletask.history import HistoryEvent

NO = FailureDetails("x.E", "no")
PARENT = ParentInstance("p", "p-1", 3, "parent")


class Server:
    """One instance on a server that knows nothing of histories but to keep them."""

    def __init__(self, *received: HistoryEvent) -> None:
        self.history: list[pb.HistoryEvent] = []
        self.pending: list[HistoryEvent] = [*received]
        self.execution_id = ""
        self.clock = 0

    def request(self, *extra: pb.HistoryEvent) -> pb.OrchestratorRequest:
        """The next turn: all that is pending."""
        self.clock += 1_000_000
        request = pb.OrchestratorRequest(instanceId="i", pastEvents=self.history)
        request.executionId.value = self.execution_id
        add_events(request.newEvents, [h.OrchestratorStarted(self.clock), *self.pending])
        request.newEvents.extend(extra)
        self.pending = []
        return request

    def take(self, request: pb.OrchestratorRequest, answer: pb.OrchestratorResponse) -> None:
        """Append what a turn has received and what was asked for in it."""
        self.history.extend(request.newEvents)
        for action in answer.actions:
            event = pb.HistoryEvent(eventId=action.id)
            if action.HasField("scheduleTask"):
                event.taskScheduled.name = action.scheduleTask.name
            elif action.HasField("completeOrchestration"):
                end = action.completeOrchestration
                event.executionCompleted.orchestrationStatus = end.orchestrationStatus
                if end.HasField("failureDetails"):
                    event.executionCompleted.failureDetails.CopyFrom(end.failureDetails)
            self.history.append(event)


def race(ctx: task.OrchestrationContext) -> object:
    """What fails first ends it; what comes first is followed by something else."""
    token = ctx.new_uuid().hex
    calls = [ctx.call_activity("a"), ctx.call_activity("b")]
    winner = yield task.when_any(calls)
    yield winner
    last = yield ctx.call_activity("c")
    yield task.when_all(calls)
    return [token, ctx.execution_id, last]


def turn(server: Server) -> OrchestrationResult:
    """Let a new session of ours make the next turn."""
    request = server.request()
    item = turn_item(request, "token")
    registry = Registry()
    registry.add_orchestration(race)
    (registration,) = registry.orchestrations.values()
    session = OrchestrationSession(registration)
    if item.sequence:
        session.replay(item.token.past)
    result = session.run_turn(item.events)
    [response] = responses(item, result)
    server.take(request, response)
    session.dispose()
    return OrchestrationResult([*item.token.again, *result.actions])


def started(server: Server) -> h.ExecutionStarted:
    [event] = [e for e in read_events(server.history) if isinstance(e, h.ExecutionStarted)]
    return event


def rewind(server: Server, parent_execution: str | None = None) -> pb.OrchestratorResponse:
    """Ask for the rewritten history, and put it in place."""
    news = pb.HistoryEvent(eventId=-1)
    news.executionRewound.reason.value = "why not"
    if parent_execution is not None:
        news.executionRewound.parentExecutionId.value = parent_execution
    request = server.request(news)
    response = rewind_response(request, "token", read_events(request.pastEvents))
    assert response is not None
    [action] = response.actions
    assert action.id == -1
    server.history = [*action.rewindOrchestration.newHistory]
    server.execution_id = started(server).execution_id
    return response


def failed_race() -> Server:
    """The second call has succeeded in the turn in which the first ended it all."""
    server = Server(h.ExecutionStarted("race", "i", "e-1", parent=PARENT))
    server.execution_id = "e-1"
    assert turn(server).actions == [ScheduleTask(1, "a"), ScheduleTask(2, "b")]
    server.pending = [h.TaskFailed(1, NO), h.TaskCompleted(2, '"b"')]
    [end] = turn(server).actions
    assert isinstance(end, CompleteOrchestration)
    return server


def test_the_answer_is_the_rewritten_history() -> None:
    """One action with the id -1, and in it an execution of another id that has not ended."""
    server = failed_race()
    response = rewind(server, "p-2")
    assert (response.instanceId, response.completionToken) == ("i", "token")
    kinds = [event.WhichOneof("eventType") for event in server.history]
    assert kinds == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
        "taskScheduled",
        "executionRewound",
        "taskCompleted",
    ]
    assert started(server).execution_id not in ("", "e-1")
    parent = started(server).parent
    assert parent is not None
    assert parent == ParentInstance("p", "p-2", 3, "parent")
    told = server.history[4].executionRewound
    assert (told.reason.value, told.tags[FORMER]) == ("why not", "e-1")


def test_the_plain_turn_receives_what_was_kept() -> None:
    """The body goes on with it, and what failed is asked for again; so it is at every replay."""
    server = failed_race()
    rewind(server)
    assert turn(server).actions == [ScheduleTask(1, "a"), ScheduleTask(3, "c")]
    server.pending = [h.TaskCompleted(1, '"a"')]
    assert turn(server).actions == []
    server.pending = [h.TaskCompleted(3, '"c"')]
    [end] = turn(server).actions
    assert isinstance(end, CompleteOrchestration)
    assert end.result is not None
    assert '"e-1","c"' in end.result


def test_rewinding_twice() -> None:
    """The body lives by the first of its execution ids for ever."""
    server = failed_race()
    rewind(server)
    turn(server)
    server.pending = [h.TaskCompleted(1, '"a"')]
    turn(server)
    server.pending = [h.TaskFailed(3, NO)]
    turn(server)
    rewind(server)
    assert turn(server).actions == [ScheduleTask(3, "c")]
    server.pending = [h.TaskCompleted(3, '"c"')]
    [end] = turn(server).actions
    assert isinstance(end, CompleteOrchestration)
    assert end.result is not None
    assert '"e-1","c"' in end.result


def test_a_failure_in_the_first_turn() -> None:
    """Nothing is left but the start."""
    server = Server()
    server.execution_id = "e-1"
    began = h.ExecutionStarted("race", "i", "e-1")
    add_events(holder := pb.HistoryChunk().events, [h.OrchestratorStarted(1), began])
    server.history = [*holder]
    end = CompleteOrchestration(task.OrchestrationStatus.FAILED, failure=NO)
    server.take(pb.OrchestratorRequest(), pb.OrchestratorResponse(actions=[action_message(end)]))
    rewind(server)
    kinds = [event.WhichOneof("eventType") for event in server.history]
    assert kinds == ["executionStarted", "executionRewound"]
    assert turn(server).actions == [ScheduleTask(1, "a"), ScheduleTask(2, "b")]
    server.pending = [h.TaskCompleted(1, '"a"')]
    assert turn(server).actions == [ScheduleTask(3, "c")]


def test_other_turns_are_not_answered() -> None:
    """Only one that is told of a rewind while its history has an end."""
    server = failed_race()
    request = server.request()
    assert rewind_response(request, "token", read_events(request.pastEvents)) is None
    request = server.request(pb.HistoryEvent(executionRewound=pb.ExecutionRewoundEvent()))
    assert rewind_response(request, "token", []) is None


def test_histories_of_our_own_sidecar_are_as_they_are() -> None:
    """There the news is part of an ordinary turn."""
    past: list[HistoryEvent] = [
        h.OrchestratorStarted(1),
        h.ExecutionStarted("o", "i", "e-1"),
        h.TaskScheduled(1, "a"),
        h.OrchestratorStarted(2),
        h.ExecutionRewound("e-1"),
        h.OrchestratorStarted(3),
        h.TaskCompleted(1),
    ]
    events: list[HistoryEvent] = [h.OrchestratorStarted(4), h.EventRaised("x")]
    assert turn_of(past, events) == (past, events, ())


CALLED = h.EntityOperationCalled(1, "@a@1", "o", "5", request_id="first")
REWOUND: list[HistoryEvent] = [
    h.OrchestratorStarted(1),
    h.ExecutionStarted("o", "i", "e-1"),
    CALLED,
    h.ExecutionRewound("e-1"),
]


def test_a_call_of_an_entity_is_made_again() -> None:
    """By another text: the answer to the first may have gone to the execution that is no more."""
    begun, events, again = turn_of(REWOUND, [h.OrchestratorStarted(2)])
    assert again == (CallEntity(1, "@a@1", "o", "5"),)
    assert begun == REWOUND[:3]
    assert events == [h.OrchestratorStarted(2), REWOUND[3]]


def test_a_call_that_was_sent_again_was_made_once() -> None:
    """The server has recorded both, and the answer is to the second."""
    sent_again = h.EntityOperationCalled(1, "@a@1", "o", "5", request_id="second")
    past = [*REWOUND, h.OrchestratorStarted(2), sent_again]
    request = pb.OrchestratorRequest(instanceId="i")
    add_events(request.pastEvents, past)
    answer = h.EntityOperationCompleted(1, "6", "second")
    add_events(request.newEvents, [h.OrchestratorStarted(3), answer])
    item = turn_item(request, "token")
    assert item.token.past == [*REWOUND[:3], h.OrchestratorStarted(2), REWOUND[3]]
    assert item.events == [h.OrchestratorStarted(3), answer]
    assert item.token.again == ()


def test_an_execution_that_held_a_lock_fails_once_more() -> None:
    """Given back, the turn would come again and again."""
    past: list[HistoryEvent] = [
        *REWOUND[:2],
        h.EntityLockRequested(1, ("@a@1",)),
        h.OrchestratorStarted(2),
        h.EntityLockGranted(1),
        h.TaskScheduled(2, "a"),
        h.OrchestratorStarted(3),
        h.TaskFailed(2, NO),
        h.ExecutionCompleted("FAILED", None, NO),
    ]
    request = pb.OrchestratorRequest(instanceId="i")
    request.newEvents.add().executionRewound.SetInParent()
    response = rewind_response(request, "token", past)
    assert response is not None
    [action] = response.actions
    end = action.completeOrchestration
    assert end.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "Restart it instead" in end.failureDetails.errorMessage
    assert response.completionToken == "token"
