"""Real worker processes on one SQLite file, killed and frozen, while this process is the client.

What must hold at the end is in :mod:`.torture.verdict`: every instance completes with the right
result, once and for all; the ledger of activity runs and the histories agree; the file is sound.
"""

import asyncio
import sqlite3
import statistics
import time
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationStatus

from .torture.audits import check_file, settled
from .torture.load import Load
from .torture.place import Place
from .torture.processes import WorkerProcess
from .torture.verdict import runs_at
from .torture.worker import DEADLY

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A database file that does not exist yet."""
    return Place.in_file(tmp_path / "torture.db")


def lanes_opened_in(place: Place) -> int:
    """How many lanes there have ever been; a worker that was fenced opens another."""
    with closing(sqlite3.connect(place.file)) as database:
        (number,) = database.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'lanes'"
        ).fetchone()
    return number


async def until(condition, *, within: float) -> float:
    """Wait until the condition holds; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def rest(place: Place) -> None:
    """Wait until the file is as it has to be in the end."""
    await settled(partial(asyncio.to_thread, check_file, place.file))


async def kill_and_start(load: Load, kills: int, workers: int = 1, **options: float) -> list[int]:
    """Kill a random worker at random moments and start another in its place.

    ``options`` are those of the workers' StoreOptions. A small ``local_backlog`` sends activities
    through the shared queue if there are several workers.

    Returns:
        How many instances were unfinished at each kill.
    """
    unfinished: list[int] = []
    crew = [await WorkerProcess.start(load.place, **options) for _ in range(workers)]
    running = asyncio.create_task(load.run())
    try:
        for _ in range(kills):
            victim = load.chance.randrange(workers)
            # Some are killed while they start and take over, some in full flight.
            if load.chance.random() < 0.8:
                await crew[victim].is_ready()
            await asyncio.sleep(load.chance.uniform(0.0, 0.7))
            unfinished.append(load.unfinished)
            await crew[victim].kill()
            crew[victim] = await WorkerProcess.start(load.place, **options)
        await running
        await rest(load.place)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for worker in crew:
            await worker.kill()
    return unfinished


async def test_one_worker_is_killed_again_and_again(place):
    """**turn-atomic**, **activity-once**: six kills among 500 instances change no outcome."""
    load = Load(place, instances=500, seed=1)
    unfinished = await kill_and_start(load, kills=6)
    assert unfinished[2] > 100, "the kills came too late to be of any interest"
    assert await load.check(place) > 0, "no activity was ever interrupted"


@pytest.mark.parametrize("backlog", [1000, 3], ids=["local", "queued"])
async def test_two_workers_are_killed_in_turn(place, backlog):
    """**turn-single**: one goes on while the other is killed, and both take over."""
    load = Load(place, instances=300, seed=2)
    await kill_and_start(load, 4, workers=2, local_backlog=backlog, probation_delay=1.0)
    await load.check(place)


async def test_the_survivor_takes_over_alone(place):
    """**failure-infra**: nobody starts the killed worker again; the other one finishes it all."""
    load = Load(place, instances=200, seed=3)
    async with await WorkerProcess.ready(place) as one, await WorkerProcess.ready(place) as other:
        running = asyncio.create_task(load.run())
        await asyncio.sleep(1.0)
        await one.kill()
        assert load.unfinished > 20
        await running
        await rest(place)
        await other.stop()
    await load.check(place)


