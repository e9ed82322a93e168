"""Entities on a sidecar with our own client and worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.grpc.entities.asking import (
    CART,
    done,
    has_state,
    settle,
)
from tests.integration.grpc.peer import PATIENCE, Connect

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityId, EntityQuery
from durabletask.errors import InvalidRequestError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import eventually
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from durabletask.grpc import Sidecar


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
        await eventually(lambda: has_state(peer, "1"), "the entity has its state")
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
