"""Runs every target and prints what was reached."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.targets import Target

__all__ = ["check", "row"]

HEAD = f"{'backend':13} {'what':56} {'reached':>10}    {'target':>9}"


def check(rounds: int = 1, backend: str | None = None) -> int:
    """Run all targets, or those whose backend is ``backend``, and print a table.

    Each runs in a process of its own, so that none inherits the memory of another.

    Returns:
        1 if a result was wrong, else 0, whatever was reached.
    """
    print(HEAD, flush=True)
    status = 0
    for target in TARGETS:
        if backend is not None and backend != target.backend:
            continue
        report = _measure(target, rounds)
        if report is None:
            status = 1
        print(row(target, report), flush=True)
    return status


def _measure(target: Target, rounds: int) -> Mapping[str, Any] | None:
    """The last line of the run, which is the median if there are several rounds."""
    command = [sys.executable, "-m", "benchmarks", "--backend", target.backend]
    command += [*target.arguments, "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return None
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def row(target: Target, report: Mapping[str, Any] | None) -> str:
    """One line of the table; no report means that the results were wrong."""
    sign = "<=" if target.is_limit else ">="
    start = f"{target.backend:13} {target.what:56} "
    bound = f" {sign} {target.bound:>9,g}"
    if report is None:
        return f"{start}{'':>10}{bound}  WRONG"
    reached = target.reached(report)
    shown = f"{reached:,.0f}" if reached >= 1000 else f"{reached:.3g}"
    verdict = "pass" if target.is_met(reached) else "MISS"
    raw = report["raw_commits"]
    doubt = "" if raw is None or raw["steady"] else "  (the disk was unsteady)"
    return f"{start}{shown:>10}{bound}  {verdict}{doubt}"
