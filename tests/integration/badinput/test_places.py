"""Places that lead nowhere, or are not ours: refused, and left as they are."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import EntryPoints, distributions
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    BackendNotFoundError,
    BackendUnavailableError,
    BackendUrlError,
    SchemaVersionError,
)
from durabletask.plugins import manager, plugin_manager
from durabletask.stores.sqlite import SQLiteStore
from durabletask.worker import TaskHubWorker

from .refusal import refused


@task.activity
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """An activity."""
    return value


def contents(folder: Path) -> set[str]:
    """Everything in a folder, and in its folders."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- URLs --------------------------------------------------------------------------------------

UNUSABLE_URLS: list[tuple[Any, type[Exception], str]] = [
    (
        "nosuch://place",
        BackendNotFoundError,
        r"'nosuch'.*installed: .*memory.*sqlite",
    ),
    ("sqllite:///hub.db", BackendNotFoundError, "did you mean 'sqlite'"),
    ("", BackendUrlError, "must read scheme://place"),
    ("hub.db", BackendUrlError, "must read scheme://place"),
    ("sqlite:/hub.db", BackendUrlError, "must read scheme://place"),
    (" sqlite:///hub.db", BackendUrlError, "without surrounding blanks"),
    ("sqlite:///hub.db#1", BackendUrlError, "write %23"),
    ("sqlite:///hub.db?synchronous", BackendUrlError, "name=value"),
    ("sqlite:///%ff.db", BackendUrlError, "UTF-8"),
    ("sqlite:///hub.db?task_hub=", BackendUrlError, "1 to 64 letters"),
    ("sqlite:///hub.db?task_hub=a&task_hub=a", BackendUrlError, "given twice"),
    (3, ArgumentTypeError, "a backend URL is a str, not int"),
    (Path("hub.db"), ArgumentTypeError, "a backend URL is a str"),
]

UNOPENABLE_URLS: list[tuple[str, type[Exception], str]] = [
    ("sqlite:///", BackendUrlError, "a file follows three slashes"),
    ("sqlite://hub.db", BackendUrlError, "a file follows three slashes"),
    ("sqlite://host/hub.db", BackendUrlError, "a file follows three slashes"),
    ("sqlite://:memory:", BackendUrlError, "use memory://"),
    ("sqlite:///:memory:", BackendUrlError, "use memory://"),
    ("sqlite:///hub.db?synchronus=full", BackendUrlError, "did you mean 'synchronous'.*known opt"),
    ("sqlite:///hub.db?synchronous=off", BackendUrlError, "must be 'full' or 'normal'"),
    ("sqlite:///hub.db?busy_timeout=soon", BackendUrlError, "must be a number"),
    ("sqlite:///hub.db?busy_timeout=-1", BackendUrlError, "seconds from 0 to 3600"),
    ("memory://?synchronous=full", BackendUrlError, "unknown option .* known options: task_hub"),
    ("memory://host", BackendUrlError, "memory://"),
    ("sqlite:///missing/hub.db", BackendUnavailableError, "create it first"),
    ("sqlite:///folder", BackendUnavailableError, "is a directory: name a file in it"),
]


