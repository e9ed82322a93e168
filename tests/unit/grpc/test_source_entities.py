"""The client's end of a stream: entities, and their locks on servers of others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.unit.grpc.test_source import STARTED, Silent, turn

from durabletask.actions import (
    Action,
    CallEntity,
    CompleteOrchestration,
    ContinueAsNew,
    LockEntities,
    SignalEntity,
    StartOrchestration,
    UnlockEntity,
)
from durabletask.backend import (
    EntityResult,
    EntityWorkItem,
    OperationResult,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkerProfile,
)
from durabletask.grpc.client.locks import with_unlocks
from durabletask.grpc.client.options import GrpcOptions
from durabletask.grpc.client.profile import stream_metadata
from durabletask.grpc.client.source import GrpcWorkItemSource
from durabletask.grpc.client.turns import responses, turn_item
from durabletask.grpc.convert import AFTERWARDS, add_events, read_events
from durabletask.grpc.extensions import CODE, REQUESTS, SEQUENCE, TAGS
from durabletask.grpc.protocol import pb
from durabletask.history import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityUnlockSent,
    ExecutionCompleted,
    OrchestratorStarted,
)
from durabletask.state import FailureDetails, OrchestrationStatus

if TYPE_CHECKING:
    from durabletask.history import HistoryEvent

COMPLETED = CompleteOrchestration(OrchestrationStatus.COMPLETED, "1")
ENDS: list[Action] = [
    COMPLETED,
    CompleteOrchestration(OrchestrationStatus.FAILED, failure=FailureDetails("E", "no")),
    CompleteOrchestration(OrchestrationStatus.TERMINATED),
    ContinueAsNew("2"),
]
LOCKED: list[HistoryEvent] = [
    *STARTED,
    EntityLockRequested(1, ("@a@1", "@b@1"), request_id="theirs"),
    OrchestratorStarted(6),
    EntityLockGranted(1, "theirs"),
]


class Refusing(Silent):
    """A connection over which outcomes are refused, the first time."""

    async def call(self, name: str, request: Any, **more: Any) -> tuple[None, None]:
        await super().call(name, request, **more)
        if len(self.calls) == 1:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, nothing, nothing, "too large"
            )
        return None, None


def source(silent: Silent, *, must_unlock: bool = True) -> GrpcWorkItemSource:
    """A source on this connection."""
    profile = WorkerProfile(
        orchestrations={},
        activities=frozenset(),
        entities={"cart": "code"},
        max_orchestrations=7,
        max_activities=1,
    )
    connection: Any = silent
    return GrpcWorkItemSource(
        connection,
        profile,
        GrpcOptions(),
        can_park=False,
        in_batches=False,
        must_unlock=must_unlock,
    )


async def sent_twice(taken: GrpcWorkItemSource, refusing: Refusing) -> None:
    """Wait for the answer in place of the one that was refused."""
    async with asyncio.timeout(10):
        while True:
            await taken._outbox.flush(1)
            if len(refusing.calls) == 2:
                return


def work(*, newer: bool) -> pb.WorkItem:
    """A call and a signal in either form."""
    if not newer:
        batch = pb.EntityBatchRequest(instanceId="@Cart@Ada", entityState={"value": "1"})
        batch.operations.add(operation="add", requestId="one", input={"value": "5"})
        batch.operations.add(operation="look", requestId="two")
        return pb.WorkItem(entityRequest=batch, completionToken="t")
    request = pb.EntityRequest(instanceId="@cart@Ada", executionId="x", entityState={"value": "1"})
    called = request.operationRequests.add().entityOperationCalled
    called.requestId, called.operation, called.input.value = "one", "add", "5"
    called.parentInstanceId.value, called.parentExecutionId.value = "i", "e"
    signaled = request.operationRequests.add().entityOperationSignaled
    signaled.requestId, signaled.operation = "two", "look"
    return pb.WorkItem(entityRequestV2=request, completionToken="t")


def test_what_is_asked_for() -> None:
    """Entities by name, and as many at a time as orchestrations."""
    request = source(Silent())._request
    assert [entry.name for entry in request.workItemFilters.entities] == ["cart"]
    assert request.maxConcurrentEntityWorkItems == 7


@pytest.mark.asyncio
@pytest.mark.parametrize("newer", [True, False])
async def test_operations_come_and_go(newer: bool) -> None:
    """In either form; who tells whose the calls are is told so again."""
    silent = Silent()
    taken = source(silent)
    taken._take(work(newer=newer))
    [item] = await taken.receive()
    assert isinstance(item, EntityWorkItem)
    assert (item.name, item.state, item.started_at > 1) == ("cart", "1", True)
    assert [(one.operation, one.input) for one in item.operations] == [("add", "5"), ("look", None)]
    results = [OperationResult("6"), OperationResult(failure=FailureDetails("E", "dark"))]
    signal = SignalEntity(0, "@cart@eve", "hear", "1", 5)
    taken.complete_entity(item, EntityResult(results, [signal], "6"))
    taken.complete_entity(item, EntityResult(results, [], None))  # once is enough
    await taken._outbox.flush(5)
    [(name, answer)] = silent.calls
    assert (name, answer.completionToken, answer.entityState.value) == (
        "CompleteEntityTask",
        "t",
        "6",
    )
    assert answer.results[0].success.result.value == "6"
    assert answer.results[0].success.HasField("endTimeUtc")
    assert answer.results[1].failure.failureDetails.errorMessage == "dark"
    assert answer.actions[0].sendSignal.instanceId == "@cart@eve"
    assert [info.requestId for info in answer.operationInfos] == (["one", "two"] if newer else [])
    if newer:
        destination = answer.operationInfos[0].responseDestination
        assert (destination.instanceId, destination.executionId.value) == ("i", "e")


@pytest.mark.asyncio
async def test_tags_travel_beside_the_outcome() -> None:
    """The message has no place for them."""
    sent: list[Any] = []

    class Noting(Silent):
        async def call(self, name: str, request: Any, **more: Any) -> tuple[None, None]:
            sent.append((name, more["extra"]))
            return None, None

    taken = source(Noting())
    taken._take(work(newer=True))
    [item] = await taken.receive()
    assert isinstance(item, EntityWorkItem)
    start = StartOrchestration("ship", "s", tags={"by": "ada"})
    done = [OperationResult(), OperationResult()]
    taken.complete_entity(item, EntityResult(done, [SignalEntity(0, "@a@b", "o"), start], None))
    await taken._outbox.flush(5)
    assert sent == [("CompleteEntityTask", ((TAGS, b'{"2":{"by":"ada"}}'),))]


@pytest.mark.asyncio
async def test_an_outcome_that_the_server_refuses() -> None:
    """**failure-shape** All operations have failed, and say why; the state is as it was."""
    refusing = Refusing()
    taken = source(refusing)
    taken._take(work(newer=True))
    [item] = await taken.receive()
    assert isinstance(item, EntityWorkItem)
    taken.complete_entity(item, EntityResult([OperationResult("6")] * 2, [], "large"))
    await sent_twice(taken, refusing)
    answer = refusing.calls[1][1]
    assert answer.entityState.value == "1"
    messages = [result.failure.failureDetails.errorMessage for result in answer.results]
    assert messages == ["the sidecar refuses the outcome: too large"] * 2
    assert len(answer.operationInfos) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["abandoned", "parked", "unreadable"])
async def test_operations_are_given_back(how: str) -> None:
    """**failure-infra** By the call that is for entities."""
    silent = Silent()
    taken = source(silent)
    message = work(newer=True)
    if how == "unreadable":
        message.entityRequestV2.instanceId = "cart"
        taken._take(message)
    else:
        taken._take(message)
        [item] = await taken.receive()
        assert isinstance(item, EntityWorkItem)
        if how == "abandoned":
            taken.abandon(item)
        else:
            taken.park(item, "it kills workers")
    await taken._outbox.flush(5)
    [(name, request)] = silent.calls
    assert (name, request.completionToken) == ("AbandonTaskEntityWorkItem", "t")


# --- locks --------------------------------------------------------------------------------------


def locked_turn(*new: HistoryEvent) -> OrchestrationWorkItem:
    """A turn of an execution that holds a lock."""
    return turn_item(turn(LOCKED, [OrchestratorStarted(7), *new]), "t")


@pytest.mark.parametrize("end", ENDS)
def test_locks_are_given_up_at_the_end(end: Action) -> None:
    """**entity-lock** By the text they were asked for; all else stays as it is."""
    result = with_unlocks(locked_turn(), OrchestrationResult([end], '"status"'))
    assert result == OrchestrationResult(
        [
            UnlockEntity(AFTERWARDS, "@a@1", 1, "theirs"),
            UnlockEntity(AFTERWARDS + 1, "@b@1", 1, "theirs"),
            end,
        ],
        '"status"',
    )


def test_what_was_given_up_is_given_up_once() -> None:
    """In this turn, or in one before."""
    given_up: list[Action] = [UnlockEntity(2, "@a@1", 1), UnlockEntity(3, "@b@1", 1)]
    result = with_unlocks(locked_turn(), OrchestrationResult([*given_up, COMPLETED]))
    assert result.actions == [
        UnlockEntity(2, "@a@1", 1, "theirs"),
        UnlockEntity(3, "@b@1", 1, "theirs"),
        COMPLETED,
    ]
    past = [*LOCKED, EntityUnlockSent(2, "@b@1", 1, request_id="theirs")]
    item = turn_item(turn(past, [OrchestratorStarted(8)]), "t")
    result = with_unlocks(item, OrchestrationResult([COMPLETED]))
    assert result.actions == [UnlockEntity(AFTERWARDS, "@a@1", 1, "theirs"), COMPLETED]


def test_a_lock_that_was_asked_for_in_the_last_turn() -> None:
    """It may be granted later, so it is given up as well, by the text of this very turn."""
    item = turn_item(turn([], STARTED), "t")
    asked = LockEntities(1, ("@a@1",))
    result = with_unlocks(item, OrchestrationResult([asked, COMPLETED]))
    assert result.actions == [asked, UnlockEntity(AFTERWARDS, "@a@1", 1), COMPLETED]
    [response] = responses(item, result)
    requested, unlocked, _ = [action.sendEntityMessage for action in response.actions]
    section = requested.entityLockRequested.criticalSectionId
    assert section == unlocked.entityUnlockSent.criticalSectionId
    assert unlocked.entityUnlockSent.parentInstanceId.value == "i"


def test_a_turn_that_goes_on_holds_its_locks() -> None:
    """Nothing is added."""
    result = OrchestrationResult([CallEntity(2, "@a@1", "get")])
    assert with_unlocks(locked_turn(), result) is result


def test_a_rewound_history_has_no_messages_of_nobody() -> None:
    """**rewind** The body has not sent them, so replay must not miss them."""
    sent = EntityUnlockSent(AFTERWARDS + 1, "@a@1", 1)
    chunk = pb.HistoryChunk()
    add_events(chunk.events, [*LOCKED, sent, ExecutionCompleted("FAILED")])
    assert read_events(chunk.events) == [*LOCKED, ExecutionCompleted("FAILED")]


@pytest.mark.asyncio
@pytest.mark.parametrize("must_unlock", [True, False])
async def test_who_gives_up_locks(must_unlock: bool) -> None:
    """**entity-lock** Our own sidecar's backends do by themselves."""
    silent = Silent()
    taken = source(silent, must_unlock=must_unlock)
    taken._take(pb.WorkItem(orchestratorRequest=turn(LOCKED, STARTED[:1]), completionToken="t"))
    [item] = await taken.receive()
    assert isinstance(item, OrchestrationWorkItem)
    taken.complete_orchestration(item, OrchestrationResult([COMPLETED]))
    await taken._outbox.flush(5)
    [(_, response)] = silent.calls
    assert len(response.actions) == (3 if must_unlock else 1)


