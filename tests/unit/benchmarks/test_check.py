"""Targets, and the rows of the table."""

from typing import Any

import pytest

from benchmarks.check import row
from benchmarks.cli import main, sizes
from benchmarks.measure import Span
from benchmarks.report import RawReport
from benchmarks.targets import TARGETS, Target
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.latency import limit_ms
from benchmarks.workloads.long_sequence import ratio_per_step

AT_LEAST = Target(
    backend="sqlite://", arguments=(), what="speed", reached=lambda r: r["rate"], bound=100
)
AT_MOST = Target(
    backend="sqlite://",
    arguments=(),
    what="cost",
    reached=lambda r: r["rate"],
    bound=100,
    is_limit=True,
)


def report(rate: float, *, steady: bool = True) -> dict[str, Any]:
    return {"rate": rate, "raw_commits": {"steady": steady}}


@pytest.mark.parametrize(
    ("target", "rate", "verdict"),
    [
        (AT_LEAST, 100.0, "pass"),
        (AT_LEAST, 99.9, "MISS"),
        (AT_MOST, 100.0, "pass"),
        (AT_MOST, 100.1, "MISS"),
    ],
)
def test_a_row_says_whether_the_target_was_reached(
    target: Target, rate: float, verdict: str
) -> None:
    assert row(target, report(rate)).endswith(verdict)


def test_a_row_doubts_what_was_measured_on_an_unsteady_disk() -> None:
    assert row(AT_LEAST, report(500.0, steady=False)).endswith("pass  (the disk was unsteady)")


def test_a_row_without_a_report_is_wrong() -> None:
    assert row(AT_LEAST, None).endswith("WRONG")


def test_every_target_names_a_workload_and_a_way_to_run_it() -> None:
    for target in TARGETS:
        assert target.arguments[0] == "--workload"
        assert target.arguments[1] in WORKLOADS
        assert len(target.what) <= 56, "the column of the table is too narrow"


def test_stores_with_a_disk_are_measured_alike() -> None:
    """The same rows for each; only the bounds may differ."""
    rows = {
        backend: {target.what for target in TARGETS if target.backend == backend}
        for backend in ("sqlite://", "postgresql://", "redis://")
    }
    deaths = {target.what for target in TARGETS if "take_over" in target.arguments}
    assert rows["postgresql://"] == rows["redis://"] | deaths
    assert rows["sqlite://"] > rows["postgresql://"]
    assert len(rows["redis://"]) == 8


def test_the_limit_of_the_latency_is_six_raw_commits_and_some_cpu() -> None:
    raw = RawReport(before=1.0, after=1.0, mean=1.0, p50_ms=0.5, steady=True)
    assert limit_ms(raw) == pytest.approx(3.3)


def test_time_per_step_is_compared_by_medians() -> None:
    shorts = [Span(wall) for wall in (0.1, 0.2, 9.0)]
    assert ratio_per_step(shorts, 100, [Span(22.0)], 10_000) == pytest.approx(1.1)


def test_two_sizes_are_read() -> None:
    assert sizes("200,20000") == (200, 20_000)


@pytest.mark.parametrize("text", ["200", "20000,200", "0,5", "a,b", "1,2,3"])
def test_anything_else_than_two_sizes_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--backend", "memory://", "--workload", "long_sequence", "--compare", text])
    assert "as in 200,20000" in capsys.readouterr().err