class TestUrls:
    """A URL that leads nowhere is refused, and nothing is created."""

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty working directory, but for a folder."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()

    @pytest.mark.parametrize(("url", "error", "hint"), UNUSABLE_URLS, ids=lambda part: repr(part))
    def test_unusable_ones(
        self, url: Any, error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """Whoever is given one says so at once."""
        for taker in (TaskHubClient, TaskHubWorker):
            with refused(error, hint):
                taker(url)
        assert contents(tmp_path) == {"folder"}

    @pytest.mark.asyncio
    @pytest.mark.parametrize(("url", "error", "hint"), UNOPENABLE_URLS)
    async def test_unopenable_ones(
        self, url: str, error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """The backend refuses them when it is opened."""
        with refused(error, hint):
            await TaskHubClient(url).schedule_new_orchestration("any")
        worker = TaskHubWorker(url)
        worker.add_activity(echo)
        with refused(error, hint):
            await worker.start()
        assert contents(tmp_path) == {"folder"}

    def test_the_environment_is_blamed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A malformed default says where it comes from."""
        monkeypatch.setenv("DURABLETASK_URL", "hub.db")
        with refused(BackendUrlError, "in the environment variable DURABLETASK_URL"):
            TaskHubClient()

    def test_two_places_at_once(self) -> None:
        """One of two contradicting arguments has to go."""
        with refused(BackendUrlError, "leave one out"):
            TaskHubClient("memory://?task_hub=a", task_hub_name="b")
        with refused(ArgumentTypeError, "backend= takes a Backend"):
            TaskHubClient(backend="memory://")

    def test_a_missing_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A backend that is installed without what it needs names that, and the extra."""
        (tmp_path / "half_installed.py").write_text("import no_such_driver\n")
        info = tmp_path / "half_installed-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-installed\nVersion: 1\n")
        (info / "entry_points.txt").write_text(
            "[durabletask.backends]\npostgresql = half_installed\nstrange = half_installed\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        only_distributions_of(tmp_path, monkeypatch)
        with refused(
            BackendNotFoundError, r"module 'no_such_driver'.*pip install .*core\[postgres\]"
        ):
            TaskHubClient("postgres://host/hub")
        with refused(BackendNotFoundError, r"module 'no_such_driver'.*\(half-installed\)"):
            TaskHubWorker("strange://place")

    def test_a_missing_distribution(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One of ours that is not installed is named with its extra."""
        only_distributions_of(tmp_path, monkeypatch)
        with refused(BackendNotFoundError, r'pip install "durabletask-core\[redis\]"'):
            TaskHubClient("redis://host")


def only_distributions_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing were installed but what lies in this folder."""
    found = EntryPoints(
        entry
        for distribution in distributions(path=[str(folder)])
        for entry in distribution.entry_points
    )
    monkeypatch.setattr(manager, "entry_points", lambda **wanted: found.select(**wanted))
    for scheme in ("postgresql", "redis"):  # another test may have loaded it
        plugin_manager().unregister(scheme)


# --- files -------------------------------------------------------------------------------------


def diary(path: Path) -> None:
    """A file that is no database."""
    path.write_text("Dear diary, " * 1000)


def database_of_others(path: Path) -> None:
    """A database of another program."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE accounts (id INTEGER)")
        database.commit()


def newer_hub(path: Path) -> None:
    """A hub that a later version of this library has written."""

    async def create() -> None:
        store = SQLiteStore(path)
        await store.open()
        await store.close()

    asyncio.run(create())
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
        database.commit()


FOREIGN_FILES: list[tuple[Callable[[Path], None], type[Exception], str]] = [
    (diary, BackendUnavailableError, r"not a (SQLite )?database"),
    (database_of_others, BackendUnavailableError, "another program.*a file of its own"),
    (newer_hub, SchemaVersionError, "version 99.*upgrade durabletask-core"),
]


class TestFiles:
    """A file that is not ours to write is left as it is."""

    @pytest.mark.parametrize(("make", "error", "hint"), FOREIGN_FILES)
    def test_foreign_ones(
        self, make: Callable[[Path], None], error: type[Exception], hint: str, tmp_path: Path
    ) -> None:
        """Neither a client nor a worker changes a byte of it."""
        path = tmp_path / "hub.db"
        make(path)
        before = path.read_bytes()

        async def try_both() -> None:
            with refused(error, hint):
                await TaskHubClient(f"sqlite:///{path}").schedule_new_orchestration("any")
            worker = TaskHubWorker(f"sqlite:///{path}")
            worker.add_activity(echo)
            with refused(error, hint):
                await worker.start()

        asyncio.run(try_both())
        assert path.read_bytes() == before

    @pytest.mark.asyncio
    async def test_unwritable_ones(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The remedy is named. (The system is asked in its name: root may write anywhere.)"""
        path = tmp_path / "hub.db"
        monkeypatch.setattr(os, "access", lambda place, wanted: place != str(tmp_path))
        with refused(BackendUnavailableError, "make the file and its directory writable"):
            await TaskHubClient(f"sqlite:///{path}").schedule_new_orchestration("any")
        assert not path.exists()
