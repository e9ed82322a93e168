"""A worker dies with many instances in its hands: how long until another has gone on with all?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from benchmarks.crew import second_worker
from benchmarks.hub import started_worker
from benchmarks.programs import hold_on
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload
from durabletask.client import TaskHubClient

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.workload import Setting

__all__ = ["TAKE_OVER"]


async def _run(setting: Setting, meter: Meter) -> Outcome:
    numbers = range(setting.n)
    async with TaskHubClient(setting.url) as client, AsyncExitStack() as ours:
        async with second_worker(setting.url, stands_still=True):
            ids = await asyncio.gather(
                *(client.schedule_new_orchestration(hold_on, input=number) for number in numbers)
            )
            await asyncio.gather(*(client.wait_for_orchestration_start(name) for name in ids))
            await ours.enter_async_context(started_worker(setting.url, setting.activities))
        with meter.span() as span:  # the other one has just been killed
            states = await asyncio.gather(
                *(client.wait_for_orchestration_completion(name) for name in ids)
            )
    for number, state in zip(numbers, states, strict=True):
        check_completed(state, number)
    return Outcome(items=setting.n, span=span, figures={"seconds": span.wall})


TAKE_OVER = Workload(
    name="take_over",
    default_n=1_000,
    unit="instances/s",
    run=_run,
    variant=lambda setting: {"activities": setting.activities},
    is_shared=True,
)
