"""What the memory store promises beyond the contract of seam 2."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

from durabletask.errors import BackendClosedError, ConfigurationError, InvalidRequestError
from durabletask.state import OrchestrationQuery
from durabletask.store import Message
from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    execution,
    finish,
    instance,
    turn,
)

pytestmark = pytest.mark.asyncio

_names = itertools.count()

HOUR = 3_600_000_000


def fresh_name() -> str:
    """The name of a hub that nobody has used."""
    return f"unit-{next(_names)}"


async def opened(name: str) -> MemoryStore:
    """An open store of this hub."""
    store = MemoryStore(name)
    await store.open()
    return store


@pytest.fixture
def name() -> str:
    return fresh_name()


async def test_stores_of_one_name_share_a_hub(name: str) -> None:
    """Client and worker of one process meet in the hub of their name, and in no other."""
    one, same, other = await opened(name), await opened(name), await opened(fresh_name())
    await (await LaneDriver.open(one)).start("a")
    assert "a" in await same.get_instances(["a"], payloads=False)
    assert await other.get_instances(["a"], payloads=False) == {}


async def test_a_hub_lives_while_a_store_of_its_name_is_open(name: str) -> None:
    """The last one to close takes it along, whoever still holds a closed store."""
    store = await opened(name)
    store.subscribe(lambda: None)
    await (await LaneDriver.open(store)).start("a")
    heir = await opened(name)
    await store.close()
    assert "a" in await heir.get_instances(["a"], payloads=False)
    await heir.close()
    later = await opened(name)
    assert await later.get_instances(["a"], payloads=False) == {}
    await later.close()


async def test_a_hub_has_one_clock(name: str) -> None:
    """A second clock for the same hub is a mistake of the set-up."""
    clock = itertools.count(1).__next__
    store, same = MemoryStore(name, clock=clock), MemoryStore(name, clock=clock)
    assert store.now() == 1, "it tells its clock before it is open, too"
    await store.open()
    await same.open()
    unclocked = await opened(name)
    assert (same.now(), unclocked.now()) == (2, 3)
    other = MemoryStore(name, clock=lambda: 0)
    with pytest.raises(ConfigurationError, match="another clock"):
        await other.open()
    for one in (store, same, unclocked, other):
        await one.close()


async def test_a_store_is_used_between_open_and_close(name: str) -> None:
    """Before ``open`` and after ``close`` every call says so."""
    store = MemoryStore(name)
    for _ in range(2):
        with pytest.raises(BackendClosedError, match="not open"):
            await store.get_instances(["a"], payloads=False)
        with pytest.raises(BackendClosedError, match="not open"):
            store.subscribe(lambda: None)
        await store.open()
        assert await store.get_instances(["a"], payloads=False) == {}
        await store.close()


async def test_a_foreign_continuation_token_is_refused(name: str) -> None:
    """A token of another backend, or a mangled one, is a named error."""
    store = await opened(name)
    for token in ("", "junk", "[1]", '["a", 1]', "{}"):
        with pytest.raises(InvalidRequestError, match="continuation token"):
            await store.query_instances(OrchestrationQuery(continuation_token=token))


async def test_a_running_instance_is_never_replaced(name: str) -> None:
    """Even a policy that lists an unfinished status does not delete work under way."""
    lane = await LaneDriver.open(await opened(name))
    await lane.start("a")
    result = await lane.commit(
        creates=[instance("a", execution_id="a/2", replace=frozenset({"PENDING"}))]
    )
    assert result.refused == {0}


async def test_many_hints_are_one_call(name: str) -> None:
    """A burst of commits wakes the other store once, on its event loop, and not the writer."""
    writer, reader = await opened(name), await opened(name)
    calls: list[str] = []
    writer.subscribe(lambda: calls.append("writer"))
    reader.subscribe(lambda: calls.append("reader"))
    lane = await LaneDriver.open(writer)
    for n in range(100):
        await lane.commit(creates=[instance(f"i{n}")])
    await asyncio.sleep(0)
    assert calls == ["reader"]
    await lane.start("one more")
    await asyncio.sleep(0)
    assert calls == ["reader", "reader"]


async def test_stores_in_other_threads_wake_each_other(name: str) -> None:
    """A hub may be shared by event loops of several threads."""
    store = await opened(name)
    woken = asyncio.Event()
    store.subscribe(woken.set)

    async def write() -> None:
        other = await opened(name)
        await (await LaneDriver.open(other)).start("a")
        await other.close()

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    async with asyncio.timeout(10):
        await woken.wait()
    thread.join()
    assert "a" in await store.get_instances(["a"], payloads=False)


async def test_an_abandoned_event_loop_is_not_woken(name: str) -> None:
    """A store whose loop was closed under it does not disturb those who write."""

    def abandon() -> MemoryStore:
        async def run() -> MemoryStore:
            store = await opened(name)
            store.subscribe(lambda: None)
            return store

        return asyncio.run(run())

    abandoned = await asyncio.to_thread(abandon)
    lane = await LaneDriver.open(await opened(name))
    await lane.start("a")
    assert abandoned.capabilities.name == "memory"


async def test_threads_share_a_hub_without_harm(name: str) -> None:
    """Concurrent lanes on loops of their own lose nothing and double nothing."""
    store = await opened(name)
    setup = await LaneDriver.open(store)
    total, claimed = 300, list[str]()
    await setup.commit(creates=[instance(f"i{n}") for n in range(total)])

    async def work() -> None:
        lane = await LaneDriver.open(await opened(name))
        while mine := await lane.claims(max_instances=3):
            await lane.commit(turns=[finish(name) for name in mine])
            claimed.extend(mine)

    await asyncio.gather(*(asyncio.to_thread(asyncio.run, work()) for _ in range(3)))
    assert sorted(claimed) == sorted(f"i{n}" for n in range(total))


async def test_waiting_instances_cost_nothing(name: str) -> None:
    """A poll does not look at those who wait, owned or not, however many they are."""
    store = await opened(name)
    lane = await LaneDriver.open(store)
    count = 20_000
    ids = [f"i{n}" for n in range(count)]
    await lane.start(*ids)
    far = await lane.now() + HOUR
    timers = {n: [Message(n, b"", execution_id=execution(n), visible_at=far)] for n in ids}
    await lane.commit(turns=[turn(n, 0, timers=timers[n]) for n in ids])
    await lane.release(*ids[: count // 2])
    shortest = 1.0
    for _ in range(200):
        start = time.perf_counter()
        assert (await lane.poll()).next_due == far
        shortest = min(shortest, time.perf_counter() - start)
    # A scan of 20,000 rows takes milliseconds; a poll that does not scan takes microseconds.
    assert shortest < 0.000_5
