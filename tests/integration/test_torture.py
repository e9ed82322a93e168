"""A short round of the torture on each backend, and what its command tells of a violation.

`nox -s torture -- --backend URL --minutes 60` plays such rounds for as long as you like.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from .torture import run
from .torture.rigs import BUILDS
from .torture.rounds import Plan, play

if TYPE_CHECKING:
    from pathlib import Path

PLAN = {"sqlite://": 8, "postgresql://": 24, "redis://": 22, "grpc://": 19}
"""How many troubles; each kind comes once."""


@pytest.mark.asyncio
@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", BUILDS)
async def test_trouble_of_every_kind_changes_nothing(tmp_path: Path, backend: str) -> None:
    """**turn-atomic**, **turn-single**, **activity-once**, **failure-infra**: all of it at once."""
    report = await play(Plan(backend, instances=120, troubles=PLAN[backend]), 11, tmp_path)
    print(report)
    assert report.troubles.total() == PLAN[backend]
    assert all(count for name, count in report.counts.items() if name != "repetitions"), report


def test_a_violation_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 1, the folder stays, and the round can be played again, alone."""
    played: list[tuple[Plan, int]] = []

    async def violated(plan: Plan, seed: int, folder: Path) -> None:
        played.append((plan, seed))
        raise AssertionError("an event counts twice")

    monkeypatch.setattr(run, "play", violated)
    command = ["run", "--backend", "postgresql://me:secret@host/db", "--minutes", "0"]
    chosen = ["--seed", "7", "--workers", "5", "--kinds", "late,cut reply"]
    monkeypatch.setattr(sys, "argv", [*command, *chosen, "--folder", str(tmp_path)])
    assert run.main() == 1
    assert "an event counts twice" in (tmp_path / "round-7" / "violation.txt").read_text()
    told = capsys.readouterr().out
    assert "secret" not in told
    [again] = [line for line in told.splitlines() if line.startswith("  again: nox -s torture -- ")]
    [url] = [word for word in shlex.split(again) if word.startswith("postgresql:")]
    rest = shlex.split(again.replace(url, command[2]))[5:]
    monkeypatch.setattr(sys, "argv", ["run", *rest, "--folder", str(tmp_path / "again")])
    assert run.main() == 1
    assert played[0] == played[1]
