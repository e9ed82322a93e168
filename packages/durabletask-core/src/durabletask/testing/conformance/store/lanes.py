"""Lanes: who may write."""

from __future__ import annotations

import asyncio

import pytest

from durabletask.errors import LaneFencedError
from durabletask.store import LaneKey, Store
from durabletask.testing.conformance.store.driver import (
    ORDER,
    SHIP,
    LaneDriver,
    instance,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["LaneSuite"]

TOLERANCE = 250_000
"""Microseconds by which the clock as it is known here may differ from the store's."""


@pytest.mark.asyncio
class LaneSuite(StoreFixtures):
    """Opening, renewing, closing; a lane's epoch decides whether it may write."""

    async def test_lane_ids_are_positive_and_never_used_twice(
        self, store: Store, other_store: Store
    ) -> None:
        """A lane id is never used twice, not even after its lane was closed."""
        ids: list[int] = []
        for home in (store, other_store, store):
            lane = await LaneDriver.open(home)
            ids.append(lane.key.lane_id)
            await store.close_lane(lane.key)
        assert min(ids) > 0, f"a lane id is positive, got {ids}"
        assert len(set(ids)) == len(ids), f"a lane id was used twice: {ids}"

    async def test_standing_names_what_the_live_lanes_know(
        self, store: Store, other_store: Store
    ) -> None:
        """Standing tells the names known to the live lanes of the hub, this one included."""
        first = await LaneDriver.open(store, orchestrations={ORDER: "v1"})
        assert first.standing.workers == 1
        assert first.standing.orchestrations == {ORDER}
        second = await LaneDriver.open(
            other_store, orchestrations={"Refund": "v1"}, activities=frozenset({"Call"})
        )
        for standing in (second.standing, await store.renew_lane(first.key)):
            assert standing.workers == 2
            assert standing.orchestrations == {ORDER, "Refund"}
            assert standing.activities == {SHIP, "Call"}
        await store.close_lane(second.key)
        standing = await store.renew_lane(first.key)
        assert standing.workers == 1
        assert standing.activities == {SHIP}

    async def test_the_clock_advances(self, store: Store, advance: Advance) -> None:
        """``now`` is the store's clock, in microseconds."""
        lane = await LaneDriver.open(store)
        before = lane.standing.now
        assert before > 1_000_000_000_000_000, "the clock counts microseconds since 1970"
        await advance(0.02)
        assert await lane.now() - before >= 19_000, "20 ms are 20,000 microseconds"
        assert (await lane.poll()).now >= before + 19_000

    async def test_the_clock_is_known_without_asking(self, store: Store) -> None:
        """``Store.now`` is the store's clock as far as it is known here: about right."""
        lane = await LaneDriver.open(store)
        before = await lane.now()
        known = store.now()
        after = await lane.now()
        assert before - TOLERANCE <= known <= after + TOLERANCE

    async def test_an_unknown_lane_is_fenced(self, store: Store) -> None:
        """An unknown lane raises LaneFencedError, whatever it asks for."""
        lane = await LaneDriver.open(store)
        lane.key = LaneKey(lane.key.lane_id + 1_000, lane.key.epoch)
        await self._is_fenced(lane)

    async def test_another_epoch_is_fenced(self, store: Store) -> None:
        """**turn-single** A key with any other epoch than the lane's may not write."""
        lane = await LaneDriver.open(store)
        genuine = lane.key
        for epoch in (genuine.epoch - 1, genuine.epoch + 1):
            lane.key = LaneKey(genuine.lane_id, epoch)
            await self._is_fenced(lane)
        lane.key = genuine
        await lane.start("still-writing")

    async def test_a_closed_lane_is_fenced(self, store: Store, other_store: Store) -> None:
        """``close_lane`` gives up the lane: it cannot write any more."""
        lane = await LaneDriver.open(store)
        await other_store.close_lane(lane.key)
        await self._is_fenced(lane)

    async def test_a_lane_taken_over_is_fenced(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """**turn-single** A worker that lost its lease cannot commit, however late it wakes up."""
        lane = await LaneDriver.open(store, lease=0.05)
        await lane.start("a")
        await advance(0.1)
        assert await other_store.take_over() == 1
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 0)])
        assert await lane.history("a") == [], "a fenced turn was written"
        await self._is_fenced(lane)

    async def test_a_lease_decides_when_never_whether(self, store: Store, advance: Advance) -> None:
        """A lane whose lease expired may write as long as nobody has taken it over."""
        lane = await LaneDriver.open(store, lease=0.02)
        await lane.start("a")
        await advance(0.05)
        await lane.commit(turns=[turn("a", 0)])
        await store.renew_lane(lane.key)

    async def test_a_renewed_lane_is_not_taken_over(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """``renew_lane`` extends the lease by its length, from now."""
        lane = await LaneDriver.open(store, lease=1.5)
        for _ in range(4):
            await advance(0.4)
            await store.renew_lane(lane.key)
        assert await other_store.take_over() == 0
        await lane.start("a")

    async def test_closing_twice_is_no_error(self, store: Store) -> None:
        """``close_lane`` is a no-op if the lane is gone."""
        lane = await LaneDriver.open(store)
        await store.close_lane(lane.key)
        await store.close_lane(lane.key)

    async def test_a_closed_lane_gives_up_what_it_owns(
        self, store: Store, other_store: Store
    ) -> None:
        """``close_lane`` gives up the instances: busy ones are due for others, without blame."""
        lane = await LaneDriver.open(store)
        await lane.start("busy")
        await lane.run("idle")
        await store.close_lane(lane.key)
        heir = await LaneDriver.open(other_store)
        work = await heir.poll()
        assert [claimed.instance_id for claimed in work.instances] == ["busy"]
        assert work.instances[0].busy
        assert work.instances[0].crashes == 0, "an orderly end is no crash"

    async def test_two_lanes_never_own_the_same_instance(
        self, store: Store, other_store: Store
    ) -> None:
        """**turn-single** Lanes that poll at the same time get different instances."""
        lanes = [await LaneDriver.open(home) for home in (store, other_store, store, other_store)]
        names = {f"instance-{n}" for n in range(40)}
        await lanes[0].commit(creates=[instance(name) for name in sorted(names)])
        claimed: list[str] = []
        for _ in range(20):
            for ids in await asyncio.gather(*(lane.claims(max_instances=3) for lane in lanes)):
                claimed += ids
        assert sorted(claimed) == sorted(names), "each instance is handed out exactly once"

    @staticmethod
    async def _is_fenced(lane: LaneDriver) -> None:
        with pytest.raises(LaneFencedError):
            await lane.commit(creates=[instance("phantom")])
        with pytest.raises(LaneFencedError):
            await lane.poll()
        with pytest.raises(LaneFencedError):
            await lane.store.renew_lane(lane.key)
        assert not await lane.exists("phantom"), "a fenced batch was written"
