"""Several processes on one file: they wake each other, and outlive each other."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from durabletask.stores.sqlite import SQLiteStore
from durabletask.testing.conformance.store.driver import LaneDriver

if TYPE_CHECKING:
    from pathlib import Path

Opener = Callable[..., Awaitable[SQLiteStore]]
Start = Callable[[str], Awaitable["Worker"]]

PRELUDE = """
import asyncio, json, sys, time
from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore
from durabletask.testing.conformance.store.driver import LaneDriver, instance, turn

def tell(**fields):
    print(json.dumps(fields), flush=True)

async def main():
    store = SQLiteStore(sys.argv[1], SQLiteOptions(synchronous="normal"))
    await store.open()
    lane = await LaneDriver.open(store)
{body}

asyncio.run(main())
"""

WRITER = """
    ids = [f"instance-{n}" for n in range(20)]
    await lane.start(*ids)
    number = 0
    while True:
        await lane.commit(turns=[turn(name, number, update=None) for name in ids])
        number += 1
        tell(acknowledged=number)
"""

LISTENER = """
    woken = asyncio.Event()
    store.subscribe(woken.set)
    tell(ready=True)
    while True:
        await woken.wait()
        woken.clear()
        tell(at=time.time())
"""

HOLDER = """
    await lane.start("held")
    tell(lane=lane.key.lane_id)
    await asyncio.sleep(60)
"""


class Worker:
    """Another process, which tells what it does line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def hear(self) -> dict[str, Any]:
        """What it tells next."""
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        assert line, "the process has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    def kill(self) -> list[dict[str, Any]]:
        """Kill it as nothing can prevent. Returns what it had told meanwhile."""
        self.process.send_signal(signal.SIGKILL)
        # Not communicate(), which would miss what an earlier readline() has read ahead.
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.process.wait(timeout=10)
        return [json.loads(line) for line in rest.splitlines() if line.endswith("}")]


def launch(body: str, path: Path) -> Worker:
    """Start a process that opens a store and a lane on the file, and goes on with ``body``."""
    command = [sys.executable, "-c", PRELUDE.replace("{body}", body), str(path)]
    return Worker(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))


@pytest_asyncio.fixture
async def start(path: Path) -> AsyncIterator[Start]:
    """Starts processes that open a store and a lane on the file."""
    workers: list[Worker] = []

    async def started(body: str) -> Worker:
        workers.append(launch(body, path))
        return workers[-1]

    yield started
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
        assert worker.process.stdout is not None
        worker.process.stdout.close()


@pytest.mark.asyncio
async def test_processes_wake_each_other(opened: Opener, start: Start) -> None:
    """A commit is noticed by another process within 50 ms, typically in a few."""
    worker = await start(LISTENER)
    assert await worker.hear() == {"ready": True}
    store = await opened()
    lane = await LaneDriver.open(store)
    await lane.start("a")
    delays: list[float] = []
    for number in range(10):
        await asyncio.sleep(0.1)
        committed = time.time()
        await lane.start(f"b-{number}")
        while (heard := (await worker.hear())["at"]) < committed:
            pass
        delays.append(heard - committed)
    assert sorted(delays)[len(delays) // 2] < 0.05, delays


@pytest.mark.asyncio
async def test_a_killed_writer_leaves_a_whole_file(
    opened: Opener, start: Start, path: Path
) -> None:
    """**turn-atomic** Killed at any moment: what was acknowledged is there, batches are whole."""
    for _ in range(3):
        worker = await start(WRITER)
        told = [await worker.hear() for _ in range(50)]
        told += worker.kill()
        store = await opened()
        assert await store.take_over() == 1, "a dead process does not keep its lane for the lease"
        heir = await LaneDriver.open(store)
        work = await heir.poll()
        assert len(work.instances) == 20
        lengths = {claimed.sequence for claimed in work.instances}
        assert len(lengths) == 1, "a batch was applied in part"
        assert lengths.pop() - told[-1]["acknowledged"] in (0, 1)
        assert [claimed.crashes for claimed in work.instances] == [1] * 20
        await store.close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in ("instances", "history", "inbox", "lanes"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
        connection.close()


@pytest.mark.asyncio
async def test_the_dead_are_known_at_once(opened: Opener, start: Start, path: Path) -> None:
    """A process that lives keeps its lane; one that is killed loses it without a lease passing."""
    worker = await start(HOLDER)
    lane_id = (await worker.hear())["lane"]
    store, neighbour = await opened(), await opened()
    mine = await LaneDriver.open(neighbour)
    assert await store.take_over() == 0, "neither the process nor a store of this one is dead"
    assert await neighbour.take_over() == 0
    worker.kill()
    assert await store.take_over() == 1
    assert f"hub.db.lane-{lane_id}" not in os.listdir(path.parent)
    assert await mine.claims() == ["held"]
    assert await store.take_over() == 0


@pytest.mark.asyncio
async def test_without_lock_files_the_lease_decides(store: SQLiteStore, path: Path) -> None:
    """A file that was copied without its lock files has lanes that only time can end."""
    lane = await LaneDriver.open(store, lease=0.2)
    await lane.start("a")
    connection = sqlite3.connect(path)
    copy = path.parent / "copy.db"
    target = sqlite3.connect(copy)
    connection.backup(target)
    connection.close()
    target.close()
    restored = SQLiteStore(copy)
    await restored.open()
    assert await restored.take_over() == 0
    await asyncio.sleep(0.25)
    assert await restored.take_over() == 1
    await restored.close()
