"""Every workload runs end to end, small, and notices wrong results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import programs
from benchmarks.cli import main
from benchmarks.measure import Span
from benchmarks.run import RunOptions, report_of
from benchmarks.verify import WrongResultError, check_equal
from benchmarks.workload import Outcome, Setting
from benchmarks.workloads import WORKLOADS, idle, spilled


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(idle, "SECONDS", 0.05)
    monkeypatch.setattr(spilled, "NOTICED_SECONDS", 0.0)


ALONE = sorted(name for name, workload in WORKLOADS.items() if not workload.is_shared)
TOGETHER = sorted(WORKLOADS.keys() - ALONE)


@pytest.mark.parametrize("workload", ALONE)
def test_a_workload_prints_one_checked_line(
    workload: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--backend", "memory://", "--workload", workload, "--n", "6"]) == 0
    (report,) = lines(capsys)
    assert (report["workload"], report["n"], report["checked"]) == (workload, 6, True)
    assert report["backend"] == "memory://"
    assert report["raw_commits"] is None
    assert (report["rate"] is None) == (workload == "idle")


@pytest.mark.parametrize("workload", TOGETHER)
def test_two_processes_work_together(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backend that has to serve both does, and memory is told apart before anything runs."""
    arguments = ["--workload", workload, "--n", "6"]
    assert main(["--backend", f"sqlite:///{tmp_path}/hub.db", *arguments]) == 0
    (report,) = lines(capsys)
    assert (report["workload"], report["n"], report["checked"]) == (workload, 6, True)
    with pytest.raises(SystemExit):
        main(["--backend", "memory://", *arguments])
    assert "takes two processes" in capsys.readouterr().err


@pytest.mark.parametrize("activities", programs.FLAVOURS)
def test_activities_run_in_three_ways(activities: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "fan_out", "--n", "20", "--activities", activities]
    assert main(["--backend", "memory://", *arguments]) == 0
    (report,) = lines(capsys)
    assert report["variant"] == {"activities": activities}


def test_timers_can_be_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "idle", "--waiting", "timers", "--n", "5"]
    assert main(["--backend", "memory://", *arguments]) == 0
    assert lines(capsys)[0]["variant"] == {"waiting": "timers"}


def test_two_lengths_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "long_sequence", "--compare", "2,8"]
    assert main(["--backend", "memory://", *arguments]) == 0
    (report,) = lines(capsys)
    assert report["variant"]["compare"] == "2,8"
    figures = report["figures"]
    assert figures["long_to_short"] == pytest.approx(
        figures["ms_per_step_8"] / figures["ms_per_step_2"], rel=0.01
    )


def test_rounds_end_with_a_line_of_medians(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "latency", "--n", "5", "--rounds", "2"]
    assert main(["--backend", "memory://", *arguments]) == 0
    first, second, median = lines(capsys)
    assert median["median_of"] == 2
    assert median["rate"] == pytest.approx((first["rate"] + second["rate"]) / 2, rel=0.01)


def test_a_wrong_result_prints_no_line_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lie(ctx: object, city: str) -> str:
        return "Hello nobody!"

    monkeypatch.setitem(programs.ACTIVITIES["async"], "say_hello", lie)
    assert main(["--backend", "memory://", "--workload", "hello_sequence", "--n", "3"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "WrongResultError" in printed.err
    assert "expected ['Hello Tokyo 0!'" in printed.err


def test_a_run_that_does_not_end_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "hello_sequence", "--timeout", "0.0001"]
    assert main(["--backend", "memory://", *arguments]) == 1
    assert "no result within 0.0001 s" in capsys.readouterr().err


def test_a_backend_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backend", "nowhere://", "--workload", "latency"]) == 1
    assert "BackendNotFoundError" in capsys.readouterr().err


def test_credentials_are_not_shown() -> None:
    backend = "redis://user:secret@host/0"
    options = RunOptions(
        backend=backend, workload=WORKLOADS["latency"], setting=Setting(url=backend, n=1)
    )
    report = report_of(options, Outcome(items=1, span=Span(1.0, 0.5)), None)
    assert "secret" not in report.backend
    assert (report.rate, report.cpu_ms_per_item) == (1.0, 500.0)


def test_a_wrong_value_is_shown_in_short() -> None:
    with pytest.raises(WrongResultError) as caught:
        check_equal(list(range(1000)), [], "the list")
    assert str(caught.value).startswith("the list is wrong: expected [], not [0, 1, 2")
    assert len(str(caught.value)) < 300
