"""One orchestration with many activities, one after another: does its length cost anything?"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.measure import Span
from benchmarks.programs import count_up
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.report import RawReport
    from benchmarks.workload import Setting
    from durabletask.client import TaskHubClient

__all__ = ["LONG_SEQUENCE", "ratio_per_step"]

WARM_UP = 100
LAPS = 2
SHORT_STEPS_PER_LAP = 4_000
"""How many steps the short ones make together in a lap; a single one says little."""


async def _count(client: TaskHubClient, steps: int, meter: Meter) -> Span:
    with meter.span() as span:
        instance_id = await client.schedule_new_orchestration(count_up, input=steps)
        state = await client.wait_for_orchestration_completion(instance_id)
    check_completed(state, steps)
    return span


async def _run(setting: Setting, meter: Meter) -> Outcome:
    async with running_hub(setting.url, setting.activities) as client:
        await client.wait_for_orchestration_completion(
            await client.schedule_new_orchestration(count_up, input=WARM_UP)
        )
        if setting.compare is not None:
            return await _compare(client, *setting.compare, meter)
        span = await _count(client, setting.n, meter)
    return Outcome(items=setting.n, span=span, figures={"ms_per_step": span.wall / setting.n * 1e3})


async def _compare(client: TaskHubClient, short: int, long: int, meter: Meter) -> Outcome:
    """Short and long ones in turn, so that a disk that slows down slows both."""
    repeats = max(1, min(long, SHORT_STEPS_PER_LAP) // short)
    shorts: list[Span] = []
    longs: list[Span] = []
    for _ in range(LAPS):
        shorts += [await _count(client, short, meter) for _ in range(repeats)]
        longs.append(await _count(client, long, meter))
        shorts += [await _count(client, short, meter) for _ in range(repeats)]
    spans = shorts + longs
    return Outcome(
        items=short * len(shorts) + long * len(longs),
        span=Span(sum(span.wall for span in spans), sum(span.cpu for span in spans)),
        figures={
            f"ms_per_step_{short}": statistics.median(span.wall for span in shorts) / short * 1e3,
            f"ms_per_step_{long}": statistics.median(span.wall for span in longs) / long * 1e3,
            f"cpu_ms_per_step_{short}": statistics.fmean(span.cpu for span in shorts) / short * 1e3,
            f"cpu_ms_per_step_{long}": statistics.fmean(span.cpu for span in longs) / long * 1e3,
            "long_to_short": ratio_per_step(shorts, short, longs, long),
        },
    )


def ratio_per_step(shorts: list[Span], short: int, longs: list[Span], long: int) -> float:
    """Wall time per step of the long runs over that of the short ones, medians of each."""
    per_long = statistics.median(span.wall for span in longs) / long
    per_short = statistics.median(span.wall for span in shorts) / short
    return per_long / per_short


def _ratios(outcome: Outcome, raw: RawReport) -> dict[str, float]:
    return {"rate_to_raw": (outcome.rate or 0.0) / raw.mean}


def _variant(setting: Setting) -> dict[str, str | int]:
    compared = {} if setting.compare is None else {"compare": "{},{}".format(*setting.compare)}
    return {"activities": setting.activities, **compared}


LONG_SEQUENCE = Workload(
    name="long_sequence",
    default_n=2_000,
    unit="steps/s",
    run=_run,
    ratios=_ratios,
    variant=_variant,
)
