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
SOURCES = ROOT / "packages" / "durabletask-core" / "src"

_PATIENCE = 240.0
"""Seconds; what hangs for so long is noticed as well."""


def break_it(mutant: Mutant, sources: Path) -> None:
    """Apply a mutant to a copy of the sources."""
    module = sources / "durabletask" / mutant.module
    text = module.read_text("utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.name}: its text is not there once"
    broken = text.replace(mutant.old, mutant.new)
    if "_last.get" in mutant.new:
        broken += "\n\n_last: dict[str, int] = {}\n"
    if "CommitResult()" in mutant.new:
        broken += "\n\nfrom durabletask.store.batch import CommitResult  # noqa: E402\n"
    module.write_text(broken, "utf-8")


def run(suite: str, sources: Path) -> tuple[bool, float]:
    """Whether a suite fails on these sources, and how long that took."""
    # The namespace has no __init__: what comes first on the path is what is imported.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(sources), str(ROOT)])}
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


def main() -> int:
    """Run every mutant whose name contains the first argument."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    survivors = 0
    print(f"{'mutant':55} {'suite':17} verdict")
    for mutant in MUTANTS:
        if wanted not in mutant.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            sources = Path(folder, "src")
            shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
            break_it(mutant, sources)
            for suite in mutant.suites:
                failed, seconds = run(suite, sources)
                survivors += not failed
                verdict = "caught" if failed else "SURVIVED"
                print(f"{mutant.name:55} {suite:17} {verdict} in {seconds:.1f} s", flush=True)
    print(f"{survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
