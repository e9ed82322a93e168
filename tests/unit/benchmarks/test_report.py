"""Lines and medians."""

import json
from typing import Any

import msgspec
import pytest

from benchmarks.raw import RawRate
from benchmarks.report import RawReport, Report, line, median_of

RAW = RawReport(before=1000.0, after=1100.0, mean=1050.0, p50_ms=0.9, steady=True)

REPORT = Report(
    workload="latency",
    backend="sqlite://",
    n=300,
    variant={"activities": "async"},
    rate=1234.5678,
    unit="instances/s",
    p50_ms=1.23456,
    p95_ms=2.0,
    p99_ms=3.0,
    wall_s=0.25,
    cpu_s=0.125,
    cpu_ms_per_item=0.4166666,
    raw_commits=RAW,
    ratios={"p50_to_limit": 0.98765},
    figures={},
    python="3.11.7",
    checked=True,
)


def test_a_line_is_one_json_object_with_short_numbers() -> None:
    text = line(REPORT)
    assert "\n" not in text
    read = json.loads(text)
    assert list(read) == [field.name for field in msgspec.structs.fields(Report)]
    assert (read["rate"], read["p50_ms"], read["cpu_ms_per_item"]) == (1235, 1.235, 0.4167)
    assert read["ratios"] == {"p50_to_limit": 0.9877}
    assert read["checked"] is True


def test_what_a_backend_does_not_have_is_null() -> None:
    report = msgspec.structs.replace(REPORT, raw_commits=None, rate=None, p50_ms=None)
    read = json.loads(line(report))
    assert (read["raw_commits"], read["rate"], read["p50_ms"]) == (None, None, None)


def test_the_median_is_taken_of_every_number() -> None:
    reports = [
        msgspec.structs.replace(REPORT, rate=rate, wall_s=wall, ratios={"p50_to_limit": ratio})
        for rate, wall, ratio in [(10.0, 3.0, 0.5), (30.0, 1.0, 0.7), (20.0, 2.0, 0.9)]
    ]
    merged: dict[str, Any] = median_of(reports)
    assert (merged["rate"], merged["wall_s"], merged["ratios"]) == (
        20.0,
        2.0,
        {"p50_to_limit": 0.7},
    )
    assert (merged["median_of"], merged["rate_spread"]) == (3, [10.0, 30.0])
    assert (merged["n"], merged["workload"], merged["checked"]) == (300, "latency", True)
    assert json.loads(line(merged))["rate"] == 20


def test_a_workload_without_a_rate_has_no_spread() -> None:
    merged = median_of([msgspec.structs.replace(REPORT, rate=None)] * 2)
    assert (merged["rate"], merged["rate_spread"]) == (None, None)


def test_one_unsteady_round_makes_the_median_unsteady() -> None:
    shaky = msgspec.structs.replace(RAW, steady=False)
    reports = [REPORT, msgspec.structs.replace(REPORT, raw_commits=shaky), REPORT]
    assert median_of(reports)["raw_commits"]["steady"] is False


def test_there_is_no_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="no reports"):
        median_of([])


@pytest.mark.parametrize(("after", "steady"), [(1250.0, True), (1251.0, False), (799.0, False)])
def test_a_disk_that_changes_its_speed_is_called_unsteady(after: float, steady: bool) -> None:
    raw = RawReport.around(RawRate(1000.0, 1.0), RawRate(after, 2.0))
    assert (raw.mean, raw.p50_ms, raw.steady) == ((1000.0 + after) / 2, 1.5, steady)
