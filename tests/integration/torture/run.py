"""Trouble of all kinds while orchestrations run: `python -m tests.integration.torture.run`.

Rounds are played until the time is over, each with a seed of its own. A round that violates a
guarantee leaves its folder behind, and the command that plays it again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from durabletask.plugins import parse_url

from .rigs import BUILDS
from .rounds import Plan, Report, play

if TYPE_CHECKING:
    from collections.abc import Iterator


def seeds_of(seed: int) -> Iterator[int]:
    """The seeds of the rounds. That of the first is that of the run, so each can be had alone."""
    chance = random.Random(seed)
    return chain([seed], iter(lambda: chance.randrange(1, 10**9), 0))


@dataclass
class Tally:
    """What all rounds have done, and found.

    Attributes:
        violations: seed and folder of each round that went wrong.
    """

    rounds: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, Path]] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Count a round that went well."""
        self.rounds += 1
        self.troubles.update(report.troubles)
        self.counts.update(report.counts)


def line_of(number: int, report: Report) -> str:
    """A round in one line."""
    said = ", ".join(f"{count:,} {name}" for name, count in report.counts.items())
    made = report.troubles.total()
    return f"round {number}, seed {report.seed}: {made} troubles, {said}; {report.seconds:.1f} s"


def again(plan: Plan, seed: int) -> str:
    """The command that plays one round again; without the secrets of a URL."""
    said = [f"--backend {shlex.quote(shown(plan.backend))}"]
    for option in fields(Plan):
        value = getattr(plan, option.name)
        if option.name != "backend" and value != option.default:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            said.append(f"--{option.name} {shlex.quote(text)}")
    return f"nox -s torture -- {' '.join(said)} --minutes 0 --seed {seed}"


def shown(url: str) -> str:
    """The backend as it may be shown."""
    return url if url in BUILDS else str(parse_url(url))


def one_round(plan: Plan, seed: int, home: Path, tally: Tally) -> None:
    """Play a round, say what came of it, and remove its folder if all is well."""
    folder = home / f"round-{seed}"
    folder.mkdir()
    try:
        report = asyncio.run(play(plan, seed, folder))
    except Exception:
        (folder / "violation.txt").write_text(traceback.format_exc())
        tally.rounds += 1
        tally.violations.append((seed, folder))
        print(traceback.format_exc(limit=-3), flush=True)
        print(f"round {tally.rounds}, seed {seed}: VIOLATION; see {folder}", flush=True)
        print(f"  again: {again(plan, seed)}", flush=True)
    else:
        tally.add(report)
        print(line_of(tally.rounds, report), flush=True)
        shutil.rmtree(folder)


def summarize(tally: Tally, seconds: float) -> None:
    """Say what was done and found in all."""
    print(f"\n{tally.rounds} rounds in {seconds / 60:.1f} min")
    print("made:    " + ", ".join(f"{n:,} {name}" for name, n in sorted(tally.troubles.items())))
    print("checked: " + ", ".join(f"{n:,} {name}" for name, n in tally.counts.items()))
    if not tally.violations:
        print("no violation")
    for seed, folder in tally.violations:
        print(f"VIOLATION in the round of seed {seed}; see {folder}")


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(filter(None, text.split(",")))


def main() -> int:
    """The command line. The exit status is 1 if there was a violation."""
    parser = argparse.ArgumentParser(description=__doc__, prog="nox -s torture --")
    add = parser.add_argument
    add(
        "--backend",
        default="sqlite://",
        help=f"{', '.join(BUILDS)} for new files and servers, which are tortured too; or the URL "
        "of a hub whose workers alone are",
    )
    add("--minutes", type=float, default=2.0, help="no round begins later; 0 is one round")
    add("--seed", type=int, default=random.randrange(1, 10**9))
    add("--instances", type=int, default=Plan.instances, help="in each round, without children")
    add("--troubles", type=int, default=0, help="in each round; 0 is each kind twice or more")
    add("--workers", type=int, default=Plan.workers)
    add("--backlog", type=int, default=Plan.backlog, help="activities a worker keeps to itself")
    add("--kinds", type=names, default=(), help="of trouble, with commas between; else all")
    add("--only", help="the name of the only program of which there are instances")
    add("--first", action="store_true", help="end with the first violation")
    add("--folder", type=Path, help="an empty one; by default a temporary one")
    given = parser.parse_args()
    plan = Plan(**{option.name: getattr(given, option.name) for option in fields(Plan)})
    home = (given.folder or Path(tempfile.mkdtemp(prefix="durabletask-torture-"))).resolve()
    home.mkdir(exist_ok=True)
    tally = Tally()
    print(f"{shown(plan.backend)}, seed {given.seed}", flush=True)
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # either way workers and servers are ended
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        for seed in seeds_of(given.seed):
            one_round(plan, seed, home, tally)
            late = time.monotonic() - began >= given.minutes * 60
            if late or (given.first and tally.violations):
                break
    summarize(tally, time.monotonic() - began)
    if not tally.violations and given.folder is None:
        shutil.rmtree(home)
    return 1 if tally.violations else 0


if __name__ == "__main__":
    # The troubles deserve thousands of warnings.
    logging.getLogger("durabletask").setLevel(logging.CRITICAL)
    sys.exit(main())