@pytest.mark.asyncio
async def test_locks_are_given_up_by_a_turn_that_is_refused() -> None:
    """**entity-lock** The instance fails instead, and holds nothing either."""
    refusing = Refusing()
    taken = source(refusing)
    taken._take(pb.WorkItem(orchestratorRequest=turn(LOCKED, STARTED[:1]), completionToken="t"))
    [item] = await taken.receive()
    assert isinstance(item, OrchestrationWorkItem)
    taken.complete_orchestration(item, OrchestrationResult([CallEntity(2, "@a@1", "x")]))
    await sent_twice(taken, refusing)
    kinds = [action.WhichOneof("orchestratorActionType") for action in refusing.calls[1][1].actions]
    assert kinds == ["sendEntityMessage", "sendEntityMessage", "completeOrchestration"]


# --- answers --------------------------------------------------------------------------------------


def test_answers_to_former_executions_are_left_out() -> None:
    """What was asked for in this history is answered, and nothing else."""
    asked = EntityOperationCalled(1, "@a@1", "get", request_id="now")
    answers = [EntityOperationCompleted(1, text, text) for text in ("then", "now")]
    item = turn_item(turn([*STARTED, asked], [OrchestratorStarted(6), *answers]), "t")
    assert item.events == [OrchestratorStarted(6), answers[1]]


