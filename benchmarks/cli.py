"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from benchmarks.check import check
from benchmarks.programs import FLAVOURS
from benchmarks.report import line, median_of
from benchmarks.run import RunOptions, run
from benchmarks.verify import WrongResultError
from benchmarks.workload import Setting, Waiting
from benchmarks.workloads import WORKLOADS
from durabletask.errors import DurableTaskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Report

__all__ = ["main", "sizes"]

EPILOG = """\
One line of JSON per run goes to standard output. A run with a wrong result prints no line and
ends the program with status 1. `check` needs no other argument: it runs every target of every
store, or those of `--backend`, each in a process of its own, and prints a table.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "check":
        return check(given.rounds, given.backend)
    if given.backend is None or given.workload is None:
        parser.error("--backend and --workload are needed, unless the command is check")
    workload = WORKLOADS[given.workload]
    if workload.is_shared and given.backend.startswith("memory:"):
        parser.error(f"{workload.name} takes two processes, which memory:// cannot serve")
    options = RunOptions(
        backend=given.backend,
        workload=workload,
        setting=Setting(
            url=given.backend,
            n=given.n or workload.default_n,
            activities=given.activities,
            waiting=given.waiting,
            compare=given.compare,
        ),
        profile=given.profile,
        timeout=given.timeout,
    )
    return _rounds(options, given.rounds)


def _rounds(options: RunOptions, rounds: int) -> int:
    reports: list[Report] = []
    try:
        for _ in range(rounds):
            reports.append(run(options))
            print(line(reports[-1]), flush=True)
    except (WrongResultError, DurableTaskError) as error:
        print(f"{options.workload.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if rounds > 1:
        print(line(median_of(reports)), flush=True)
    return 0


def sizes(text: str) -> tuple[int, int]:
    """Two sizes, as in ``200,20000``.

    Raises:
        ArgumentTypeError: it is something else.
    """
    try:
        short, long = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("give two sizes, as in 200,20000") from None
    if not 0 < short < long:
        raise argparse.ArgumentTypeError("give the smaller size first, as in 200,20000")
    return short, long


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", epilog=EPILOG)
    add = parser.add_argument
    add("command", nargs="?", choices=["run", "check"], default="run")
    add(
        "--backend",
        metavar="URL",
        help="memory://, sqlite:// (a fresh file in ./build), sqlite:///path (a "
        "fresh file in that directory), postgresql:// or redis:// (a fresh server), or another URL",
    )
    add("--workload", choices=sorted(WORKLOADS))
    add("--n", type=_positive, help="how many; each workload has a size of its own")
    add("--activities", choices=FLAVOURS, default="async", help="how activities are written")
    add("--waiting", choices=get_args(Waiting), default="events", help="what idle instances do")
    add("--compare", type=sizes, metavar="SHORT,LONG", help="long_sequence: time per step of two")
    add("--rounds", type=_positive, default=1, help="repeat, and print a line with the medians")
    add("--profile", type=Path, metavar="FILE", help="write a cProfile of the measured stretch")
    add("--timeout", type=float, default=600.0, metavar="SECONDS", help="give up a run after")
    return parser
