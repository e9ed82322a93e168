"""Many seeds, and what is left of a failing one when all that does not matter is taken away."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
from typing import TYPE_CHECKING

import msgspec

from durabletask.testing.simulation.simulate import Report, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from durabletask.testing.simulation.program import Program

__all__ = ["Summary", "explore", "shrink"]

_CHUNK = 25


class Summary(msgspec.Struct):
    """What came of many simulations.

    Attributes:
        seeds: how many were run.
        faults, turns, runs, calls: of all of them together.
        seconds: of virtual time.
        failures: the reports of those that found something, as small as they could be made.
    """

    seeds: int = 0
    faults: int = 0
    turns: int = 0
    runs: int = 0
    calls: int = 0
    seconds: float = 0.0
    failures: list[Report] = []

    def add(self, other: Summary) -> None:
        """Take another summary in."""
        for field in ("seeds", "faults", "turns", "runs", "calls", "seconds"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.failures += other.failures


def explore(
    programs: Sequence[Callable[[Random], Program]],
    seeds: range,
    *,
    jobs: int = 1,
    first: bool = False,
) -> Iterator[Summary]:
    """Run one program with each seed, and shrink what fails.

    Args:
        programs: each seed takes its own of them: number ``seed % len(programs)``. With several
            jobs they must be importable, as classes at the top of a module are.
        seeds: which to run.
        jobs: processes to run them in.
        first: a job ends with its first failure; the others are for the caller to stop.

    Yields:
        A summary of some seeds after the other, in order.
    """
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    if jobs == 1:
        for chunk in chunks:
            yield _explore(programs, chunk, first)
        return
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context)
    try:
        again = itertools.repeat
        yield from pool.map(_explore, again(programs), chunks, again(first))
    finally:
        pool.shutdown(cancel_futures=True)  # whoever has seen enough does not wait for the rest


def _explore(programs: Sequence[Callable[[Random], Program]], seeds: range, first: bool) -> Summary:
    summary = Summary()
    for seed in seeds:
        program = programs[seed % len(programs)]
        report = simulate(program, seed)
        summary.add(
            Summary(1, len(report.faults), report.turns, report.runs, report.calls, report.seconds)
        )
        if report.violations:
            summary.failures.append(shrink(program, report))
            if first:
                break
    return summary


def shrink(program: Callable[[Random], Program], report: Report) -> Report:
    """The report of a run that fails as well, with as few faults as possible.

    Faults are left out one at a time, as long as anything at all is still found wrong.
    """
    smallest = report
    position = 0
    while position < len(smallest.faults):
        fewer = smallest.faults[:position] + smallest.faults[position + 1 :]
        again = simulate(program, report.seed, fewer)
        if again.violations:
            smallest = again
        else:
            position += 1
    return smallest
