"""Operations as orchestrations ask for them and workers of other languages do them."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.integration.grpc.entities.asking import (
    CART,
    calling,
    done,
    entity,
    failed,
    has_state,
    message,
    names,
    settle,
    signal,
)
from tests.integration.grpc.peer import Connect, end, kinds

from durabletask.grpc.protocol import pb
from durabletask.testing.conformance.backend.driver import eventually

if TYPE_CHECKING:
    from durabletask.grpc import Sidecar


@pytest.mark.asyncio
async def test_a_call_and_its_answer(connect: Connect) -> None:
    """**entity-serial** The texts that a worker has chosen are the texts that it hears again."""
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    ids = [str(uuid.uuid4()), str(uuid.uuid4())]
    await peer.answer(
        await peer.item(), calling(1, "add", ids[0]), calling(2, "break", ids[1], "@Cart@ada")
    )
    item = await peer.item()
    request = item.entityRequest
    assert (request.instanceId, request.HasField("entityState")) == (CART, False)
    assert names(item) == ["add", "break"]
    assert [operation.requestId for operation in request.operations] == ids
    await settle(peer, item, done("7"), failed("no"), state='"full"')
    turn = await peer.item()
    past = turn.orchestratorRequest.pastEvents
    assert kinds(past)[2:] == ["entityOperationCalled"] * 2
    assert [(event.eventId, event.entityOperationCalled.requestId) for event in past[2:]] == [
        (1, ids[0]),
        (2, ids[1]),
    ]
    assert past[3].entityOperationCalled.targetInstanceId.value == CART
    _, completed, failure = turn.orchestratorRequest.newEvents
    assert completed.entityOperationCompleted.requestId == ids[0]
    assert completed.entityOperationCompleted.output.value == "7"
    assert failure.entityOperationFailed.requestId == ids[1]
    assert failure.entityOperationFailed.failureDetails.errorMessage == "no"
    await peer.answer(turn, end())
    await peer.ended(instance_id)
    found = await entity(peer)
    assert (found.serializedState.value, found.HasField("lockedBy")) == ('"full"', False)


@pytest.mark.asyncio
async def test_a_lock_of_others(connect: Connect) -> None:
    """**entity-lock** Asked for and given up by the text that the worker has chosen."""
    peer = connect()
    await peer.listen()
    first = await peer.start()
    section = str(uuid.uuid4())
    requested = pb.EntityLockRequestedEvent(
        criticalSectionId=section, lockSet=["@cart@b", "@Cart@a", "@cart@b"]
    )
    await peer.answer(await peer.item(), message(1, entityLockRequested=requested))
    turn = await peer.item()
    [_, granted] = turn.orchestratorRequest.newEvents
    assert granted.entityLockGranted.criticalSectionId == section
    asked = turn.orchestratorRequest.pastEvents[2]
    assert asked.entityLockRequested.criticalSectionId == section
    assert list(asked.entityLockRequested.lockSet) == ["@cart@a", "@cart@b"]
    await signal(peer, "wait", "@cart@a")
    assert await entity(peer, "@cart@a") is None  # to others it begins with its state
    await peer.answer(turn, calling(2, "mine", str(uuid.uuid4()), "@cart@a"))
    item = await peer.item()
    assert names(item) == ["mine"]
    await settle(peer, item, done(), state="1")
    turn = await peer.item()
    assert (await entity(peer, "@cart@a")).lockedBy.value == first
    assert (await entity(peer, "@cart@a")).backlogQueueSize == 1
    unlocks = [
        message(
            number,
            entityUnlockSent=pb.EntityUnlockSentEvent(
                criticalSectionId=section, targetInstanceId={"value": f"@cart@{key}"}
            ),
        )
        for number, key in ((3, "a"), (4, "b"))
    ]
    await peer.answer(turn, end(), *unlocks)
    item = await peer.item()
    assert (names(item), item.entityRequest.entityState.value) == (["wait"], "1")
    await settle(peer, item, done(), state="2")
    await peer.ended(first)
    assert not (await entity(peer, "@cart@a")).HasField("lockedBy")


@pytest.mark.asyncio
async def test_a_lock_that_is_not_given_up(connect: Connect) -> None:
    """**entity-lock** The backend releases it when the execution ends, whoever ran it."""
    peer = connect()
    await peer.listen()
    await peer.start()
    requested = pb.EntityLockRequestedEvent(criticalSectionId="s", lockSet=[CART])
    await peer.answer(await peer.item(), message(1, entityLockRequested=requested))
    turn = await peer.item()
    await signal(peer, "wait")
    reading = asyncio.ensure_future(peer.item())
    assert not (await asyncio.wait([reading], timeout=0.3))[0]
    await peer.answer(turn, end())
    assert names(await reading) == ["wait"]


@pytest.mark.asyncio
async def test_the_end_of_a_lock_that_nobody_asked_for(connect: Connect) -> None:
    """**failure-shape** The instance fails with a text that names it."""
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    unlock = pb.EntityUnlockSentEvent(criticalSectionId="ghost", targetInstanceId={"value": CART})
    await peer.answer(await peer.item(), message(1, entityUnlockSent=unlock))
    state = await peer.ended(instance_id)
    assert "'ghost' is given up and was not asked for" in state.failureDetails.errorMessage


@pytest.mark.asyncio
async def test_a_worker_that_does_one_thing_at_a_time(connect: Connect) -> None:
    """**entity-state** The rest comes again, with the state so far; all of it counts at once."""
    peer = connect()
    for operation in ("one", "two", "three"):
        await signal(peer, operation)
    await peer.listen()
    item = await peer.item()
    ids = {operation.requestId for operation in item.entityRequest.operations}
    assert len(ids) == 3
    await settle(peer, item, done(), state="1")
    rest = await peer.item()
    assert (names(rest), rest.entityRequest.entityState.value) == (["two", "three"], "1")
    assert {operation.requestId for operation in rest.entityRequest.operations} < ids
    await settle(peer, item, done(), done(), state="old news")  # that token is used up
    assert await entity(peer) is None
    await settle(peer, rest, requiresState=True)
    again = await peer.item()
    assert again.entityRequest == rest.entityRequest
    await settle(peer, again, done(), done(), state="3")
    await eventually(lambda: has_state(peer, "3"), "the entity has its state")


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["abandons", "breaks", "does nothing"])
async def test_a_worker_that_cannot(connect: Connect, how: str) -> None:
    """**failure-infra** Nothing has happened, and the same comes again after a while."""
    peer = connect()
    await signal(peer, "add", input={"value": "5"})
    await peer.listen()
    item = await peer.item()
    began = time.monotonic()
    if how == "abandons":
        request = pb.AbandonEntityTaskRequest(completionToken=item.completionToken)
        await peer.call("AbandonTaskEntityWorkItem", request)
    elif how == "breaks":
        await settle(peer, item, failureDetails=pb.TaskFailureDetails(errorMessage="no memory"))
    else:
        await settle(peer, item)
    again = await peer.item()
    assert time.monotonic() - began > 0.4
    assert again.entityRequest == item.entityRequest
    assert again.entityRequest.operations[0].input.value == "5"
    await settle(peer, again, done(), state="5")
    await eventually(lambda: has_state(peer, "5"), "the entity has its state")


@pytest.mark.asyncio
async def test_a_worker_that_is_lost(connect: Connect) -> None:
    """**failure-infra** Its operations go to another at once."""
    victim, other = connect(), connect()
    await victim.listen()
    await signal(victim, "add")
    item = await victim.item()
    await other.listen()
    victim.lose()
    again = await other.item()
    assert names(again) == ["add"]
    await settle(other, item, done(), state="late")
    await settle(other, again, done(), state="1")
    await eventually(lambda: has_state(other, "1"), "the entity has its state")


@pytest.mark.asyncio
async def test_an_operation_that_kills_workers(sidecar: Sidecar, connect: Connect) -> None:
    """**failure-poison** Its entity is set aside, and can be released."""
    await signal(connect(), "die")
    for _ in range(2):
        victim = connect()
        await victim.listen()
        assert names(await victim.item()) == ["die"]
        victim.lose()
        await asyncio.sleep(0.05)
    last = connect()
    await last.listen()
    await signal(last, "live", "@cart@other")
    item = await last.item()
    assert names(item) == ["live"]
    await settle(last, item, done(), state="1")
    await last.call("ResumeInstance", pb.ResumeRequest(instanceId=CART))
    assert names(await last.item()) == ["die"]


@pytest.mark.asyncio
async def test_what_an_entity_asks_for(sidecar: Sidecar, connect: Connect) -> None:
    """**entity-state** Signals and orchestrations, these with an id of ours if they have none."""
    peer = connect()
    await peer.listen()
    await signal(peer, "order")
    item = await peer.item()
    start = pb.StartNewOrchestrationAction(name="ship", input={"value": "[1]"})
    other = pb.SendSignalAction(instanceId="@Cart@Eve", name="hear", input={"value": "2"})
    actions = [
        pb.OperationAction(id=1, startNewOrchestration=start),
        pb.OperationAction(id=2, sendSignal=other),
        pb.OperationAction(id=3, startNewOrchestration=start),
    ]
    told = {"x-durabletask-tags-bin": b'{"3":{"by":"cart"}}'}
    await settle(peer, item, done(), state="1", actions=actions, metadata=told)
    turns, heard = [], []
    for _ in range(3):
        came = await peer.item()
        (turns if came.HasField("orchestratorRequest") else heard).append(came)
    assert [came.entityRequest.instanceId for came in heard] == ["@cart@Eve"]
    started = [turn.orchestratorRequest.newEvents[1].executionStarted for turn in turns]
    assert [one.input.value for one in started] == ["[1]", "[1]"]
    assert sorted(dict(one.tags).get("by", "") for one in started) == ["", "cart"]
    assert len({turn.orchestratorRequest.instanceId for turn in turns}) == 2


WRONG: dict[str, dict[str, Any]] = {
    "too many results": {"results": [done(), done(), done()]},
    "no result": {"results": [pb.OperationResult(), pb.OperationResult()]},
    "a result that no database takes": {"results": [done("\0"), done()]},
    "a state that no database takes": {"results": [done(), done()], "state": "\0"},
    "a signal to nobody": {
        "results": [done(), done()],
        "actions": [pb.OperationAction(sendSignal=pb.SendSignalAction(instanceId="x", name="o"))],
    },
    "an action of no kind": {"results": [done(), done()], "actions": [pb.OperationAction()]},
    "an orchestration without a name": {
        "results": [done(), done()],
        "actions": [pb.OperationAction(startNewOrchestration=pb.StartNewOrchestrationAction())],
    },
    "an orchestration with an entity's id": {
        "results": [done(), done()],
        "actions": [
            pb.OperationAction(
                startNewOrchestration=pb.StartNewOrchestrationAction(name="n", instanceId="@a@b")
            )
        ],
    },
}


@pytest.mark.asyncio
@pytest.mark.parametrize("what", WRONG)
async def test_an_outcome_that_nobody_can_take(connect: Connect, what: str) -> None:
    """**failure-shape** All operations of the item have failed, and changed nothing."""
    peer = connect()
    await peer.listen()
    await peer.start()
    await peer.answer(await peer.item(), calling(1, "a", "first"), calling(2, "b", "second"))
    answer = dict(WRONG[what])
    await settle(peer, await peer.item(), *answer.pop("results"), **answer)
    turn = await peer.item()
    assert kinds(turn.orchestratorRequest.newEvents)[1:] == ["entityOperationFailed"] * 2
    failures = [event.entityOperationFailed for event in turn.orchestratorRequest.newEvents[1:]]
    assert [failure.requestId for failure in failures] == ["first", "second"]
    assert failures[0].failureDetails.errorMessage
    assert await entity(peer) is None


@pytest.mark.asyncio
async def test_tags_that_cannot_be_read(connect: Connect) -> None:
    """**failure-shape** Refused, and the operations may be handed back once more."""
    peer = connect()
    await peer.listen()
    await signal(peer, "add")
    item = await peer.item()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await settle(peer, item, done(), metadata={"x-durabletask-tags-bin": b"[" * 20_000})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await settle(peer, item, done(), state="1")
    await eventually(lambda: has_state(peer, "1"), "the entity has its state")
