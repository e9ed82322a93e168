"""Commits made in place, on the thread of the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import redis

from durabletask.testing.conformance.store.driver import LaneDriver, finish, instance, turn

from .hubs import fresh_hub, store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from durabletask.redis import RedisStore

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def store(server_url: str) -> AsyncIterator[RedisStore]:
    """A store whose server has proved quick, and counts as quick whatever this machine does."""
    opened = store_on(server_url, fresh_hub())
    await opened.open()
    (await ready(opened)).took = lambda seconds: None
    yield opened
    await opened.close()


async def ready(store: RedisStore) -> Any:
    """The store's connection for commits in place, once there is one."""
    direct = store._open.direct
    async with asyncio.timeout(10):
        while not direct.is_ready:
            direct.took(0.0)
            await asyncio.sleep(0.001)
    return direct


async def test_a_script_that_the_server_has_forgotten(store: RedisStore, server_url: str) -> None:
    """The event loop's way brings it back; what is committed in place goes on at once."""
    lane = await LaneDriver.open(store)
    await lane.run("a")
    with redis.Redis.from_url(server_url) as client:
        client.script_flush()
    assert store.commit_now(lane.batch(turns=[turn("a", 1, update=None)])) is None
    assert store._open.direct.is_ready
    await lane.commit(turns=[turn("a", 1, update=None)])
    assert store.commit_now(lane.batch(turns=[turn("a", 2, update=None)])) is not None


@pytest.mark.parametrize(
    ("script", "fields"),
    [
        ("begin", {"creates": [instance("b", owned=True)], "turns": [turn("b", 0)]}),
        ("append", {"turns": [turn("a", 1, update=None)]}),
        ("finish", {"turns": [finish("a", 1)]}),
        ("commit", {"turns": [turn("a", 1)], "creates": [instance("c")]}),
    ],
)
async def test_a_batch_goes_the_shortest_way(
    store: RedisStore, script: str, fields: dict[str, Any]
) -> None:
    """The first turn, those in mid-life and the last one have scripts of their own."""
    lane = await LaneDriver.open(store)
    await lane.run("a")
    direct, ran = store._open.direct, list[str]()
    run = direct.run

    def noting(name: str, *arguments: Any) -> Any:
        ran.append(name)
        return run(name, *arguments)

    direct.run = noting  # type: ignore[method-assign]
    store.commit_now(lane.batch(**fields))
    assert ran == [script]


@pytest.mark.parametrize("spin", [0.0, 0.001])
async def test_an_answer_that_takes_longer_than_it_is_watched_for(
    server_url: str, spin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for asleep, as without watching."""
    monkeypatch.setattr("durabletask.redis.direct.LONGEST_SECONDS", 30.0)
    opened = store_on(server_url, fresh_hub(), spin=spin)
    await opened.open()
    direct = await ready(opened)
    connection = direct._connection
    began = time.perf_counter()
    assert direct._ask(connection, (b"BLPOP", b"a list that nobody has", b"0.05")) is None
    assert time.perf_counter() - began >= 0.05
    assert direct._ask(connection, (b"PING",)) == b"PONG"
    await opened.close()
