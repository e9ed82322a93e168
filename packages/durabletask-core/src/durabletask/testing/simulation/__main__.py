"""Simulate: ``python -m durabletask.testing.simulation --seeds 0:2000``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from durabletask.testing.simulation.explore import Summary, explore
from durabletask.testing.simulation.programs import PROGRAMS
from durabletask.testing.simulation.simulate import Report, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINES = 60
"""Of the end of a failing trace, unless all of it is asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; 1 if anything was found wrong."""
    given = _parser().parse_args(arguments)
    programs = [PROGRAMS[name] for name in given.program or PROGRAMS]
    if given.trace is not None:
        report = simulate(programs[given.trace % len(programs)], given.trace)
        _show(report, programs[given.trace % len(programs)].__name__, len(report.trace))
        return 1 if report.violations else 0
    began = time.perf_counter()
    total = Summary()
    for summary in explore(programs, given.seeds, jobs=given.jobs, first=given.first):
        total.add(summary)
        for failure in summary.failures:
            _show(failure, programs[failure.seed % len(programs)].__name__, _LINES)
        if total.failures and given.first:
            break
    _say(
        f"{total.seeds} seeds of {', '.join(program.__name__ for program in programs)}: "
        f"{total.faults} faults, {total.turns} turns, {total.runs} activity runs, "
        f"{total.calls} store calls, {total.seconds / 3600:.1f} h of virtual time in "
        f"{time.perf_counter() - began:.0f} s; {len(total.failures)} failed"
    )
    return 1 if total.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m durabletask.testing.simulation",
        description="Run whole systems in one thread under seeded faults, and check what they did.",
    )
    parser.add_argument("--seeds", type=_seeds, default=range(2000), help="A:B, or one seed")
    parser.add_argument("--program", action="append", choices=[*PROGRAMS], help="all by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--first", action="store_true", help="stop soon after the first failure")
    parser.add_argument("--trace", type=int, metavar="SEED", help="run this one and show all of it")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition(":")
    return range(int(first), int(last) if last else int(first) + 1)


def _show(report: Report, program: str, lines: int) -> None:
    _say(*report.trace[-lines:])
    _say(f"seed {report.seed} of {program}, with {len(report.faults)} faults:")
    _say(*(f"  {fault}" for fault in report.faults))
    _say(*(f"  VIOLATION {text}" for text in report.violations))
    _say(f"again: --program {program} --trace {report.seed} (with all the faults of the seed)")


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
