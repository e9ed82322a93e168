"""Breaks the engine on purpose, again and again: `python -m tests.mutants.run [PART OF A NAME]`.

Prints a table, and fails if a suite did not notice.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .mutants import MUTANTS, SUITES, Mutant

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("packages/*/src"))

_PATIENCE = 240.0
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


def tell(name: str, suite: str, mutant: Mutant | None) -> bool:
    """Run a suite on a copy of the sources and print a line; whether it did as it should."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # root runs servers as somebody else
        sources = Path(folder, "src")
        copy(sources)
        if mutant is not None:
            break_it(mutant, sources)
        failed, seconds = run(suite, sources)
    wanted = mutant is not None
    verdict = {
        (True, True): "caught",
        (True, False): "SURVIVED",
        (False, False): "green",
        (False, True): "RED WITHOUT A MUTANT",
    }[wanted, failed]
    print(f"{name:55} {suite:20} {verdict} in {seconds:.1f} s", flush=True)
    return failed == wanted


def main() -> int:
    """Run every mutant whose name contains the first argument.

    Each suite has to be green on what is not broken first, or its red would say nothing.
    """
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.name]
    print(f"{'mutant':55} {'suite':20} verdict")
    done = [
        tell("-", suite, None)
        for suite in dict.fromkeys(suite for mutant in mutants for suite in mutant.suites)
    ]
    done += [tell(mutant.name, suite, mutant) for mutant in mutants for suite in mutant.suites]
    print(f"{done.count(False)} not as they should be")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
