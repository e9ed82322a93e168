"""Opening a file: what is created, and what is refused before anything is written."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    ConfigurationError,
    SchemaVersionError,
)
from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore, guard, location, schema
from durabletask.testing.conformance.store.driver import LaneDriver, instance

if TYPE_CHECKING:
    from pathlib import Path

Opener = Callable[..., Awaitable[SQLiteStore]]

CREATE = """
import asyncio, sys
from durabletask.stores.sqlite import SQLiteStore

async def main():
    store = SQLiteStore(sys.argv[1])
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.readline()
    await store.open()
    await store.close()

asyncio.run(main())
"""


def value(path: Path, sql: str) -> object:
    """The first value of a query of the file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


def contents(path: Path) -> bytes | None:
    """What is in a file, or None if there is no such file."""
    return path.read_bytes() if path.is_file() else None


def diary(path: Path) -> None:
    """Write a file that is no database."""
    path.write_text("Dear diary, " * 1000)


def mode(path: Path) -> int:
    """Permissions of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.asyncio
class TestNewFile:
    """What a file looks like after the first store was opened on it."""

    async def test_only_its_owner_may_read_it(self, store: SQLiteStore, path: Path) -> None:
        """The file, its log and its lock files have mode 0600, whatever the umask is."""
        await LaneDriver.open(store)
        files = sorted(path.parent.iterdir())
        assert {file.name for file in files} >= {"hub.db", "hub.db-wal", "hub.db-shm"}
        assert {file.name: oct(mode(file)) for file in files} == {
            file.name: "0o600" for file in files
        }

    async def test_it_is_marked_as_ours(self, store: SQLiteStore, path: Path) -> None:
        """Application id, schema version, page size and journal mode are set."""
        found = [
            value(path, f"PRAGMA {name}")
            for name in ("application_id", "user_version", "page_size", "journal_mode")
        ]
        assert found == [schema.APPLICATION_ID, schema.SCHEMA_VERSION, 4096, "wal"]

    async def test_tables_are_strict(self, store: SQLiteStore, path: Path) -> None:
        """A wrong type cannot get into a column where the linked SQLite can prevent it."""
        tables = value(path, "SELECT group_concat(sql) FROM sqlite_master WHERE type = 'table'")
        assert isinstance(tables, str)
        strict = sqlite3.sqlite_version_info >= (3, 37)
        assert tables.count("STRICT") == (6 if strict else 0)

    async def test_it_is_readable_by_people(self, store: SQLiteStore, path: Path) -> None:
        """Instances have plain columns for whoever looks into the file."""
        lane = await LaneDriver.open(store)
        new = instance("order-7", input='{"city":"Oslo"}', tags={"team": "blue"})
        await lane.commit(creates=[new])
        columns = "instance_id || ' ' || name || ' ' || status || ' ' || input || ' ' || tags"
        row = value(path, f"SELECT {columns} FROM instances")
        assert row == 'order-7 Order PENDING {"city":"Oslo"} {"team":"blue"}'

    async def test_closing_leaves_the_file_alone(self, store: SQLiteStore, path: Path) -> None:
        """The last store to close copies the log into the file and removes it."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await store.close_lane(lane.key)
        await store.close()
        await store.close()
        left = {file.name for file in path.parent.iterdir()}
        assert left - {"hub.db.lock"} == {"hub.db"}
        assert value(path, "SELECT count(*) FROM instances") == 1

    async def test_it_can_be_opened_again(self, store: SQLiteStore) -> None:
        """A closed store may be opened once more, and finds what it had written."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await store.close()
        with pytest.raises(BackendClosedError, match="not open"):
            await store.get_instances(["a"], payloads=True)
        await store.open()
        assert set(await store.get_instances(["a"], payloads=True)) == {"a"}


@pytest.mark.asyncio
class TestRefusals:
    """What cannot hold a store is refused by name, and left as it was."""

    async def refused(self, path: Path, error: type[Exception], text: str) -> None:
        before = contents(path)
        with pytest.raises(error, match=text) as caught:
            await SQLiteStore(path).open()
        assert str(path) in str(caught.value)
        assert contents(path) == before

    async def test_another_programs_database(self, path: Path) -> None:
        """A database with tables, none of them ours, is foreign."""
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE songs (title)")
        connection.close()
        await self.refused(path, BackendUnavailableError, "another program.*file of its own")

    async def test_another_programs_empty_database(self, path: Path) -> None:
        """So is an empty one with another application id."""
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA application_id = 42")
        connection.close()
        await self.refused(path, BackendUnavailableError, "another program")

    async def test_no_database_at_all(self, path: Path) -> None:
        """Any other file is refused too."""
        diary(path)
        await self.refused(path, BackendUnavailableError, "no SQLite database")

    async def test_a_newer_schema(self, path: Path) -> None:
        """A file of a newer release says what to upgrade."""
        first = SQLiteStore(path)
        await first.open()
        await first.close()
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
        connection.close()
        await self.refused(path, SchemaVersionError, "upgrade durabletask-core")

    async def test_a_directory(self, tmp_path: Path) -> None:
        """The path of a directory is no path of a file."""
        await self.refused(tmp_path, BackendUnavailableError, "is a directory: name a file in it")

    async def test_a_missing_directory(self, tmp_path: Path) -> None:
        """Directories are not created: a typing error would go unnoticed."""
        missing = tmp_path / "missing" / "hub.db"
        await self.refused(missing, BackendUnavailableError, "does not exist: create it")
        assert not missing.parent.exists()

    async def test_what_this_user_may_not_write(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both the file and its directory must be writable."""
        monkeypatch.setattr(os, "access", lambda place, wanted: place != str(path.parent))
        await self.refused(path, BackendUnavailableError, "not writable: make the file")
        monkeypatch.setattr(os, "access", lambda place, wanted: place != str(path))
        diary(path)
        await self.refused(path, BackendUnavailableError, "not writable: make the file")

    async def test_a_network_drive(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A write-ahead log on a network file system loses data."""
        monkeypatch.setattr(location, "filesystem", lambda path: "nfs4")
        await self.refused(path, BackendUnavailableError, r"network file system \(nfs4\)")

    async def test_an_old_sqlite(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A SQLite that lacks what the store uses is named."""
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
        with pytest.raises(BackendUnavailableError, match=r"needs 3\.33\.0"):
            await SQLiteStore(path).open()
        assert contents(path) is None


@pytest.mark.asyncio
class TestSettings:
    """What the connections are set to."""

    @pytest.mark.parametrize(("choice", "level"), [("full", 2), ("normal", 1)])
    async def test_synchronous(self, opened: Opener, choice: str, level: int) -> None:
        """Commits are synced unless the user says otherwise."""
        store = await opened(synchronous=choice)
        assert await pragma(store, "synchronous") == level

    async def test_the_writer(self, store: SQLiteStore) -> None:
        """No checkpoint inside a commit, no functions from the file, no waiting by SQLite."""
        names = ("wal_autocheckpoint", "trusted_schema", "busy_timeout")
        assert [await pragma(store, name) for name in names] == [0, 0, 0]

    async def test_full_is_the_default(self) -> None:
        """Losing acknowledged work is opt-in."""
        assert SQLiteOptions().synchronous == "full"


async def pragma(store: SQLiteStore, name: str) -> object:
    """A setting of the writing connection."""
    found = await store._open.writer.run(lambda database: database.rows(f"PRAGMA {name}"))
    return found[0][0]


@pytest.mark.asyncio
async def test_the_defect_is_told_once(
    opened: Opener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vulnerable SQLite is named once per process."""
    monkeypatch.setattr(guard, "_warned", set())
    with caplog.at_level(logging.INFO, guard.logger.name):
        for _ in range(2):
            await opened()
    vulnerable = guard.is_vulnerable(sqlite3.sqlite_version_info[:3])
    told = [f"SQLite {sqlite3.sqlite_version} can damage" in text for text in caplog.messages]
    assert told == ([True] if vulnerable else [])


def test_processes_that_create_it_at_once_all_succeed(path: Path) -> None:
    """Four processes open a file that does not exist, at the same moment."""
    command = [sys.executable, "-W", "error", "-c", CREATE, str(path)]
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    outcomes = [worker.communicate("go\n", timeout=30) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4, outcomes
    assert value(path, "PRAGMA integrity_check") == "ok"


def test_the_file_system_of_a_path(tmp_path: Path) -> None:
    """The innermost mount point decides; spaces in its name are escaped."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "36 22 0:31 / /srv/team\\040share rw master:2 shared:3 - nfs4 host:/x rw\n"
    )
    kinds = [
        location.filesystem(place, str(mounts))
        for place in ("/srv/x.db", "/srv/team share/x.db", "/srv/team sharepoint/x.db")
    ]
    assert kinds == ["ext4", "nfs4", "ext4"]
    assert location.filesystem("/srv/x.db", str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(
    "options",
    [{"task_hub": " "}, {"synchronous": "off"}, {"busy_timeout": -1.0}],
    ids=lambda options: next(iter(options)),
)
def test_unusable_options(options: dict[str, Any]) -> None:
    """Options are checked when they are made."""
    with pytest.raises(ConfigurationError, match=next(iter(options)).replace("_", ".")):
        SQLiteOptions(**options)
