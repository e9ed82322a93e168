"""Breaks the engine on purpose, in one place after the other, and looks which suites notice.

Prints a table, and fails if a suite did not notice, or fails on the sources as they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from .mutants import MUTANTS, SUITES, Mutant

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("packages/*/src"))

UNBROKEN = "(nothing)"
"""Stands in the place of the mutant where there is none."""

VERDICTS = {
    (True, True): "caught",
    (True, False): "SURVIVED",
    (False, True): "passes",
    (False, False): "FAILS UNBROKEN",
}

_PATIENCE = 400.0
"""Seconds; what hangs for so long is noticed as well."""


def copy(target: Path) -> None:
    """Copy the sources of all distributions into one folder: they share a namespace."""
    for sources in SOURCES:
        shutil.copytree(
            sources, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )


def break_it(mutant: Mutant, sources: Path) -> None:
    """Apply a mutant to a copy of the sources."""
    module = sources / "durabletask" / mutant.module
    text = module.read_text("utf-8")
    found = text.count(mutant.old)
    assert found == mutant.places, f"{mutant.name}: its text is there {found} times"
    broken = text.replace(mutant.old, mutant.new)
    if mutant.also is not None:
        assert text.count(mutant.also[0]) == 1, f"{mutant.name}: its second text is not there once"
        broken = broken.replace(*mutant.also)
    if "_last.get" in mutant.new:
        broken += "\n\n_last: dict[str, int] = {}\n"
    if "CommitResult()" in mutant.new:
        broken += "\n\nfrom durabletask.store.batch import CommitResult  # noqa: E402\n"
    module.write_text(broken, "utf-8")


def run(suite: str, sources: Path) -> tuple[bool, float]:
    """Whether a suite fails on these sources, and how long that took."""
    # The namespace has no __init__: what comes first on the path is what is imported.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(sources), str(ROOT)]),
        "TMPDIR": str(sources.parent),  # what a suite leaves behind goes with the copy
    }
    began = time.perf_counter()
    # A session of its own, so that what hangs can be ended together with its children.
    process = subprocess.Popen(
        [sys.executable, *SUITES[suite]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        failed = process.wait(_PATIENCE) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        failed = True
    return failed, time.perf_counter() - began


class Trial(NamedTuple):
    """A suite on a mutant, or on the sources as they are."""

    mutant: Mutant | None
    suite: str

    @property
    def key(self) -> str:
        """How a file of verdicts calls it."""
        return f"{self.mutant.name if self.mutant else UNBROKEN}\t{self.suite}"


def try_it(trial: Trial) -> tuple[bool, float]:
    """Run a trial on a copy of the sources; whether all is as it should be, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # root runs servers as somebody else
        sources = Path(folder, "src")
        copy(sources)
        if trial.mutant is not None:
            break_it(trial.mutant, sources)
        failed, seconds = run(trial.suite, sources)
    return failed == (trial.mutant is not None), seconds


def trials(part: str) -> list[Trial]:
    """Every mutant whose name has this in it, on its suites; before them those suites unbroken.

    That a suite fails says nothing if it fails anyway.
    """
    broken = [
        Trial(mutant, suite) for mutant in MUTANTS if part in mutant.name for suite in mutant.suites
    ]
    suites = dict.fromkeys(trial.suite for trial in broken)
    return [Trial(None, suite) for suite in suites] + broken


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("part", nargs="?", default="", help="of the names of the mutants to run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="leave out what this file says, and add to it"
    )
    given = parser.parse_args()
    known = given.resume.read_text("utf-8") if given.resume and given.resume.exists() else ""
    done = set(known.splitlines())
    wanted = [trial for trial in trials(given.part) if trial.key not in done]
    print(f"{'mutant':55} {'suite':20} verdict")
    bad = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        running = {pool.submit(try_it, trial): trial for trial in wanted}
        for future in as_completed(running):
            trial = running[future]
            good, seconds = future.result()
            bad += not good
            name = trial.mutant.name if trial.mutant else UNBROKEN
            verdict = VERDICTS[trial.mutant is not None, good]
            print(f"{name:55} {trial.suite:20} {verdict} in {seconds:.1f} s", flush=True)
            if good and given.resume:
                with given.resume.open("a", encoding="utf-8") as file:
                    file.write(f"{trial.key}\n")
    print(f"{bad} of {len(wanted)} not as they should be; {len(done)} known before")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
