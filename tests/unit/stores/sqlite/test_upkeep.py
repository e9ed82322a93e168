"""What the writing thread does between batches."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore, upkeep
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard
from durabletask.stores.sqlite.upkeep import Upkeep
from durabletask.testing.conformance.store.driver import LaneDriver, turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """A writing connection in this thread, with a table to write to."""
    database = Database(str(path), SQLiteOptions(synchronous="normal"), CommitGuard(str(path)))
    database.open()
    database.connection.execute("CREATE TABLE t (x)")
    yield database
    database.close()


def fill(database: Database, size: int) -> None:
    """Commit so many bytes."""
    database.write(lambda: database.run("INSERT INTO t VALUES (?)", (bytes(size),)))


def chores(path: Path) -> tuple[Upkeep, list[None]]:
    """The chores, and a list that grows with every wake-up."""
    calls: list[None] = []
    return Upkeep(str(path), lambda: calls.append(None)), calls


def stored(path: Path) -> int:
    """Bytes in the file itself, where only a checkpoint puts them."""
    return path.stat().st_size


class TestCheckpoints:
    """The log is copied into the file now and then, and never inside a commit."""

    def test_not_inside_a_commit(self, database: Database, path: Path) -> None:
        """SQLite's own checkpoints are off."""
        before = stored(path)
        for _ in range(20):
            fill(database, 1_000_000)
        assert stored(path) == before

    def test_when_the_log_has_grown(self, database: Database, path: Path) -> None:
        """Above 4 MiB the writer checkpoints after a batch."""
        tasks, _ = chores(path)
        before = stored(path)
        fill(database, 1_000_000)
        tasks.after_job(database)
        assert stored(path) == before
        fill(database, 5_000_000)
        time.sleep(upkeep.PAUSE_SHORTEST)
        tasks.after_job(database)
        assert stored(path) > before + 5_000_000

    def test_many_small_commits_count(self, database: Database, path: Path) -> None:
        """The log is overwritten from its start after a checkpoint: its size does not tell."""
        tasks, _ = chores(path)
        fill(database, 10_000_000)
        tasks.idle(database)
        log, before = os.stat(f"{path}-wal").st_size, stored(path)
        for _ in range(400):
            fill(database, 9_000)
            tasks.after_job(database)
        assert os.stat(f"{path}-wal").st_size == log, "the log was overwritten"
        assert stored(path) > before

    def test_after_a_quiet_second(
        self, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A little that nobody adds to is copied as well."""
        monkeypatch.setattr(upkeep, "QUIET_SECONDS", 0.01)
        tasks, _ = chores(path)
        before = stored(path)
        fill(database, 100_000)
        tasks.after_job(database)
        tasks.idle(database)
        assert stored(path) == before
        time.sleep(0.02)
        tasks.idle(database)
        assert stored(path) > before

    def test_a_long_log_is_cut(self, database: Database, path: Path) -> None:
        """Above 32 MiB the log file is shortened, unless a reader needs it."""
        tasks, _ = chores(path)
        fill(database, 1)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t").fetchone()
        for _ in range(9):
            fill(database, 4_000_000)
        started = time.monotonic()
        tasks.idle(database)
        assert time.monotonic() - started < 1.0, "a reader must not hold up the writer"
        assert os.stat(f"{path}-wal").st_size > upkeep.SHORTEN_BYTES
        assert database.rows("PRAGMA busy_timeout") == [(0,)], "transactions wait by themselves"
        reader.execute("COMMIT")
        reader.close()
        fill(database, 4_000_000)
        fill(database, 4_000_000)
        tasks.idle(database)
        assert os.stat(f"{path}-wal").st_size == 0

    def test_another_commit_comes_first(self, database: Database, path: Path) -> None:
        """While another connection commits, a vulnerable SQLite must not checkpoint."""
        tasks, _ = chores(path)
        guard = CommitGuard(str(path), (3, 40, 1))
        guard.open()
        mine = Database(str(path), SQLiteOptions(), CommitGuard(str(path), (3, 40, 1)))
        mine.open()
        before = stored(path)
        fill(mine, 5_000_000)
        with guard.writing(0.0):
            tasks.idle(mine)
            assert stored(path) == before
        tasks.idle(mine)
        assert stored(path) > before
        mine.close()
        guard.close()


class TestLooking:
    """Others' commits are noticed by a number that SQLite keeps."""

    def test_only_others_count(self, database: Database, path: Path) -> None:
        """One's own commits change nothing."""
        tasks, calls = chores(path)
        tasks.idle(database)
        calls.clear()
        fill(database, 1)
        tasks.idle(database)
        assert calls == []
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("INSERT INTO t VALUES (1)")
        other.close()
        tasks.idle(database)
        tasks.idle(database)
        assert len(calls) == 1

    def test_the_longer_idle_the_seldomer(
        self, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From 2 ms just after a commit to 40 ms."""
        tasks, _ = chores(path)
        moment = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: moment)
        tasks.idle(database)
        pauses = [tasks.after_job(database)]
        for _ in range(5):
            pauses.append(tasks.idle(database))
            moment += 0.2
        assert pauses == pytest.approx([0.002, 0.002, 0.004, 0.008, 0.012, 0.016])


@pytest.mark.asyncio
async def test_idling_is_cheap(store: SQLiteStore) -> None:
    """A store that nobody uses takes next to nothing of a core."""
    lane = await LaneDriver.open(store)
    await lane.run(*(f"waiting-{n}" for n in range(1000)))
    await asyncio.sleep(0.6)
    before, started = time.process_time(), time.monotonic()
    await asyncio.sleep(1.0)
    share = (time.process_time() - before) / (time.monotonic() - started)
    assert share < 0.03, "a generous limit for busy machines; about 0.003 is usual"


@pytest.mark.asyncio
async def test_upkeep_that_fails_disturbs_nobody(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chore that raises is logged, and jobs go on."""
    lane = await LaneDriver.open(store)
    await lane.start("a")

    def broken(self: Database) -> int:
        raise sqlite3.OperationalError("no luck")

    monkeypatch.setattr(Database, "data_version", broken)
    await asyncio.sleep(0.05)
    await lane.commit(turns=[turn("a", 0)])
    assert "upkeep of the SQLite store failed" in caplog.text
