"""Many activities at once, of which one worker keeps some and shares the others with a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.crew import second_worker
from benchmarks.hub import running_hub
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload
from benchmarks.workloads.fan_out import WARM_UP, square_numbers

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.workload import Setting

__all__ = ["SPILLED"]

NOTICED_SECONDS = 6.0
"""A worker hears of others when it renews its lease, and until then keeps everything."""


async def _run(setting: Setting, meter: Meter) -> Outcome:
    async with (
        running_hub(setting.url, setting.activities) as client,
        second_worker(setting.url),
    ):
        await asyncio.sleep(NOTICED_SECONDS)
        await square_numbers(client, 4 * WARM_UP)
        with meter.span() as span:
            state = await square_numbers(client, setting.n)
    check_completed(state, [number * number for number in range(setting.n)])
    return Outcome(items=setting.n, span=span)


SPILLED = Workload(
    name="spilled",
    default_n=20_000,
    unit="activities/s",
    run=_run,
    variant=lambda setting: {"activities": setting.activities},
    is_shared=True,
)
