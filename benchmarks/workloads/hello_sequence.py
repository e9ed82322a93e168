"""Many short orchestrations at once: three activities each, one after another."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.programs import greetings, hello_cities
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.measure import Meter
    from benchmarks.workload import Setting
    from durabletask.client import TaskHubClient
    from durabletask.task import OrchestrationState

__all__ = ["HELLO_SEQUENCE", "greet"]

WARM_UP = 200


async def greet(client: TaskHubClient, number: int) -> tuple[OrchestrationState, float]:
    """Run one ``hello_cities``; returns its state and the milliseconds it took."""
    began = time.perf_counter()
    instance_id = await client.schedule_new_orchestration(hello_cities, input=number)
    state = await client.wait_for_orchestration_completion(instance_id)
    return state, (time.perf_counter() - began) * 1000


async def _greet_all(
    client: TaskHubClient, numbers: Iterable[int]
) -> list[tuple[OrchestrationState, float]]:
    return await asyncio.gather(*(greet(client, number) for number in numbers))


async def _run(setting: Setting, meter: Meter) -> Outcome:
    async with running_hub(setting.url, setting.activities) as client:
        await _greet_all(client, range(WARM_UP))
        with meter.span() as span:
            finished = await _greet_all(client, range(setting.n))
    for number, (state, _) in enumerate(finished):
        check_completed(state, greetings(number))
    return Outcome(items=setting.n, span=span, latencies=[took for _, took in finished])


HELLO_SEQUENCE = Workload(
    name="hello_sequence",
    default_n=2_000,
    unit="instances/s",
    run=_run,
    variant=lambda setting: {"activities": setting.activities},
)
