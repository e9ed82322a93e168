"""Entities as workers and clients of other languages see them: bare messages, no SDK."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from tests.integration.grpc.peer import PATIENCE, Connect, Peer, end, kinds

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityId, EntityQuery
from durabletask.errors import CapabilityError, InvalidRequestError
from durabletask.grpc import GrpcBackend, Sidecar, SidecarOptions, Target
from durabletask.grpc.protocol import pb
from durabletask.state import OrchestrationStatus
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OURS = (("x-durabletask-code", "c"),)
CART = "@cart@ada"


@pytest.fixture
def options() -> SidecarOptions:
    """Of the sidecar."""
    return SidecarOptions(linger=0.3, drain_timeout=5.0, poison_after=2)


@pytest_asyncio.fixture(params=["a sidecar", "a sidecar behind another"])
async def sidecar(
    options: SidecarOptions, request: pytest.FixtureRequest
) -> AsyncIterator[Sidecar]:
    """A sidecar on an empty hub."""
    backend = StoreBackend(MemoryStore(f"entities-{secrets.token_hex(8)}"))
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Sidecar(backend, port=0, options=options))
        if request.param != "a sidecar":
            behind = GrpcBackend(Target(f"127.0.0.1:{running.port}", secure=False))
            running = await stack.enter_async_context(Sidecar(behind, port=0, options=options))
        yield running


@pytest_asyncio.fixture
async def connect(sidecar: Sidecar) -> AsyncIterator[Connect]:
    """Makes peers."""
    peers: list[Peer] = []

    def connected() -> Peer:
        peers.append(Peer(sidecar.port))
        return peers[-1]

    yield connected
    for peer in peers:
        await peer.close()


async def signal(peer: Peer, operation: str, entity: str = CART, **more: Any) -> None:
    """As a client."""
    request = pb.SignalEntityRequest(instanceId=entity, name=operation, **more)
    await peer.call("SignalEntity", request)


async def entity(peer: Peer, entity: str = CART, *, include_state: bool = True) -> Any:
    """As a client sees it; None if it does not exist."""
    request = pb.GetEntityRequest(instanceId=entity, includeState=include_state)
    answer = await peer.call("GetEntity", request)
    return answer.entity if answer.exists else None


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


def done(text: str = "") -> pb.OperationResult:
    """An operation that has returned this."""
    return pb.OperationResult(success=pb.OperationResultSuccess(result={"value": text}))


def failed(text: str) -> pb.OperationResult:
    """An operation that has raised this."""
    details = pb.TaskFailureDetails(errorType="E", errorMessage=text)
    return pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))


async def settle(
    peer: Peer,
    item: pb.WorkItem,
    *results: pb.OperationResult,
    state: str | None = None,
    metadata: dict[str, Any] | None = None,
    **more: Any,
) -> None:
    """Hand operations back."""
    answer = pb.EntityBatchResult(completionToken=item.completionToken, results=results, **more)
    if state is not None:
        answer.entityState.value = state
    await peer.call("CompleteEntityTask", answer, **(metadata or {}))


def message(number: int, **sent: Any) -> pb.OrchestratorAction:
    """A message of an orchestration to an entity."""
    return pb.OrchestratorAction(id=number, sendEntityMessage=pb.SendEntityMessageAction(**sent))


def calling(number: int, operation: str, name: str, entity: str = CART) -> pb.OrchestratorAction:
    """A call by this text."""
    called = pb.EntityOperationCalledEvent(
        requestId=name, operation=operation, targetInstanceId={"value": entity}
    )
    return message(number, entityOperationCalled=called)


def names(item: pb.WorkItem) -> list[str]:
    """The operations of an item in the older form."""
    return [operation.operation for operation in item.entityRequest.operations]


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
    await eventually(lambda: has_state(peer, "3"))


async def has_state(peer: Peer, state: str | None) -> bool:
    """Whether the entity has come to this state."""
    found = await entity(peer)
    return (None if found is None else found.serializedState.value) == state


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
    await eventually(lambda: has_state(peer, "5"))


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
    await eventually(lambda: has_state(other, "1"))


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
    await eventually(lambda: has_state(peer, "1"))


# --- who gets what ------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_filters(connect: Connect) -> None:
    """**work-claim** A worker that lists entities gets those, whoever spells them how."""
    carts, others, none = connect(), connect(), connect()
    await carts.listen(workItemFilters={"entities": [{"name": "Cart"}]})
    await others.listen(workItemFilters={"entities": [{"name": "shelf"}]})
    await none.listen(workItemFilters={"orchestrations": [{"name": "o"}]})
    await signal(carts, "add")
    await signal(carts, "put", "@Shelf@1")
    assert (await carts.item()).entityRequest.instanceId == CART
    assert (await others.item()).entityRequest.instanceId == "@shelf@1"
    assert await none.rests()


@pytest.mark.asyncio
async def test_a_library_that_tells_that_it_has_none(connect: Connect) -> None:
    """**work-claim** Without filters, but with no limit where one would be: no entities."""
    without, having = connect(), connect()
    java = (("x-user-agent", "durabletask-java/1.6.0"),)
    await without.listen(metadata=java)
    await signal(without, "add")
    assert await without.rests()
    await having.listen(metadata=java, maxConcurrentEntityWorkItems=5)
    assert (await having.item()).entityRequest.instanceId == CART


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"maxConcurrentOrchestrationWorkItems": 5, "maxConcurrentEntityWorkItems": 2}, 2),
        ({"maxConcurrentOrchestrationWorkItems": 2, "maxConcurrentEntityWorkItems": 3}, 3),
        ({"maxConcurrentOrchestrationWorkItems": 2}, 2),
    ],
)
async def test_limits(connect: Connect, limits: dict[str, int], most: int) -> None:
    """**work-limits** Entities have one of their own; where none is stated, that of turns."""
    peer = connect()
    await peer.listen(**limits)
    for number in range(most + 1):
        await signal(peer, "add", f"@cart@{number}")
    items = [await peer.item() for _ in range(most)]
    reading = asyncio.ensure_future(peer.item())
    assert not (await asyncio.wait([reading], timeout=0.3))[0]
    await settle(peer, items[0], done(), state="1")
    assert (await reading).HasField("entityRequest")


@pytest.mark.asyncio
async def test_our_own_worker_is_told_more(connect: Connect) -> None:
    """**entity-serial** Who calls, and when; and a number for every text."""
    peer = connect()
    instance_id = await peer.start()
    await peer.listen(metadata=OURS)
    await peer.answer(await peer.item(), calling(1, "add", "a text of others"))
    item = await peer.item()
    request = item.entityRequestV2
    assert (request.instanceId, len(request.executionId)) == (CART, 32)
    called = request.operationRequests[0].entityOperationCalled
    assert called.parentInstanceId.value == instance_id
    assert called.parentExecutionId.value
    assert request.operationRequests[0].timestamp.seconds > 1_700_000_000
    await settle(peer, item, done("1"), state="1")
    turn = await peer.item()
    completed = turn.orchestratorRequest.newEvents[1].entityOperationCompleted
    asked = turn.orchestratorRequest.pastEvents[2].entityOperationCalled
    assert completed.requestId == asked.requestId
    assert completed.requestId.endswith("00000001")


@pytest.mark.asyncio
async def test_a_backend_without_entities(sidecar: Sidecar, connect: Connect) -> None:
    """**failure-shape** It says so, to clients and to orchestrations."""
    assert sidecar._hubs is not None
    hub = await sidecar._hubs.get("default")
    hub.desk.has_entities = False
    peer = connect()
    await peer.listen()
    instance_id = await peer.start()
    await peer.answer(await peer.item(), calling(1, "add", "x"))
    state = await peer.ended(instance_id)
    assert "no entities in the backend" in state.failureDetails.errorMessage
    assert state.failureDetails.errorType == f"{CapabilityError.__module__}.CapabilityError"


# --- clients --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_clients_see(connect: Connect) -> None:
    """**entity-state** Entities by id and page by page, by prefixes of any kind."""
    peer = connect()
    await peer.listen()
    ids = ["@cart@a", "@cart@ab", "@cart@b", "@carton@a", "@shelf@a"]
    for entity_id in ids:
        await signal(peer, "add", entity_id)
        await settle(peer, await peer.item(), done(), state=f'"{entity_id}"')
    for entity_id in ids:
        await eventually(lambda entity_id=entity_id: exists(peer, entity_id))  # type: ignore[misc]
    bare = await entity(peer, "@cart@a", include_state=False)
    assert not bare.HasField("serializedState")
    for prefix, found in (
        (None, ids),
        ("@", ids),
        ("@cart", ids[:4]),
        ("cart", ids[:4]),
        ("@Cart@", ids[:3]),
        ("@cart@a", ids[:2]),
        ("@nothing", []),
    ):
        assert await queried(peer, prefix) == found, prefix


async def exists(peer: Peer, entity_id: str) -> bool:
    """Whether there is such an entity."""
    return await entity(peer, entity_id) is not None


async def queried(peer: Peer, prefix: str | None) -> list[str]:
    """The ids that a query finds, in pages of two."""
    found: list[str] = []
    token = ""
    while True:
        query = pb.EntityQuery(includeState=True, continuationToken={"value": token})
        query.pageSize.value = 2
        if prefix is not None:
            query.instanceIdStartsWith.value = prefix
        answer = await peer.call("QueryEntities", pb.QueryEntitiesRequest(query=query))
        assert all(f'"{e.instanceId}"' == e.serializedState.value for e in answer.entities)
        found += [e.instanceId for e in answer.entities]
        token = answer.continuationToken.value
        if not token:
            return found


@pytest.mark.asyncio
async def test_large_states_make_small_pages(connect: Connect) -> None:
    """**query** A message holds 4 MiB unless its receiver has said otherwise."""
    peer = connect()
    await peer.listen()
    text = '"' + "x" * 900_000 + '"'
    for number in range(8):
        await signal(peer, "add", f"@large@{number}")
        await settle(peer, await peer.item(), done(), state=text)
    async with asyncio.timeout(PATIENCE):
        while True:
            found: list[str] = []
            token = ""
            while True:
                query = pb.EntityQuery(includeState=True, continuationToken={"value": token})
                answer = await peer.call("QueryEntities", pb.QueryEntitiesRequest(query=query))
                assert answer.ByteSize() < 4 * 1024 * 1024
                found += [e.instanceId for e in answer.entities]
                token = answer.continuationToken.value
                if not token:
                    break
            if len(found) == 8:
                return


@pytest.mark.asyncio
async def test_a_signal_for_later(connect: Connect) -> None:
    """**timer-time** It comes when it is due; the epoch is no time."""
    peer = connect()
    await peer.listen()
    await signal(peer, "now", scheduledTime={"seconds": 0})
    assert names(await peer.item()) == ["now"]
    due = time.time() + 0.5
    at = {"seconds": int(due), "nanos": int(due % 1 * 1e9)}
    await signal(peer, "later", "@cart@other", scheduledTime=at)
    assert names(await peer.item()) == ["later"]
    assert time.time() >= due - 0.001


@pytest.mark.asyncio
async def test_cleaning(connect: Connect) -> None:
    """**entity-state** Counts what is removed; locks are never orphaned."""
    peer = connect()
    await peer.listen()
    await signal(peer, "look")
    await settle(peer, await peer.item(), done())
    peer.lose()

    removed = 0

    async def is_removed() -> bool:
        nonlocal removed
        request = pb.CleanEntityStorageRequest(removeEmptyEntities=True, releaseOrphanedLocks=True)
        answer = await peer.call("CleanEntityStorage", request)
        assert (answer.orphanedLocksReleased, answer.continuationToken.value) == (0, "")
        removed += answer.emptyEntitiesRemoved
        return removed == 1

    await eventually(is_removed)


# --- our own client and worker -------------------------------------------------------------------


@task.entity
class Launcher(task.DurableEntity):
    """Starts orchestrations."""

    def launch(self, names: list[str]) -> list[str]:
        return [
            self.schedule_new_orchestration(
                "launched", input=name, tags={"by": str(self.entity_context.entity_id)}
            )
            for name in names
        ]


@task.orchestration
def launched(ctx: task.OrchestrationContext, name: str) -> Any:
    """Does not do much."""
    return name
    yield


@task.orchestration
def launching(ctx: task.OrchestrationContext, names: list[str]) -> Any:
    """Has them launched."""
    return (yield ctx.call_entity(EntityId("launcher", "x"), "launch", names))


@pytest.mark.asyncio
async def test_tags_of_what_entities_start(sidecar: Sidecar) -> None:
    """**tags** The protocol has no place for them, so they travel beside it."""
    async with TaskHubWorker(sidecar.url) as worker, TaskHubClient(sidecar.url) as client:
        worker.add_entity(Launcher)
        worker.add_orchestration(launching)
        worker.add_orchestration(launched)
        await worker.start()
        state = await client.wait_for_orchestration_completion(
            await client.schedule_new_orchestration(launching, input=["a", "b"]), timeout=PATIENCE
        )
        for instance_id, name in zip(state.result, ["a", "b"], strict=True):
            one = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
            assert (one.result, one.tags) == (name, {"by": "@launcher@x"})


@pytest.mark.asyncio
async def test_a_name_that_no_worker_knows(sidecar: Sidecar, connect: Connect) -> None:
    """**unregistered** Our worker gets what it has; a worker without filters gets the rest."""
    async with TaskHubWorker(sidecar.url) as worker, TaskHubClient(sidecar.url) as client:
        worker.add_entity(Launcher)
        worker.add_orchestration(launching)
        worker.add_orchestration(launched)
        await worker.start()
        peer = connect()
        await peer.listen(workItemFilters={"entities": [{"name": "cart"}]})
        await client.signal_entity(EntityId("cart", "ada"), "add", 1)
        item = await peer.item()
        assert item.entityRequest.instanceId == CART
        await settle(peer, item, done(), state="1")
        await eventually(lambda: has_state(peer, "1"))
        state = await client.wait_for_orchestration_completion(
            await client.schedule_new_orchestration(launching, input=[]), timeout=PATIENCE
        )
        assert state.runtime_status is OrchestrationStatus.COMPLETED


@pytest.mark.asyncio
async def test_errors_of_the_client(sidecar: Sidecar) -> None:
    """**query** The same names as on any backend."""
    async with TaskHubClient(sidecar.url) as client:
        with pytest.raises(InvalidRequestError, match="page_size"):
            await client.query_entities(EntityQuery(page_size=0))
        with pytest.raises(InvalidRequestError, match="key_prefix needs a name"):
            await client.query_entities(EntityQuery(key_prefix="x"))
        with pytest.raises(InvalidRequestError, match="name of an operation"):
            await client.signal_entity(EntityId("cart", "ada"), " ")
        page = await client.query_entities(EntityQuery(name="cart", key_prefix="\0"))
        assert page.items == []
