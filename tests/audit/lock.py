"""The lock of what we are built on and tested with: a `pylock.toml` as PEP 751 has it.

It is made by uv for every platform and every Python that we support, with the hash of each file.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOCK", "UNSATISFIABLE", "differences", "pins", "write"]

LOCK = "pylock.toml"

UNSATISFIABLE = 1
"""How uv ends if no versions fit together; other trouble has other numbers."""

_OLDEST = "3.11"
_HEAD = "# What we are built on and tested with, with hashes. `nox -s lock` writes it anew.\n"


def write(root: Path, target: Path, *, upgrade: bool = False) -> None:
    """Lock the requirements of our distributions and of the tests of `root` in `target`.

    Versions that the target has already stay, if they still do.

    Args:
        upgrade: take the newest instead.

    Raises:
        CalledProcessError: there are none that fit together, or the index does not answer.
    """
    projects = sorted(root.glob("packages/*/pyproject.toml"))
    ours = [part for path in projects for part in ("--no-emit-package", path.parent.name)]
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"),
        *("--universal", "--python-version", _OLDEST, "--format", "pylock.toml"),
        *("--no-config", "--default-index", "https://pypi.org/simple"),
        *(["--upgrade"] if upgrade else []),
        *("--group", "tests", *ours, "--output-file", str(target), *map(str, projects)),
    ]
    subprocess.run(command, cwd=root, check=True)
    target.write_text(_HEAD + target.read_text("utf-8"), "utf-8")


def pins(lock: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Name, version and marker of everything in a lock.

    The files are left out: to a version that was locked before, more of them may be uploaded.
    """
    return {
        (package["name"], package["version"], package.get("marker", ""))
        for package in lock["packages"]
    }


def differences(root: Path, scratch: Path) -> list[str]:
    """In which ways the lock of `root` is stale, each as a line."""
    committed = (root / LOCK).read_text("utf-8")
    fresh = scratch / LOCK
    fresh.write_text(committed, "utf-8")
    write(root, fresh)
    before, after = pins(tomllib.loads(committed)), pins(tomllib.loads(fresh.read_text("utf-8")))
    return [
        *(f"- {' '.join(pin)}".rstrip() for pin in sorted(before - after)),
        *(f"+ {' '.join(pin)}".rstrip() for pin in sorted(after - before)),
    ]
