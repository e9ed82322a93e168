"""Worker processes on PostgreSQL while workers, connections and the server break.

What must hold at the end is in :mod:`.torture.verdict`. `nox -s torture -- --backend postgresql://
--minutes 60` does the same for as long as you like.
"""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import asyncpg
import msgspec
import pytest
from tests.servers.proxy import Fault

from durabletask.client import TaskHubClient
from durabletask.errors import BackendUnavailableError, LaneFencedError
from durabletask.postgres import PostgresStore
from durabletask.store import Message
from durabletask.testing.conformance.store.driver import LaneDriver, instance, turn

from .torture.load import Load
from .torture.place import store_at
from .torture.processes import WorkerProcess
from .torture.rigs import rig_for
from .torture.rounds import make_trouble
from .torture.troubles import Rig
from .torture.verdict import runs_at

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

OPTIONS = {"local_backlog": 20, "lease": 1.5, "probation_delay": 0.5}


async def test_a_thousand_busy_instances_change_hands_quickly(tmp_path: Path):
    """**failure-infra**: every interrupted activity of a dead worker runs again soon."""
    busy = 1000
    async with rig_for("postgresql://", tmp_path, random.Random(1)) as rig:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(TaskHubClient(rig.calm.url))
            first = await stack.enter_async_context(await WorkerProcess.ready(rig.place))
            starts = (client.schedule_new_orchestration("holding", input=60) for _ in range(busy))
            await asyncio.gather(*starts)
            await until(lambda: runs_at(rig.place.ledger).total() == busy, within=20)
            await stack.enter_async_context(await WorkerProcess.ready(rig.place))
            await asyncio.sleep(3.0)  # the server has just started, which puts off take-overs
            killed = await first.kill()
            await until(lambda: runs_at(rig.place.ledger).total() == 2 * busy, within=20)
            took = time.monotonic() - killed
    print(f"{busy} busy instances taken over in {took:.2f} s")
    assert took < 4.0  # 2 s on a quiet machine


async def until(condition, *, within: float) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("fault", ["cut request", "cut reply"])
async def test_a_connection_breaks_at_each_step_of_opening(tmp_path: Path, fault: Fault):
    """**failure-infra** Wherever it breaks, it is told as trouble, and one may try again."""
    refused = 0
    async with rig_for("postgresql://", tmp_path, random.Random(5)) as rig:
        assert rig.proxy is not None
        for step in count():
            rig.proxy.arm(fault, after=step)
            store = store_at(rig.place.url)
            try:
                await store.open()
            except BackendUnavailableError:
                refused += 1
            await store.close()
            if rig.proxy.done <= step:  # it was open before so much had passed
                break
    assert refused > 10


WITHOUT_LOOKING = (
    "ALTER FUNCTION durabletask.resolve_v1 RENAME TO resolved; "
    "CREATE FUNCTION durabletask.resolve_v1(p_hub integer, p_lane bigint, p_number bigint, "
    "p_instance text, p_execution text, p_sequence integer, p_next text, OUT epoch bigint, "
    "OUT applied boolean, OUT refused integer[], OUT missing integer[]) LANGUAGE plpgsql "
    "AS $$ BEGIN SELECT r.epoch FROM durabletask.resolved(p_hub, p_lane, p_number, "
    "p_instance, p_execution, p_sequence, p_next) AS r INTO epoch; applied := false; END $$"
)

WITHOUT_AN_EPOCH = (
    "CREATE OR REPLACE FUNCTION durabletask.fence_v1(p_hub integer, p_lane bigint, "
    "p_epoch bigint, p_number bigint, p_record boolean) RETURNS void "
    "LANGUAGE plpgsql AS $$ BEGIN END $$"
)


@pytest.mark.timeout(240)
async def test_the_torture_finds_what_is_missing(tmp_path: Path):
    """Without looking up what is unknown, events count twice."""
    # On a busy machine a round may happen to swallow answers that nobody would look up.
    for seed in range(3, 7):
        folder = tmp_path / str(seed)
        folder.mkdir()
        async with rig_for("postgresql://", folder, random.Random(seed), **OPTIONS) as rig:
            await alter(rig, WITHOUT_LOOKING)
            if await is_violated(rig, seed):
                return
    raise AssertionError("four rounds have found nothing")


async def is_violated(rig: Rig, seed: int) -> bool:
    """Whether a round shows that something is missing.

    A start or an event is told to be there twice, or has changed an outcome, or has left somebody
    waiting for good.
    """
    load = Load(rig.place, 300, starting=4.0, seed=seed, only="account")
    try:
        async with asyncio.timeout(45):
            await make_trouble(load, rig, 30, workers=1, kinds=["swallow"])
        await load.check(rig.calm)
    except (AssertionError, ExceptionGroup, TimeoutError):
        return True
    return False


@pytest.mark.parametrize("broken", [False, True])
async def test_a_late_request_counts_twice_without_the_epoch(tmp_path: Path, broken: bool):
    """**turn-atomic** A request that arrives after it was looked up and sent again does no harm."""
    async with rig_for("postgresql://", tmp_path, random.Random(1)) as rig:
        if broken:
            await alter(rig, WITHOUT_AN_EPOCH)
        store = PostgresStore(rig.calm.url)
        await store.open()
        lane = await LaneDriver.open(store)
        await lane.commit(creates=[instance("a", owned=True)])
        late = lane.batch(messages=[Message("a", b"pay")])
        key, found = await store.resolve(late)
        assert found is None
        await store.commit(msgspec.structs.replace(late, lane=key))
        if broken:
            await store.commit(late)
        else:
            with pytest.raises(LaneFencedError):
                await store.commit(late)
        lane.key = key
        inbox = (await lane.poll()).inbox["a"]
        assert [message.body for message in inbox] == [b"pay"] * (2 if broken else 1)
        await store.close()


async def test_the_key_of_history_is_a_barrier_of_its_own(tmp_path: Path):
    """**turn-single** With the epoch check gone, a turn still cannot be written twice."""
    async with rig_for("postgresql://", tmp_path, random.Random(1)) as rig:
        await alter(rig, WITHOUT_AN_EPOCH)
        store = PostgresStore(rig.calm.url)
        await store.open()
        lane = await LaneDriver.open(store)
        await lane.run("a")
        late = lane.batch(turns=[turn("a", 1)], messages=[Message("a", b"pay")])
        key, found = await store.resolve(late)
        assert found is None
        await store.commit(msgspec.structs.replace(late, lane=key))
        with pytest.raises(LaneFencedError, match="history_pkey"):
            await store.commit(late)
        lane.key = key
        assert [message.body for message in (await lane.poll()).inbox["a"]] == [b"pay"]
        await store.close()


async def alter(rig: Rig, statement: str) -> None:
    """Change the schema under torture."""
    assert rig.server is not None
    connection = await asyncpg.connect(rig.server.url())
    await connection.execute(statement)
    await connection.close()
