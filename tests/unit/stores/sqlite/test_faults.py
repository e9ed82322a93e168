"""What happens when SQLite fails: before, in and after a commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from durabletask.errors import BackendUnavailableError, LaneFencedError, UnknownCommitError
from durabletask.store import LaneOptions, NextExecution
from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.faults import unavailable
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    activity,
    execution,
    instance,
    turn,
)

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.stores.sqlite.guard import CommitGuard

Opener = Callable[..., Awaitable[SQLiteStore]]


class BrittleDatabase(Database):
    """Fails in the next commits as ``plan`` says: each entry is whether it is applied."""

    def __init__(self, path: str, options: SQLiteOptions, guard: CommitGuard) -> None:
        super().__init__(path, options, guard)
        self.plan: list[bool] = []

    def _commit(self) -> None:
        if not self.plan:
            super()._commit()
            return
        if self.plan.pop(0):
            super()._commit()
        raise sqlite3.OperationalError("disk I/O error")


class BrittleStore(SQLiteStore):
    """A store whose commits break on demand."""

    writer: BrittleDatabase

    def _connection(self, guard: CommitGuard | None = None) -> Database:
        if guard is None:
            return super()._connection()
        self.writer = BrittleDatabase(self._path, self._options, guard)
        return self.writer


@pytest_asyncio.fixture
async def brittle(path: Path) -> AsyncIterator[BrittleStore]:
    """Such a store."""
    store = BrittleStore(path, SQLiteOptions(synchronous="normal"))
    await store.open()
    yield store
    await store.close()


@pytest.mark.asyncio
class TestUnknownCommits:
    """COMMIT failed, and only a new connection can tell what became of it."""

    async def test_a_batch_is_reported_as_unknown(self, brittle: BrittleStore) -> None:
        """The store goes on with a new connection, and the old epoch is void after resolve."""
        lane = await LaneDriver.open(brittle)
        await lane.start("a")
        for applied in (True, False):
            brittle.writer.plan = [applied]
            sequence = len(await lane.history("a"))
            batch = lane.batch(turns=[turn("a", sequence)])
            with pytest.raises(UnknownCommitError, match="disk I/O error"):
                await brittle.commit(batch)
            old = lane.key
            lane.key, result = await brittle.resolve(batch)
            assert (result is not None) is applied
            assert len(await lane.history("a")) == sequence + applied
            with pytest.raises(LaneFencedError):
                await brittle.commit(batch)
            assert lane.key.epoch == old.epoch + 1
            lane.number += 1

    @pytest.mark.parametrize("applied", [True, False])
    async def test_a_batch_with_several_executions(
        self, brittle: BrittleStore, applied: bool
    ) -> None:
        """The turns of an execution that ended in the same batch are gone, but were applied."""
        lane = await LaneDriver.open(brittle)
        await lane.start("a")
        following = [
            NextExecution(execution_id=execution("a", n), input=None, version=None) for n in (2, 3)
        ]
        batch = lane.batch(
            turns=[
                turn("a", 0, next=following[0], update=None),
                turn("a", 0, execution_id="a/2", update=None),
                turn("a", 1, execution_id="a/2", next=following[1], update=None),
            ]
        )
        brittle.writer.plan = [applied]
        with pytest.raises(UnknownCommitError):
            await brittle.commit(batch)
        lane.key, result = await brittle.resolve(batch)
        assert (result is not None) is applied
        assert (await lane.record("a")).execution_id == ("a/3" if applied else "a/1")

    async def test_resolve_itself_may_break(self, brittle: BrittleStore) -> None:
        """It is repeated; when that fails too, the caller may call it again with the old key."""
        lane = await LaneDriver.open(brittle)
        batch = lane.batch(creates=[instance("a")])
        brittle.writer.plan = [True, True, True]
        with pytest.raises(UnknownCommitError):
            await brittle.commit(batch)
        with pytest.raises(BackendUnavailableError):
            await brittle.resolve(batch)
        lane.key, result = await brittle.resolve(batch)
        assert result is not None
        lane.number += 1
        await lane.start("b")

    @pytest.mark.parametrize("applied", [True, False])
    async def test_a_poll_loses_nothing_it_claimed(
        self, brittle: BrittleStore, applied: bool
    ) -> None:
        """A poll that claimed in an unknown commit claims the same again."""
        lane = await LaneDriver.open(brittle)
        await lane.commit(creates=[instance("a"), instance("b")], activities=[])
        await lane.commit(activities=[activity("a")])
        brittle.writer.plan = [applied]
        work = await lane.poll()
        assert [claimed.instance_id for claimed in work.instances] == ["a", "b"]
        assert [claimed.task_id for claimed in work.activities] == [1]
        await lane.commit(turns=[turn("a", 0), turn("b", 0)])

    @pytest.mark.parametrize("applied", [True, False])
    async def test_lanes_open_and_close(self, brittle: BrittleStore, applied: bool) -> None:
        """Opening and closing a lane may be done twice without harm."""
        brittle.writer.plan = [applied]
        lane = await LaneDriver.open(brittle)
        await lane.start("a")
        brittle.writer.plan = [applied]
        await brittle.close_lane(lane.key)
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 0)])


@pytest.mark.asyncio
class TestCleanFailures:
    """Nothing was written, and the call may be repeated as it is."""

    async def test_a_busy_file(self, opened: Opener, path: Path) -> None:
        """Another writer is waited for, and then named."""
        store = await opened(busy_timeout=0.05)
        lane = await LaneDriver.open(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendUnavailableError, match="busy_timeout"):
            await lane.start("a")
        assert not await lane.exists("a"), "queries do not wait for a writer"
        other.execute("ROLLBACK")
        other.close()
        await lane.start("a")

    async def test_a_writer_is_waited_for(self, opened: Opener, path: Path) -> None:
        """Within busy_timeout nobody notices."""
        store = await opened()
        lane = await LaneDriver.open(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        starting = asyncio.create_task(lane.start("a"))
        await asyncio.sleep(0.05)
        assert not starting.done()
        other.execute("ROLLBACK")
        other.close()
        await starting

    async def test_a_full_disk(self, store: SQLiteStore) -> None:
        """SQLite refuses cleanly; with some space the same batch goes through."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await limit_pages(store, 1)
        batch = lane.batch(turns=[turn("a", 0, chunk=bytes(100_000))])
        with pytest.raises(BackendUnavailableError, match="disk is full"):
            await store.commit(batch)
        assert await lane.history("a") == []
        await limit_pages(store, 2**30)
        await store.commit(batch)
        assert len(await lane.history("a")) == 1

    async def test_a_bad_value_spoils_nothing(self, store: SQLiteStore) -> None:
        """Whatever goes wrong inside a transaction, it is rolled back."""
        lane = await LaneDriver.open(store)
        with pytest.raises(UnicodeEncodeError):
            await lane.commit(creates=[instance("fine"), instance("\ud800")])
        assert not await lane.exists("fine")
        await lane.start("fine")


