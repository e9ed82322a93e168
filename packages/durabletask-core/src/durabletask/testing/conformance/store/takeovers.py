"""Take-over: what a dead lane leaves behind, and whom it blames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from durabletask.testing.conformance.store.driver import LaneDriver, instance, message, turn
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import Store

__all__ = ["TakeoverSuite"]


@pytest.mark.asyncio
class TakeoverSuite(StoreFixtures):
    """**failure-infra** A dead worker's work goes on elsewhere; **failure-poison** counts."""

    async def test_only_expired_lanes_end(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """``take_over`` ends the lanes whose lease has expired, and tells how many."""
        for lease in (0.03, 0.05, 60.0):
            await LaneDriver.open(store, lease=lease)
        await advance(0.1)
        assert await other_store.take_over() == 2
        assert await other_store.take_over() == 0
        fresh = await LaneDriver.open(other_store)
        assert fresh.standing.workers == 2, "ended lanes are not live"

    async def test_racing_takeovers_count_once(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """A lane ends once, and its busy instances are blamed once, however many try."""
        lane = await LaneDriver.open(store, lease=0.03)
        await lane.start("a")
        await advance(0.06)
        counts = await asyncio.gather(
            store.take_over(), other_store.take_over(), store.take_over(), other_store.take_over()
        )
        assert sum(counts) == 1
        heir = await LaneDriver.open(other_store)
        assert (await heir.claim("a")).crashes == 1

    async def test_busy_instances_are_due_at_once(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """Busy instances are due at once with ``crashes`` raised by one; idle ones sleep on."""
        lane = await LaneDriver.open(store, lease=0.05)
        await lane.run("busy", "idle", "mailed")
        await lane.commit(messages=[message("mailed", "unread")])
        await lane.commit(turns=[turn("busy", 1, update=None)], released=[("busy", True)])
        await lane.claim("busy")
        await advance(0.1)
        assert await other_store.take_over() == 1
        heir = await LaneDriver.open(other_store)
        claimed = {found.instance_id: found for found in (await heir.poll()).instances}
        assert set(claimed) == {"busy", "mailed"}
        assert (claimed["busy"].busy, claimed["busy"].crashes) == (True, 1)
        assert (claimed["busy"].sequence, claimed["busy"].status) == (2, "RUNNING")
        assert (claimed["mailed"].busy, claimed["mailed"].crashes) == (False, 1)
        assert [entry.body for entry in claimed["mailed"].messages] == [b"unread"]

    async def test_the_heir_goes_on(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """**turn-single** After a take-over the new owner commits, and only it."""
        lane = await LaneDriver.open(store, lease=0.05)
        await lane.start("a")
        await lane.commit(turns=[turn("a", 0, update=None)])
        await advance(0.1)
        await other_store.take_over()
        heir = await LaneDriver.open(other_store)
        claimed = await heir.claim("a")
        await heir.commit(turns=[turn("a", claimed.sequence)])
        assert await heir.history("a") == [b"a turn 0", b"a turn 1"]

    async def test_a_closed_lane_is_not_taken_over(self, store: Store, advance: Advance) -> None:
        """A lane that was closed has nothing left to take."""
        lane = await LaneDriver.open(store, lease=0.03)
        await store.close_lane(lane.key)
        await advance(0.06)
        assert await store.take_over() == 0

    # --- crashes -------------------------------------------------------------------------------

    async def test_the_first_two_crashes_always_count(self, store: Store, advance: Advance) -> None:
        """Below two, ``crashes`` is raised at every take-over of a busy instance."""
        assert await self._crash(store, advance, times=2) == 2

    async def test_further_crashes_count_against_suspects_only(
        self, store: Store, advance: Advance
    ) -> None:
        """Above that, only if the instance was handed out as a suspect."""
        await self._crash(store, advance, times=2)
        bystander = await LaneDriver.open(store, lease=0.03)
        assert (await bystander.claim("a", probation_after=10)).crashes == 2
        await advance(0.06)
        await store.take_over()
        culprit = await LaneDriver.open(store, lease=0.03)
        found = await culprit.claim("a")
        assert found.crashes == 2, "it was no suspect when its last lane died"
        await advance(0.06)
        await store.take_over()
        heir = await LaneDriver.open(store)
        assert (await heir.claim("a")).crashes == 3, "it was a suspect when its last lane died"

    async def test_progress_clears_the_count(self, store: Store, advance: Advance) -> None:
        """``crashes_cleared``: this turn is progress, the count starts anew."""
        await self._crash(store, advance, times=2)
        lane = await LaneDriver.open(store, lease=0.03)
        await lane.claim("a")
        await lane.commit(turns=[turn("a", 0, update=None, crashes_cleared=True)])
        await advance(0.06)
        await store.take_over()
        heir = await LaneDriver.open(store)
        assert (await heir.claim("a")).crashes == 1

    async def test_a_turn_alone_does_not_clear_the_count(
        self, store: Store, advance: Advance
    ) -> None:
        """The count stays unless the turn says that it is progress."""
        await self._crash(store, advance, times=1)
        lane = await LaneDriver.open(store)
        await lane.claim("a")
        await lane.commit(turns=[turn("a", 0, update=None)], released=[("a", True)])
        assert (await lane.claim("a")).crashes == 1

    async def test_one_suspect_per_poll(self, store: Store, advance: Advance) -> None:
        """At most one suspect per poll is handed out, and only if ``suspects`` is true."""
        await self._crash(store, advance, times=2, names=("a", "b", "c"))
        lane = await LaneDriver.open(store)
        await lane.commit(creates=[instance("innocent-1")])
        assert await lane.claims(suspects=False) == ["innocent-1"]
        await lane.commit(creates=[instance("innocent-2")])
        first = await lane.claims()
        assert "innocent-2" in first, "suspects must not hold up the others"
        rounds = [set(first) - {"innocent-2"}, *[set(await lane.claims()) for _ in range(3)]]
        assert [len(suspects) for suspects in rounds] == [1, 1, 1, 0]
        assert set().union(*rounds) == {"a", "b", "c"}

    async def test_a_suspect_is_what_the_interest_says(
        self, store: Store, advance: Advance
    ) -> None:
        """``probation_after``: with at least this many crashes an instance is a suspect."""
        await self._crash(store, advance, times=1, names=("a", "b"))
        lane = await LaneDriver.open(store)
        assert await lane.claims(suspects=False, probation_after=1) == []
        assert set(await lane.claims(suspects=False, probation_after=2)) == {"a", "b"}

    @staticmethod
    async def _crash(
        store: Store, advance: Advance, *, times: int, names: tuple[str, ...] = ("a",)
    ) -> int:
        """Let a lane die while it holds the instances, so many times; the crash count then."""
        setup = await LaneDriver.open(store)
        await setup.commit(creates=[instance(name) for name in names])
        crashes = 0
        for _ in range(times):
            lane = await LaneDriver.open(store, lease=0.03)
            assert set(await lane.claims(probation_after=1_000)) == set(names)
            await advance(0.06)
            assert await store.take_over() == 1
            crashes += 1
        probe = await LaneDriver.open(store)
        found = await probe.poll(probation_after=1_000)
        assert {claimed.crashes for claimed in found.instances} == {crashes}
        await probe.release(*names, busy=True)
        await store.close_lane(setup.key)
        await store.close_lane(probe.key)
        return crashes
