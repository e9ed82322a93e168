"""Work of every kind that leaves rows: activities, children, timers, events, new executions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.state import OrchestrationQuery

if TYPE_CHECKING:
    from durabletask.client import TaskHubClient
    from durabletask.worker import TaskHubWorker

__all__ = ["equip", "one_round"]


@task.orchestration
def journey(ctx: task.OrchestrationContext, leg: int) -> Any:
    """Two executions with a fan-out, a timer and a child in each, and an event between them."""
    packed = yield task.when_all([ctx.call_activity(pack, input=n) for n in range(3)])
    yield ctx.create_timer(timedelta(milliseconds=20))
    shipped = yield ctx.call_sub_orchestrator(ship, input=sum(packed))
    if leg == 0:
        yield ctx.wait_for_external_event("paid")
        ctx.continue_as_new(1)
        return None
    return shipped


@task.orchestration
def ship(ctx: task.OrchestrationContext, weight: int) -> Any:
    """A child."""
    return (yield ctx.call_activity(pack, input=weight))


@task.activity
async def pack(ctx: task.ActivityContext, number: int) -> int:
    """An activity."""
    return number + 1


JOURNEY = 7
"""What a journey comes to: three parcels of 1, 2 and 3, and the child's own."""


def equip(worker: TaskHubWorker) -> None:
    """Register everything."""
    worker.add_orchestration(journey)
    worker.add_orchestration(ship)
    worker.add_activity(pack)


async def one_round(client: TaskHubClient, count: int) -> None:
    """So many instances from their start to their purge; nothing of them is left."""

    async def one() -> None:
        started = await client.schedule_new_orchestration(journey, input=0)
        await client.raise_event(started, "paid")
        state = await client.wait_for_orchestration_completion(started)
        assert (state.runtime_status.value, state.result) == ("COMPLETED", JOURNEY), state

    await asyncio.gather(*(one() for _ in range(count)))
    await client.purge_orchestrations_by(OrchestrationQuery())
    page = await client.query_orchestrations(OrchestrationQuery())
    assert not page.items, "a purge has left something behind"
