"""One short orchestration at a time on an idle system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.measure import percentile
from benchmarks.programs import greetings
from benchmarks.verify import check_completed
from benchmarks.workload import Outcome, Workload
from benchmarks.workloads.hello_sequence import greet

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.report import RawReport
    from benchmarks.workload import Setting

__all__ = ["LATENCY", "limit_ms"]

WARM_UP = 30
COMMITS = 4
"""A hello is four turns, and each must be durable before the next can begin."""
SLACK = 1.5
CPU_MS = 0.3


def limit_ms(raw: RawReport) -> float:
    """What the median hello may take: four raw commits, half as much again, and some CPU."""
    return SLACK * COMMITS * raw.p50_ms + CPU_MS


async def _run(setting: Setting, meter: Meter) -> Outcome:
    async with running_hub(setting.url, setting.activities) as client:
        for number in range(WARM_UP):
            await greet(client, number)
        with meter.span() as span:
            finished = [await greet(client, number) for number in range(setting.n)]
    for number, (state, _) in enumerate(finished):
        check_completed(state, greetings(number))
    return Outcome(items=setting.n, span=span, latencies=[took for _, took in finished])


def _ratios(outcome: Outcome, raw: RawReport) -> dict[str, float]:
    p50 = percentile(outcome.latencies, 0.5)
    return {
        "limit_ms": limit_ms(raw),
        "p50_to_limit": p50 / limit_ms(raw),
        "p50_to_four_raw_commits": p50 / (COMMITS * raw.p50_ms),
    }


LATENCY = Workload(
    name="latency",
    default_n=300,
    unit="instances/s",
    run=_run,
    ratios=_ratios,
    variant=lambda setting: {"activities": setting.activities},
)
