"""Which worker gets what entities are asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.integration.grpc.entities.asking import (
    CART,
    calling,
    done,
    settle,
    signal,
)

from durabletask.errors import CapabilityError

if TYPE_CHECKING:
    from tests.integration.grpc.peer import Connect

    from durabletask.grpc import Sidecar

OURS = (("x-durabletask-code", "c"),)


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
