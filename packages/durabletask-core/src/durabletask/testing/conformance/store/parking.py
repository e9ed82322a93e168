"""Parking: an instance is set aside with a reason, and released by other code or an operator."""

from __future__ import annotations

import pytest

from durabletask.errors import LaneFencedError
from durabletask.store import Park, Store
from durabletask.testing.conformance.store.driver import (
    ORDER,
    LaneDriver,
    execution,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["ParkSuite"]

REASON = "history says A, the code says B"


def park(instance_id: str, code: str | None = "v1", **fields: str) -> Park:
    """Set an instance aside."""
    defaults = {"execution_id": execution(instance_id), "reason": REASON}
    return Park(instance_id, code=code, **{**defaults, **fields})


@pytest.mark.asyncio
class ParkSuite(StoreFixtures):
    """**replay-park** and **failure-poison**, on stores that declare ``parking``."""

    needs = "parking"

    async def test_a_parked_instance_is_set_aside(self, store: Store, other_store: Store) -> None:
        """No lane claims it until it is unparked; its status, reason and inbox stay."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(messages=[message("a", "before")])
        await lane.commit(parked=[park("a")])
        record = await lane.record("a")
        assert (record.status, record.parked) == ("RUNNING", REASON)
        await lane.commit(messages=[message("a", "after"), message("a", "now", urgent=True)])
        for who in (lane, rival):
            work = await who.poll()
            assert (work.instances, work.inbox, work.next_due) == ([], {}, None)
        assert await store.unclaimed(0.0) == [], "a parked instance is not due"

    async def test_ownership_ends(self, store: Store) -> None:
        """``parked``: ownership ends, so the lane cannot commit turns any more."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(parked=[park("a")])
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 1)])

    async def test_only_an_owned_execution_is_parked(
        self, store: Store, other_store: Store
    ) -> None:
        """A park for what the lane does not own, or not under that execution, changes nothing."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await rival.commit(parked=[park("a"), park("unknown")])
        await lane.commit(parked=[park("a", execution_id="a/0")])
        assert (await lane.record("a")).parked is None
        await lane.commit(turns=[turn("a", 1)])

    async def test_an_unpark_message_releases(self, store: Store) -> None:
        """``unpark``: the receiver's parked reason is cleared; it is due with all its mail."""
        lane = await LaneDriver.open(store)
        await lane.run("a", "b")
        await lane.commit(messages=[message("a", "1")])
        await lane.commit(parked=[park("a", code=None), park("b", code=None)])
        await lane.commit(messages=[message("a", "2", unpark=True)])
        assert (await lane.record("a")).parked is None
        assert (await lane.record("b")).parked == REASON
        claimed = await lane.claim("a")
        assert [entry.body for entry in claimed.messages] == [b"1", b"2"]
        assert await lane.claims() == []

    async def test_a_dropped_unpark_message_releases_nothing(self, store: Store) -> None:
        """A message to an execution that is no longer current has no effect at all."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(parked=[park("a")])
        await lane.commit(messages=[message("a", "x", unpark=True, execution_id="a/0")])
        assert (await lane.record("a")).parked == REASON

    async def test_an_unpark_message_clears_the_crash_count(
        self, store: Store, advance: Advance
    ) -> None:
        """``unpark`` clears the crash count too: an operator says that it is safe again."""
        lane = await LaneDriver.open(store, lease=0.03)
        await lane.start("a")
        await advance(0.06)
        await store.take_over()
        lane = await LaneDriver.open(store)
        assert (await lane.claim("a")).crashes == 1
        await lane.commit(parked=[park("a", code=None)])
        await lane.commit(messages=[message("a", "resume", unpark=True)])
        assert (await lane.claim("a")).crashes == 0

    async def test_a_busy_instance_is_due_when_released(self, store: Store) -> None:
        """Being parked does not make an instance idle."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(turns=[turn("a", 0, update=None)], parked=[park("a")])
        newer = await LaneDriver.open(store, orchestrations={ORDER: "v2"})
        claimed = await newer.claim("a")
        assert claimed.busy

    async def test_other_code_releases(self, store: Store, other_store: Store) -> None:
        """**replay-park** It is tried again when a lane with other code of that name opens."""
        lane = await LaneDriver.open(store)
        await lane.run("a", "operator")
        await lane.commit(messages=[message("a", "unread"), message("operator", "unread")])
        await lane.commit(parked=[park("a", code="v1"), park("operator", code=None)])
        for orchestrations in ({ORDER: "v1"}, {"Refund": "v2"}, {}):
            same = await LaneDriver.open(other_store, orchestrations=orchestrations)
            assert await same.claims(orchestrations=frozenset({ORDER})) == []
        assert (await lane.record("a")).parked == REASON
        newer = await LaneDriver.open(other_store, orchestrations={ORDER: "v2"})
        assert await newer.claims() == ["a"]
        assert (await lane.record("a")).parked is None
        assert (await lane.record("operator")).parked == REASON, "only an operator may release it"
