"""Importing a part of the library brings in what it needs, and no more."""

import subprocess
import sys

import pytest

PROGRAM = "import sys, {module}; print(*sorted(sys.modules))"

FORBIDDEN = {
    "durabletask.task": {
        "asyncio",
        "durabletask.client",
        "durabletask.store",
        "durabletask.stores",
        "durabletask.worker",
        "pluggy",
        "sqlite3",
    },
    "durabletask.client": {"durabletask.stores", "sqlite3"},
    "durabletask.worker": {"durabletask.stores", "sqlite3"},
    "durabletask.testing": {"hypothesis", "pytest"},
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_import_is_light(module: str) -> None:
    """A fresh interpreter that imports the module has loaded none of the heavy ones."""
    command = [sys.executable, "-I", "-c", PROGRAM.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded & FORBIDDEN[module] == set()
