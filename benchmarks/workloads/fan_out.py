"""One orchestration that starts many activities at once and waits for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.programs import square_all
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.workload import Setting
    from durabletask.client import TaskHubClient
    from durabletask.task import OrchestrationState

__all__ = ["FAN_OUT", "WARM_UP", "square_numbers"]

WARM_UP = 1_000


async def square_numbers(client: TaskHubClient, count: int) -> OrchestrationState:
    """Square so many numbers, each in an activity of its own."""
    instance_id = await client.schedule_new_orchestration(square_all, input=count)
    return await client.wait_for_orchestration_completion(instance_id)


async def _run(setting: Setting, meter: Meter) -> Outcome:
    async with running_hub(setting.url, setting.activities) as client:
        await square_numbers(client, WARM_UP)
        with meter.span() as span:
            state = await square_numbers(client, setting.n)
    check_completed(state, [number * number for number in range(setting.n)])
    return Outcome(items=setting.n, span=span)


FAN_OUT = Workload(
    name="fan_out",
    default_n=10_000,
    unit="activities/s",
    run=_run,
    variant=lambda setting: {"activities": setting.activities},
)
