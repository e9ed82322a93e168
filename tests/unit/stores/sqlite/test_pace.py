"""Small commits on the event loop's own thread: when they are made there, and when not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from durabletask.errors import LaneFencedError
from durabletask.store import Pace, pace
from durabletask.stores.sqlite import SQLiteStore
from durabletask.stores.sqlite.database import Database
from durabletask.testing.conformance.store.driver import LaneDriver, instance, message, turn

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.store import CommitResult

Opener = Callable[..., Awaitable[SQLiteStore]]


@pytest.fixture
def committers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that commit, in order."""
    names: list[str] = []
    commit = Database._commit

    def note(database: Database) -> None:
        names.append(threading.current_thread().name)
        commit(database)

    monkeypatch.setattr(Database, "_commit", note)
    return names


def test_the_pace_follows_the_disk() -> None:
    """Slow until proven quick; one long wait does not undo it, many do."""
    measured = Pace()
    assert not measured.is_quick
    for _ in range(30):
        measured.took(pace.QUICK_SECONDS / 10)
    assert measured.is_quick
    measured.took(10.0)
    for _ in range(8):
        measured.took(pace.QUICK_SECONDS / 10)
    assert measured.is_quick, "one long wait says little"
    for _ in range(30):
        measured.took(3 * pace.QUICK_SECONDS)
    assert not measured.is_quick


@pytest.mark.asyncio
class TestPlace:
    """Which thread commits."""

    async def test_quick_small_commits_can_stay_on_the_loop(
        self, store: SQLiteStore, committers: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing else is going on, so nothing is handed over."""
        monkeypatch.setattr(Pace, "is_quick", True)
        lane = await LaneDriver.open(store)
        await lane.start("a")
        committers.clear()
        for sequence in range(20):
            await commit(lane, turns=[turn("a", sequence)])
        here = threading.current_thread().name
        assert committers.count(here) > 10, "the thread's own chores may be in the way at times"
        [chunks] = await store.read_history([("a", "a/1")])
        assert len(chunks) == 20

    async def test_slow_and_large_ones_go_to_the_thread(
        self, store: SQLiteStore, committers: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a slow disk the event loop must not wait, nor for a large batch."""
        lane = await LaneDriver.open(store)
        names = [f"i{n}" for n in range(pace.SMALL + 1)]
        monkeypatch.setattr(Pace, "is_quick", True)
        large = lane.batch(creates=[instance(name, owned=True) for name in names])
        assert store.commit_now(large) is None
        await lane.start(*names)
        monkeypatch.setattr(Pace, "is_quick", False)
        assert store.commit_now(lane.batch(turns=[turn("i0", 0)])) is None
        await lane.commit(turns=[turn("i0", 0)])
        assert set(committers) == {"durabletask-sqlite-writer"}

    async def test_another_writer_is_waited_for_on_the_thread(
        self, store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While somebody else writes, the event loop goes on, and then the commit is made."""
        monkeypatch.setattr(Pace, "is_quick", True)
        lane = await LaneDriver.open(store)
        await lane.start("a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(commit(lane, turns=[turn("a", 0)]))
        for _ in range(20):
            await asyncio.sleep(0.002)
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        await waiting

    async def test_no_earlier_job_is_overtaken(
        self, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is committed here while a poll that was asked for before is not answered."""
        monkeypatch.setattr(Pace, "is_quick", True)
        lane = await LaneDriver.open(store)
        await lane.start("a")
        poll = asyncio.ensure_future(lane.poll())
        await asyncio.sleep(0)
        assert store.commit_now(lane.batch(messages=[message("a", "later")])) is None
        assert (await poll).inbox == {}

    async def test_a_commit_that_fails_here_fails_there(
        self, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A lost lane is told by ``commit``; and what a batch changed in memory goes with it."""
        monkeypatch.setattr(Pace, "is_quick", True)
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await commit(lane, turns=[turn("a", 0)])
        wrong = {"released": [("a", False)], "turns": [turn("a", 0)]}
        assert store.commit_now(lane.batch(**wrong)) is None
        with pytest.raises(LaneFencedError, match="in the history already"):
            await lane.commit(**wrong)
        await commit(lane, turns=[turn("a", 1)])
        [chunks] = await store.read_history([("a", "a/1")])
        assert len(chunks) == 2


async def commit(lane: LaneDriver, **fields: Any) -> CommitResult:
    """Commit as a lane does: at once if the store can."""
    result = lane.store.commit_now(lane.batch(**fields))
    if result is None:
        return await lane.commit(**fields)
    lane.number += 1
    return result
