"""Polls whose answer is lost, and polls that come late: nothing strands, nothing is given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from durabletask.errors import BackendUnavailableError
from durabletask.redis.trouble import LinkLostError
from durabletask.testing.conformance.store.driver import LaneDriver, activity, instance, turn

from .hubs import fresh_hub, store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from durabletask.redis import RedisStore

pytestmark = pytest.mark.asyncio


class Wire:
    """What stands between a store's polls and the server.

    Attributes:
        broken: the next poll is carried out, and its answer is lost.
        cut: the next poll is kept back, and its sender hears that the connection broke.
        kept: what was kept back.
    """

    def __init__(self, store: RedisStore) -> None:
        line = store._open.work
        self._run = line.run
        self.broken = self.cut = False
        self.kept: list[tuple[Any, ...]] = []
        line.run = self.run  # type: ignore[method-assign]

    async def run(self, name: str, *arguments: Any, once: bool = False) -> Any:
        if name == "poll" and self.cut:
            self.cut = False
            self.kept.append((name, *arguments))
            raise LinkLostError("cut by the test", sent=True)
        answer = await self._run(name, *arguments, once=once)
        if name == "poll" and self.broken:
            self.broken = False
            raise LinkLostError("cut by the test", sent=True)
        return answer

    async def let_through(self) -> Any:
        """Now the server gets what was kept back; nobody hears the answer."""
        return await self._run(*self.kept.pop())


@pytest_asyncio.fixture
async def store(server_url: str) -> AsyncIterator[RedisStore]:
    opened = store_on(server_url, fresh_hub())
    await opened.open()
    yield opened
    await opened.close()


async def test_what_a_lost_poll_claimed_is_handed_out_again(store: RedisStore) -> None:
    """**turn-single** A claim whose answer is lost strands nothing."""
    lane, wire = await LaneDriver.open(store), Wire(store)
    await lane.commit(creates=[instance("a"), instance("b")])
    await lane.commit(activities=[activity("a")])
    wire.broken = True
    with pytest.raises(BackendUnavailableError, match="not answered"):
        await lane.poll()
    work = await lane.poll()
    assert sorted(claimed.instance_id for claimed in work.instances) == ["a", "b"]
    assert len(work.activities) == 1
    again = await lane.poll()
    assert (again.instances, again.activities) == ([], [])


async def test_what_a_late_poll_claimed_is_handed_out_again(store: RedisStore) -> None:
    """**turn-single** Nobody hears its answer, and the next call tells that."""
    lane, wire = await LaneDriver.open(store), Wire(store)
    wire.cut = True
    with pytest.raises(BackendUnavailableError):
        await lane.poll()
    await lane.poll()
    await lane.commit(creates=[instance("a")])
    await wire.let_through()
    assert await lane.claims() == ["a"]
    assert await lane.claims() == []


async def test_what_is_at_work_is_not_handed_out_again(store: RedisStore) -> None:
    """**turn-single** Not even after a late poll: it would be old news of what the lane knows.

    The lane would take it for another claim of the instance, and forget where it stands.
    """
    lane, wire = await LaneDriver.open(store), Wire(store)
    await lane.commit(creates=[instance("a")])
    wire.cut = True
    with pytest.raises(BackendUnavailableError):
        await lane.poll()
    assert await lane.claims() == ["a"]
    await lane.commit(turns=[turn("a", 0)])
    assert await wire.let_through() == [b"late"]
    assert await lane.claims() == []
