"""One run of one workload, from an empty place to a report."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Meter, percentile
from benchmarks.place import fresh_place
from benchmarks.raw import raw_rate
from benchmarks.report import RawReport, Report
from benchmarks.verify import WrongResultError
from benchmarks.workload import Setting, Workload
from durabletask.plugins.url import parse_url

if TYPE_CHECKING:
    from benchmarks.workload import Outcome

__all__ = ["RunOptions", "report_of", "run"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is the same for all rounds.

    Attributes:
        backend: the URL as it was given; each run gets a fresh place on it.
        setting: for the workload; its URL is replaced by that of the place.
        profile: where to write a profile of the measured stretch, or None.
        timeout: seconds after which a run counts as wrong.
    """

    backend: str
    workload: Workload
    setting: Setting
    profile: Path | None = None
    timeout: float = 600.0


def run(options: RunOptions) -> Report:
    """Measure the bare store, run the workload, and measure the bare store again.

    Raises:
        WrongResultError: a result was wrong, or did not come within the limit.
    """
    meter = Meter(options.profile)
    with fresh_place(options.backend) as url:
        before = raw_rate(url)
        outcome = asyncio.run(_limited(options, url, meter))
        after = raw_rate(url)
    meter.save()
    raw = None if before is None or after is None else RawReport.around(before, after)
    return report_of(options, outcome, raw)


async def _limited(options: RunOptions, url: str, meter: Meter) -> Outcome:
    try:
        async with asyncio.timeout(options.timeout):
            return await options.workload.run(replace(options.setting, url=url), meter)
    except TimeoutError as error:
        raise WrongResultError(f"no result within {options.timeout:g} s") from error


def report_of(options: RunOptions, outcome: Outcome, raw: RawReport | None) -> Report:
    """Put together what a run found; the backend's URL loses its credentials."""
    workload, setting = options.workload, options.setting
    p50, p95, p99 = (
        percentile(outcome.latencies, share) if outcome.latencies else None
        for share in (0.50, 0.95, 0.99)
    )
    return Report(
        workload=workload.name,
        backend=str(parse_url(options.backend)),
        n=setting.n,
        variant=workload.variant(setting),
        rate=outcome.rate,
        unit=workload.unit,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        wall_s=outcome.span.wall,
        cpu_s=outcome.span.cpu,
        cpu_ms_per_item=outcome.span.cpu * 1000 / (outcome.items or setting.n),
        raw_commits=raw,
        ratios={} if raw is None else workload.ratios(outcome, raw),
        figures=outcome.figures,
        python=platform.python_version(),
        checked=True,
    )
