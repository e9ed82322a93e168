"""From a URL, or none, to an unopened backend."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from durabletask.errors import BackendUrlError
from durabletask.plugins import connect, resolve_url


def test_the_url_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the environment."""
    monkeypatch.setenv("DURABLETASK_URL", "memory://?task_hub=env")
    assert str(resolve_url("memory://?task_hub=arg")) == "memory://?task_hub=arg"


def test_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a program runs elsewhere unchanged."""
    monkeypatch.setenv("DURABLETASK_URL", "memory://?task_hub=env")
    assert str(resolve_url()) == "memory://?task_hub=env"


@pytest.mark.parametrize("value", [None, ""])
def test_then_a_file_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """An empty variable is as good as none."""
    monkeypatch.delenv("DURABLETASK_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("DURABLETASK_URL", value)
    assert str(resolve_url(task_hub="eu")) == "sqlite:///durabletask.db?task_hub=eu"


def test_a_malformed_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or one would look for the mistake in the program."""
    monkeypatch.setenv("DURABLETASK_URL", "redis://host#hunter2")
    with pytest.raises(BackendUrlError) as caught:
        connect()
    assert str(caught.value) == (
        "malformed backend URL: it has no part after a #; write %23 for a # that belongs to a "
        "value (in the environment variable DURABLETASK_URL)"
    )


def test_every_connection_is_a_new_unopened_backend(site: Any) -> None:
    """Its caller opens and closes it."""
    assert connect("site://") is not connect("site://")
    assert site.events == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (
            "memory://host",
            "memory://host names a place, but memory has none: write memory://, and "
            "memory://?task_hub=a for a hub of its own",
        ),
        (
            "memory:///file",
            "memory:///file names a place, but memory has none: write memory://, and "
            "memory://?task_hub=a for a hub of its own",
        ),
        (
            "memory://?size=1",
            "unknown option 'size' in memory://?size=***; known options: task_hub",
        ),
        (
            "sqlite://:memory:",
            "sqlite://:memory:: a SQLite database in memory belongs to one connection, and a "
            "backend needs several; use memory:// for a backend without a file",
        ),
        (
            "sqlite:///:memory:",
            "sqlite:///:memory:: a SQLite database in memory belongs to one connection, and a "
            "backend needs several; use memory:// for a backend without a file",
        ),
        (
            "sqlite://orders.db",
            "a sqlite URL has no host: a file follows three slashes, as in sqlite:///orders.db, "
            "and an absolute path four, as in sqlite:////var/lib/orders.db",
        ),
        (
            "sqlite:///orders.db?synchronos=off",
            "unknown option 'synchronos' in sqlite:///orders.db?synchronos=*** (did you mean "
            "'synchronous'?); known options: busy_timeout, synchronous, task_hub",
        ),
        (
            "sqlite:///orders.db?synchronous=off",
            "option 'synchronous' in sqlite:///orders.db?synchronous=*** must be 'full' or "
            "'normal'",
        ),
    ],
)
def test_embedded_backends_refuse_what_they_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, error: str
) -> None:
    """With a way out, and before any file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendUrlError) as caught:
        connect(url)
    assert str(caught.value) == error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["memory://", "sqlite:///orders.db"])
def test_embedded_backends_are_built_unopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Like anyone's, and outside an event loop too."""
    monkeypatch.chdir(tmp_path)
    assert connect(url).capabilities.name == url.partition(":")[0]
    assert list(tmp_path.iterdir()) == []


def test_importing_loads_no_plugin() -> None:
    """Neither the backends nor the reader of entry points' metadata of every distribution."""
    program = "import sys, durabletask.plugins; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {name for name in done.stdout.split() if name.startswith("durabletask.stores")}
    assert "sqlite3" not in done.stdout.split()