def test_our_own_sidecar_is_believed() -> None:
    """It sends no history to a worker that may have it, and only what concerns this execution."""
    request = turn([], [OrchestratorStarted(6), EntityOperationCompleted(4, "1")])
    request.properties[SEQUENCE].number_value = 3
    item = turn_item(request, "t")
    assert item.events == [OrchestratorStarted(6), EntityOperationCompleted(4, "1")]


def test_texts_of_others_come_with_their_numbers() -> None:
    """Where a sidecar of ours is behind another, and leaves a long history out."""
    answer = EntityOperationCompleted(4, "1", "their text")
    request = turn([], [OrchestratorStarted(6), answer, EntityLockGranted(5, "a ghost")])
    request.properties[SEQUENCE].number_value = 3
    request.properties[REQUESTS].struct_value.fields["their text"].number_value = 4
    assert turn_item(request, "t").events == [OrchestratorStarted(6), answer]


@pytest.mark.parametrize(
    ("codes", "any_name", "told"),
    [("", False, False), ("code", False, True), ("", True, False), ("code", True, True)],
)
def test_only_workers_of_ours_have_code(codes: str, any_name: bool, told: bool) -> None:
    """By it a server tells them from others, and those behind a sidecar are others."""
    profile = WorkerProfile(
        orchestrations={} if any_name else {"o": codes},
        activities=frozenset(),
        entities={} if any_name else {"cart": codes},
        max_orchestrations=1,
        max_activities=1,
        any_name=any_name,
        code=codes if any_name else "",
    )
    assert (CODE in dict(stream_metadata(profile))) is told
