"""What one run found, as one line of JSON, and the median of several."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.raw import RawRate

__all__ = ["RawReport", "Report", "line", "median_of"]


STEADY = 1.25
"""A disk whose speed changes by more than this during a run makes the ratios of the run idle."""


class RawReport(msgspec.Struct, frozen=True):
    """The bare store's commits per second around a workload, and its median commit.

    Attributes:
        steady: before and after are close enough for ratios to mean something.
    """

    before: float
    after: float
    mean: float
    p50_ms: float
    steady: bool

    @classmethod
    def around(cls, before: RawRate, after: RawRate) -> RawReport:
        """From the measurements before and after."""
        return cls(
            before=before.rate,
            after=after.rate,
            mean=(before.rate + after.rate) / 2,
            p50_ms=(before.p50_ms + after.p50_ms) / 2,
            steady=max(before.rate, after.rate) <= STEADY * min(before.rate, after.rate),
        )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        backend: the URL without credentials.
        variant: what was chosen beside the workload, such as how activities run.
        rate: per second of wall time, in ``unit``; None for a workload without one.
        p50_ms, p95_ms, p99_ms: of one item from the client's call to its answer.
        wall_s, cpu_s: of the measured stretch alone; CPU is user and system time of the process.
        raw_commits: None where the backend has no bare commit rate.
        ratios: to the raw commits, where the workload defines one.
        figures: what else the workload found, with the unit in the name.
        checked: every result was verified.
    """

    workload: str
    backend: str
    n: int
    variant: dict[str, str | int]
    rate: float | None
    unit: str
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    wall_s: float
    cpu_s: float
    cpu_ms_per_item: float
    raw_commits: RawReport | None
    ratios: dict[str, float]
    figures: dict[str, float]
    python: str
    checked: bool


def line(report: Report | dict[str, Any]) -> str:
    """One line of JSON, numbers to four significant digits."""
    return msgspec.json.encode(_rounded(msgspec.to_builtins(report))).decode()


def median_of(reports: Sequence[Report]) -> dict[str, Any]:
    """The median of each number of reports of one workload, and the spread of the rate.

    Raises:
        ValueError: there are none.
    """
    if not reports:
        raise ValueError("no median of no reports")
    plain = [msgspec.to_builtins(report) for report in reports]
    rates = [report.rate for report in reports if report.rate is not None]
    merged: dict[str, Any] = _median(plain)
    return {
        "median_of": len(reports),
        **merged,
        "rate_spread": [min(rates), max(rates)] if rates else None,
    }


def _median(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return {key: _median([value[key] for value in values]) for key in first}
    if isinstance(first, bool):
        return all(values)
    if not isinstance(first, int | float):
        return first
    return statistics.median(values)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return value
