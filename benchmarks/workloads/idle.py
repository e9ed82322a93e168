"""Many instances that wait: what do they cost while nothing happens?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.programs import wait_for_event, wait_with_timer
from benchmarks.traffic import calls_so_far
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from benchmarks.measure import Meter
    from benchmarks.workload import Setting, Waiting
    from durabletask.client import TaskHubClient
    from durabletask.task import OrchestrationState

__all__ = ["IDLE"]

SETTLE_SECONDS = 12.0
"""Sessions of a PostgreSQL server count what they did when they have rested for ten seconds."""

SECONDS = 10.0

_PROGRAMS: dict[Waiting, Callable[..., Any]] = {
    "events": wait_for_event,
    "timers": wait_with_timer,
}


async def _start(client: TaskHubClient, program: Callable[..., Any], number: int) -> str:
    instance_id = await client.schedule_new_orchestration(program, input=number)
    await client.wait_for_orchestration_start(instance_id)
    return instance_id


async def _finish(client: TaskHubClient, instance_id: str, data: int) -> OrchestrationState:
    await client.raise_event(instance_id, "go", data)
    return await client.wait_for_orchestration_completion(instance_id)


async def _run(setting: Setting, meter: Meter) -> Outcome:
    program = _PROGRAMS[setting.waiting]
    async with running_hub(setting.url, setting.activities) as client:
        waiting = await asyncio.gather(
            *(_start(client, program, number) for number in range(setting.n))
        )
        await asyncio.sleep(SETTLE_SECONDS)
        before = await calls_so_far(setting.url)
        with meter.span() as span:
            await asyncio.sleep(SECONDS)
        after = await calls_so_far(setting.url)
        states = await asyncio.gather(
            *(_finish(client, instance_id, -number) for number, instance_id in enumerate(waiting))
        )
    for number, state in enumerate(states):
        check_completed(state, [number, -number])
    figures = {"cpu_percent_of_core": span.cpu / span.wall * 100}
    if before is not None and after is not None:
        figures["store_calls_per_s"] = (after - before) / span.wall
    return Outcome(items=0, span=span, figures=figures)


IDLE = Workload(
    name="idle",
    default_n=10_000,
    unit="",
    run=_run,
    variant=lambda setting: {"waiting": setting.waiting},
)
