"""Threads, cancellation, forks: what the store promises beside its answers."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from durabletask.errors import BackendClosedError
from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore
from durabletask.testing.conformance.store.driver import LaneDriver, message, turn

if TYPE_CHECKING:
    from pathlib import Path

Opener = Callable[..., Awaitable[SQLiteStore]]


def threads() -> list[str]:
    """Names of the living threads of stores."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("durabletask-sqlite")]


def write_diary(path: Path) -> None:
    """Write a file that is no database."""
    path.write_text("Dear diary, " * 1000)


def threads_end() -> bool:
    """Wait until they have ended."""
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not threads()


@pytest.mark.asyncio
class TestLife:
    """Nothing is left behind."""

    async def test_a_closed_store_leaves_no_thread(self, store: SQLiteStore) -> None:
        """The threads have ended when close returns, and with them the connections."""
        assert len(threads()) == 2
        await store.close()
        assert threads() == []
        with pytest.raises(BackendClosedError, match="not open"):
            await store.take_over()

    async def test_a_refused_file_leaves_no_thread(self, path: Path) -> None:
        """Nor does a store that could not be opened."""
        write_diary(path)
        for _ in range(3):
            with pytest.raises(Exception, match="no SQLite database"):
                await SQLiteStore(path).open()
        assert threads() == []

    async def test_a_forgotten_store_leaves_no_thread(self, path: Path) -> None:
        """A store that nobody closes ends with its last reference, without a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store = SQLiteStore(path, SQLiteOptions(synchronous="normal"))
            await store.open()
            await (await LaneDriver.open(store)).start("a")
            del store
            gc.collect()
            assert threads_end()

    async def test_jobs_that_wait_are_done_before_closing(
        self, store: SQLiteStore, opened: Opener
    ) -> None:
        """What was asked for before close is carried out."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        batches = [asyncio.create_task(lane.commit(turns=[turn("a", n)])) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*batches)
        lane.store = await opened()
        assert len(await lane.history("a")) == 20

    async def test_a_cancelled_commit_is_carried_out(self, store: SQLiteStore) -> None:
        """Cancelling drops the answer, never half of a write, and the store goes on."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        for number in range(20):
            commit = asyncio.create_task(lane.commit(turns=[turn("a", number)]))
            await asyncio.sleep(0.0001 * (number % 5))
            commit.cancel()
            await asyncio.wait([commit])
        await lane.poll()
        assert await lane.history("a") == [f"a turn {number}".encode() for number in range(20)]


@pytest.mark.asyncio
class TestThreads:
    """Who waits for whom."""

    async def test_queries_do_not_wait_for_writes(self, store: SQLiteStore, path: Path) -> None:
        """While a commit waits for another process, queries are answered."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(lane.commit(turns=[turn("a", 0)]))
        await asyncio.sleep(0.02)
        assert await lane.exists("a")
        assert await lane.history("a") == []
        assert not commit.done()
        other.execute("ROLLBACK")
        other.close()
        await commit
        assert len(await lane.history("a")) == 1

    async def test_polls_and_commits_keep_their_order(self, store: SQLiteStore) -> None:
        """A poll that follows a commit does not give what the commit consumed."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        for number in range(50):
            await lane.commit(messages=[message("a", "event")])
            [entry] = await lane.inbox("a")
            commit = asyncio.create_task(
                lane.commit(turns=[turn("a", number, consumed=[entry.message_id])])
            )
            await asyncio.sleep(0)
            assert await lane.inbox("a") == []
            await commit

    async def test_two_stores_of_a_process_wake_each_other(self, opened: Opener) -> None:
        """A commit of another connection calls wake, on the event loop; one's own does not."""
        one, two = await opened(), await opened()
        lane = await LaneDriver.open(one)
        await asyncio.sleep(0.05)
        woken = {one: 0, two: 0}
        homes: set[object] = set()

        def wake(store: SQLiteStore) -> None:
            woken[store] += 1
            homes.add(asyncio.get_running_loop())

        one.subscribe(lambda: wake(one))
        two.subscribe(lambda: wake(two))
        await lane.start("a")
        await asyncio.sleep(0.1)
        assert (woken[one], woken[two]) == (0, 1)
        assert homes == {asyncio.get_running_loop()}


@pytest.mark.asyncio
async def test_a_forked_child_is_refused(store: SQLiteStore) -> None:
    """A child process may neither use nor close what its parent has opened."""
    lane = await LaneDriver.open(store)
    await lane.start("a")
    with warnings.catch_warnings():
        # Python warns of forking a process with threads, which is the point here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(1 if not child_is_refused(store) else 0)
    assert exit_code(child) == 0
    await lane.commit(turns=[turn("a", 0)])
    assert await store.take_over() == 0


def exit_code(child: int) -> int:
    """Wait for a forked child to end."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def child_is_refused(store: SQLiteStore) -> bool:
    """Runs in the child: try to use the store, by hand, for the event loop is the parent's."""
    attempt = store.take_over()
    try:
        attempt.send(None)
    except BackendClosedError as error:
        closing = store.close()
        try:
            closing.send(None)
        except StopIteration:
            return "fork" in str(error)
    return False