async def limit_pages(store: SQLiteStore, pages: int) -> None:
    """Let the file hold so many pages, or as many as it has if that is more."""
    sql = f"PRAGMA max_page_count = {pages}"
    await store._open.writer.run(lambda database: database.rows(sql))


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (sqlite3.SQLITE_READONLY, "writable"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "directory exists"),
        (sqlite3.SQLITE_IOERR_FSYNC, "system log"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "backup"),
        (sqlite3.SQLITE_MISUSE, "cause"),
    ],
)
def test_errors_say_what_to_do(code: int, remedy: str) -> None:
    """Every error names the file, SQLite's reason and the remedy; extended codes count too."""
    error = sqlite3.OperationalError("SQLite's reason")
    error.sqlite_errorcode = code
    translated = unavailable(error, "/data/hub.db")
    assert all(text in str(translated) for text in ("/data/hub.db", "SQLite's reason", remedy))


@pytest.mark.asyncio
async def test_a_lane_needs_its_lock_file(store: SQLiteStore, path: Path) -> None:
    """A lane whose lock file cannot be made is not opened."""
    (path.parent / "hub.db.lane-1").mkdir()
    with pytest.raises(BackendUnavailableError, match="directory"):
        await store.open_lane(LaneOptions(worker="w", lease=1.0))
    (path.parent / "hub.db.lane-1").rmdir()
    lane = await LaneDriver.open(store)
    assert lane.standing.workers == 1