def is_locked(place: Place) -> bool:
    """Whether some process is in the middle of a write transaction."""
    with closing(sqlite3.connect(place.file, timeout=0)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


async def freeze(worker: WorkerProcess, place: Place) -> None:
    """Freeze a worker, but not inside a transaction.

    SQLite's lock stays with a process that is frozen there, and all others wait for it: that is
    safe, but nobody can take over from it.
    """
    while True:
        worker.freeze()
        # Long enough for the other worker's transactions to end.
        for _ in range(20):
            if not is_locked(place):
                return
            await asyncio.sleep(0.01)
        worker.thaw()
        await asyncio.sleep(0.02)


async def test_a_frozen_worker_is_fenced(place):
    """**turn-single**: a worker that lost its lease cannot commit, however late it wakes up."""
    load = Load(place, instances=300, starting=7.0, seed=4)
    async with (
        await WorkerProcess.ready(place, lease=1.5) as one,
        await WorkerProcess.ready(place, lease=1.5) as other,
    ):
        running = asyncio.create_task(load.run())
        for worker in (one, other):
            await asyncio.sleep(0.7)
            await freeze(worker, place)
            await asyncio.sleep(3.0)
            worker.thaw()
        await running
        await rest(place)
        assert one.lives and other.lives
        await one.stop()
        await other.stop()
    assert lanes_opened_in(place) >= 5, "the client's, one for each worker, and one after its sleep"
    await load.check(place)


async def test_another_process_is_woken_within_milliseconds(place):
    """A start here wakes the worker there, and its completion wakes us."""
    latencies = []
    async with await WorkerProcess.ready(place), TaskHubClient(place.url) as client:
        for number in range(40):
            began = time.monotonic()
            started = await client.schedule_new_orchestration("echoing", input=number)
            state = await client.wait_for_orchestration_completion(started, timeout=10)
            latencies.append(time.monotonic() - began)
            assert state.result == number
            await asyncio.sleep(0.01 * (number % 5))
    print(f"p50 {statistics.median(latencies) * 1000:.1f} ms, max {max(latencies) * 1000:.1f} ms")
    assert statistics.median(latencies) < 0.050
    assert max(latencies) < 1.0


@pytest.mark.parametrize("standby", [True, False], ids=["standby", "restart"])
async def test_a_thousand_busy_instances_change_hands_quickly(place, standby):
    """**failure-infra**: every interrupted activity of a dead worker runs again soon."""
    count = 1000
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(TaskHubClient(place.url))
        first = await stack.enter_async_context(await WorkerProcess.ready(place))
        starts = (client.schedule_new_orchestration("holding", input=60) for _ in range(count))
        await asyncio.gather(*starts)
        await until(lambda: runs_at(place.ledger).total() == count, within=20)
        if standby:
            await stack.enter_async_context(await WorkerProcess.ready(place))
        killed = await first.kill()
        if not standby:
            await stack.enter_async_context(await WorkerProcess.ready(place))
        await until(lambda: runs_at(place.ledger).total() == 2 * count, within=20)
        took = time.monotonic() - killed
    print(f"{count} busy instances taken over in {took:.2f} s")
    assert took < 4.0  # 2 s on a quiet machine


@pytest.mark.parametrize("deadly", DEADLY, ids=lambda deadly: deadly.__name__)
async def test_a_poisonous_instance_is_set_aside(place, deadly):
    """**failure-poison**: what kills its worker five times is parked; all else gets on."""
    deaths = 0
    eager = {"probation_delay": 0.2, "poll_interval": 0.2}

    async def keep_one_alive():
        nonlocal deaths
        while True:
            async with await WorkerProcess.start(place, **eager) as worker:
                await worker.is_ready()
                await worker.ended()
                deaths += 1

    async with TaskHubClient(place.url) as client:
        supervisor = asyncio.create_task(keep_one_alive())
        try:
            others = [
                await client.schedule_new_orchestration("echoing", input=n) for n in range(50)
            ]
            poison = await client.schedule_new_orchestration(deadly)
            others += [
                await client.schedule_new_orchestration("echoing", input=n) for n in range(50)
            ]
            async with asyncio.timeout(60):
                while True:
                    state = await client.get_orchestration_state(poison)
                    if state.parked_reason is not None:
                        break
                    await asyncio.sleep(0.05)
            assert state.parked_reason.startswith("poisoned: 5 workers died")
            for other in others:
                done = await client.wait_for_orchestration_completion(other, timeout=10)
                assert done.runtime_status is OrchestrationStatus.COMPLETED
            assert deaths == 5

            place.antidote.touch()
            await client.resume_orchestration(poison)
            state = await client.wait_for_orchestration_completion(
                poison, timeout=timedelta(seconds=10)
            )
            assert (state.result, state.parked_reason) == ("healed", None)
            assert deaths == 5
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
    check_file(place.file)
