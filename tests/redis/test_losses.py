"""What a lane notices of a server that has lost writes which it had acknowledged."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.servers.redis import RedisServer

from durabletask.errors import BackendUnavailableError, LaneFencedError
from durabletask.testing.conformance.store.driver import LaneDriver, instance, message, turn

from .hubs import fresh_hub, store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from durabletask.redis import RedisStore
    from durabletask.store import Work

pytestmark = pytest.mark.asyncio

LOST = "has lost writes that it had acknowledged"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose file holds all that it has acknowledged."""
    with RedisServer(tmp_path / "redis", appendfsync="always") as running:
        yield running


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    opened = store_on(server.url, fresh_hub())
    await opened.open()
    yield opened
    await opened.close()


async def poll(lane: LaneDriver) -> Work:
    """Ask until the new server answers."""
    while True:
        try:
            return await lane.poll()
        except BackendUnavailableError:
            await asyncio.sleep(0.02)


async def lane_without_its_last_turn(server: RedisServer, store: RedisStore) -> LaneDriver:
    """A lane whose second turn was acknowledged and is lost; it has not heard of that."""
    lane = await LaneDriver.open(store)
    await lane.run("a")
    await lane.commit(turns=[turn("a", 1, update=None)])
    size = server.log.stat().st_size
    await lane.commit(turns=[turn("a", 2, update=None)])
    await lane.poll()
    server.forget(size)
    return lane


async def test_a_lane_with_nothing_to_commit_notices(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    """**turn-single** A turn is lost, and its activity would be waited for without end."""
    lane = await lane_without_its_last_turn(server, store)
    with caplog.at_level(logging.ERROR), pytest.raises(LaneFencedError, match=LOST):
        await poll(lane)
    assert LOST in caplog.text


async def test_a_lane_that_goes_on_notices(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    """**turn-single** The turn after a lost one is refused: no history has a gap."""
    lane = await lane_without_its_last_turn(server, store)
    while True:  # until the new server answers
        with suppress(BackendUnavailableError):
            assert len(await lane.history("a")) == 2
            break
    more = [message("a", "more")]
    with caplog.at_level(logging.ERROR), pytest.raises(LaneFencedError, match=LOST):
        await lane.commit(turns=[turn("a", 3, update=None)], messages=more)
    assert LOST in caplog.text
    assert len(await lane.history("a")) == 2, "something came after a lost turn"


async def test_a_lane_that_was_given_work_notices(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    """**turn-single** What a poll was given is lost, and others may be given it."""
    lane, other = await LaneDriver.open(store), await LaneDriver.open(store)
    await other.commit(creates=[instance("a")])
    size = server.log.stat().st_size
    assert await lane.claims() == ["a"]
    server.forget(size)
    with caplog.at_level(logging.ERROR), pytest.raises(LaneFencedError, match=LOST):
        await poll(lane)
    assert LOST in caplog.text


async def test_a_number_is_not_given_again(server: RedisServer, store: RedisStore) -> None:
    """**turn-atomic** A lane that has read a lost message does not take another one for it."""
    lane, sender = await LaneDriver.open(store), await LaneDriver.open(store)
    await lane.run("a")
    size = server.log.stat().st_size
    await sender.commit(messages=[message("a", "lost")])
    [lost] = await lane.inbox("a")
    server.forget(size)
    other = await LaneDriver.open(store)
    await other.commit(messages=[message("a", "kept")])
    with pytest.raises(LaneFencedError, match=f"no message {lost.message_id}"):
        await lane.commit(turns=[turn("a", 1, consumed=[lost.message_id], update=None)])
    assert await lane.bodies("a") == ["kept"]
