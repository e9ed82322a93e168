"""What is known against the versions in the lock, as far as anybody can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["SERVICES", "Audit", "ask", "read"]

SERVICES = ("pypi", "osv")
"""The indexes of vulnerabilities; one that answers is enough."""

_PATIENCE = "8"
"""Seconds until an index counts as out of reach."""


class Audit(NamedTuple):
    """What one index says.

    Attributes:
        known: what is known against a version, each as a line.
        audited: versions that the index knows.
        unknown: why it says nothing: of single versions, or at all.
    """

    known: list[str]
    audited: int
    unknown: list[str]


def ask(service: str, folder: Path) -> Audit:
    """Ask an index about the lock in a folder."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pip_audit", "--locked", str(folder), "--vulnerability-service"),
        *(service, "--timeout", _PATIENCE, "--progress-spinner", "off"),
        *("--format", "json", "--output", str(report)),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    # It ends well if it could ask about nothing at all, so what it wrote is what counts.
    if not report.exists():
        last = [line for line in ended.stderr.splitlines() if line.strip()][-1:]
        return Audit([], 0, last or ["pip-audit wrote no report"])
    return read(report.read_text("utf-8"))


def read(report: str) -> Audit:
    """The report of pip-audit."""
    known, unknown, audited = [], [], 0
    for found in json.loads(report)["dependencies"]:
        if "skip_reason" in found:
            unknown.append(found["skip_reason"])
            continue
        audited += 1
        for flaw in found["vulns"]:
            fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
            known.append(f"{found['name']} {found['version']}: {flaw['id']}, fixed in {fixed}")
    return Audit(known, audited, unknown)
