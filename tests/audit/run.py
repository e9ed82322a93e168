"""Checks the lock and asks what is known against it: `python -m tests.audit.run`.

Fails if the lock is stale, or if something is known against a version in it. That no index of
vulnerabilities can be reached is said, and is no failure: nothing is known then, either way.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from .lock import LOCK, UNSATISFIABLE, differences, write
from .vulnerabilities import SERVICES, Audit, ask

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Check, or write with ``--write``; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {LOCK} anew, and nothing else")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()
    if arguments.write:
        write(ROOT, ROOT / LOCK, upgrade=arguments.upgrade)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        if not is_fresh(Path(scratch)):
            return 1
        shutil.copy(ROOT / LOCK, scratch)
        return tell(Path(scratch))


def is_fresh(scratch: Path) -> bool:
    """Say whether the lock is what the requirements lead to."""
    try:
        stale = differences(ROOT, scratch)
    except subprocess.CalledProcessError as error:
        if error.returncode == UNSATISFIABLE:
            print(f"{LOCK} cannot be made of these requirements")
            return False
        print("not checked: the index of packages does not answer; tests/packaging have looked")
        return True
    if stale:
        print(f"{LOCK} is stale: run nox -s lock", *stale, sep="\n  ")
        return False
    print(f"{LOCK} is what the requirements lead to")
    return True


def tell(folder: Path) -> int:
    """Ask one index after the other, and say what they said; the exit status."""
    known: list[str] = []
    for service in SERVICES:
        audit = ask(service, folder)
        known += audit.known
        print(*lines(service, audit), sep="\n  ")
        if not audit.unknown:
            break
    return 1 if known else 0


def lines(service: str, audit: Audit) -> list[str]:
    """What one index said, a headline first."""
    if not audit.audited:
        return [f"not audited: {service} says nothing of any version", audit.unknown[0]]
    said = [f"audited: {service} knows {len(audit.known)} flaws of {audit.audited} versions"]
    if audit.unknown:
        said.append(f"not audited: {len(audit.unknown)} more, {audit.unknown[0]}")
    return said + audit.known


if __name__ == "__main__":
    raise SystemExit(main())
