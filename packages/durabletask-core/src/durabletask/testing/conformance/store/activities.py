"""The shared queue: any lane that knows the name may claim, one result counts."""

from __future__ import annotations

import asyncio

import pytest

from durabletask.store import FinishedActivity, Store
from durabletask.testing.conformance.store.driver import (
    SHIP,
    LaneDriver,
    activity,
    execution,
    finish,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["ActivityQueueSuite"]


def finished(activity_id: int, token: int, instance_id: str, body: str) -> FinishedActivity:
    """An outcome for the current execution."""
    outcome = message(instance_id, body, execution_id=execution(instance_id))
    return FinishedActivity(activity_id, token, outcome)


@pytest.mark.asyncio
class ActivityQueueSuite(StoreFixtures):
    """**activity-once** Queued activities run at least once, their results count once."""

    async def test_an_activity_is_handed_out_as_it_was_queued(
        self, store: Store, other_store: Store
    ) -> None:
        """All fields of the row are kept; the body is opaque."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a", 9, body=b"\x00\xff")])
        [claimed] = await rival.take_activities()
        assert (claimed.instance_id, claimed.execution_id) == ("a", execution("a"))
        assert (claimed.task_id, claimed.name, claimed.body) == (9, SHIP, b"\x00\xff")
        assert claimed.crashes == 0
        assert await lane.take_activities() == [], "a claimed activity is leased to one lane"
        assert await rival.take_activities() == []

    async def test_claims_keep_to_names_and_room(self, store: Store, other_store: Store) -> None:
        """Only activities of the interest, oldest first, not more than there is room for."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        for n in range(5):
            await lane.commit(
                activities=[activity("a", n), activity("a", 100 + n, name=SHIP.lower())]
            )
        assert await rival.take_activities(max_activities=0) == []
        assert await rival.take_activities(activities=frozenset()) == []
        taken = [await rival.take_activities(max_activities=2) for _ in range(4)]
        assert [[row.task_id for row in rows] for rows in taken] == [[0, 1], [2, 3], [4], []]

    async def test_no_two_lanes_get_the_same_activity(
        self, store: Store, other_store: Store
    ) -> None:
        """Lanes that poll at the same time get different activities."""
        lanes = [await LaneDriver.open(home) for home in (store, other_store, store, other_store)]
        await lanes[0].run("a")
        await lanes[0].commit(activities=[activity("a", n) for n in range(40)])
        taken: list[int] = []
        for _ in range(20):
            polls = (lane.take_activities(max_activities=3) for lane in lanes)
            for rows in await asyncio.gather(*polls):
                taken += [row.task_id for row in rows]
        assert sorted(taken) == list(range(40)), "each activity is handed out exactly once"

    async def test_an_outcome_is_delivered_once(self, store: Store, other_store: Store) -> None:
        """**activity-once** The row goes and the message comes in one step, one single time."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")])
        [claimed] = await rival.take_activities()
        outcome = finished(claimed.activity_id, claimed.token, "a", "done")
        result = await rival.commit(finished=[outcome, outcome])
        assert result.missing == frozenset(), "missing speaks of Batch.messages only"
        await rival.commit(finished=[outcome])
        assert await lane.bodies("a") == ["done"]
        assert await lane.take_activities() == []

    async def test_a_stale_token_writes_nothing(self, store: Store, other_store: Store) -> None:
        """**activity-once** With another token nothing of it is written: somebody else has it."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")])
        [first] = await lane.take_activities()
        await lane.commit(returned=[(first.activity_id, first.token)])
        [second] = await rival.take_activities()
        assert second.activity_id == first.activity_id
        assert second.token != first.token, "every claim has a token of its own"
        assert second.crashes == 0, "giving an activity back is no crash"
        await lane.commit(
            finished=[finished(first.activity_id, first.token, "a", "stale")],
            returned=[(first.activity_id, first.token)],
            messages=[message("a", "the rest of the batch is written")],
        )
        assert await lane.bodies("a") == ["the rest of the batch is written"]
        assert await lane.take_activities() == [], "a stale token gave the activity back"
        await rival.commit(finished=[finished(second.activity_id, second.token, "a", "good")])
        assert (await lane.bodies("a"))[1:] == ["good"]

    async def test_an_unknown_activity_writes_nothing(self, store: Store) -> None:
        """If the row is gone, nothing of the outcome is written."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(
            finished=[finished(12_345, 1, "a", "phantom")],
            returned=[(12_345, 1)],
        )
        assert await lane.bodies("a") == []

    async def test_the_owner_learns_what_is_queued(self, store: Store, other_store: Store) -> None:
        """``queued``: task ids that wait or run, in the same snapshot as the messages."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a", "b")
        await lane.commit(
            activities=[activity("a", n) for n in (1, 2, 3)] + [activity("b", 8)],
        )
        [running, done] = await rival.take_activities(max_activities=2)
        await rival.commit(finished=[finished(done.activity_id, done.token, "a", "2 is done")])
        await lane.release("a", busy=True)
        claimed = await lane.claim("a")
        assert running.task_id == 1
        assert claimed.queued == {1, 3}, "waiting and running ones, not finished ones"
        assert [entry.body for entry in claimed.messages] == [b"2 is done"]

    async def test_a_finished_instance_gets_no_outcome(
        self, store: Store, other_store: Store
    ) -> None:
        """An outcome for a finished instance is dropped, and its row deleted."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")])
        [claimed] = await rival.take_activities()
        await lane.commit(turns=[finish("a", 1)])
        await rival.commit(finished=[finished(claimed.activity_id, claimed.token, "a", "late")])
        await rival.commit(returned=[(claimed.activity_id, claimed.token)])
        assert await lane.inbox("a") == []
        assert await lane.take_activities() == []

    async def test_an_outcome_wakes_an_idle_instance(
        self, store: Store, other_store: Store
    ) -> None:
        """The outcome is a message like any other: it makes an unowned instance due."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")], released=[("a", False)])
        [claimed] = await rival.take_activities()
        assert await lane.claims() == []
        await rival.commit(finished=[finished(claimed.activity_id, claimed.token, "a", "done")])
        found = await lane.claim("a")
        assert [entry.body for entry in found.messages] == [b"done"]
        consumed = [entry.message_id for entry in found.messages]
        await lane.commit(turns=[turn("a", 1, consumed=consumed)])

    async def test_the_lease_lasts_as_long_as_the_lane_renews(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """``renew_lane`` extends the leases of the activities this lane has claimed."""
        lane = await LaneDriver.open(store, lease=1.5)
        rival = await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")])
        [claimed] = await lane.take_activities()
        for _ in range(4):
            await advance(0.4)
            await store.renew_lane(lane.key)
            await other_store.take_over()
            assert await rival.take_activities() == [], "the lease was renewed"
        await lane.commit(finished=[finished(claimed.activity_id, claimed.token, "a", "done")])
        assert await lane.bodies("a") == ["done"]

    @pytest.mark.parametrize("ending", ["closed", "taken over"])
    async def test_a_lane_that_ends_returns_its_activities(
        self, store: Store, other_store: Store, advance: Advance, ending: str
    ) -> None:
        """Claimed activities return to the queue when their lane is closed or taken over."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(activities=[activity("a")])
        claimant = await LaneDriver.open(store, lease=0.05)
        [first] = await claimant.take_activities()
        if ending == "closed":
            await store.close_lane(claimant.key)
        else:
            await advance(0.1)
            assert await other_store.take_over() == 1
        rival = await LaneDriver.open(other_store)
        [second] = await rival.take_activities()
        assert second.activity_id == first.activity_id
        assert second.crashes == (ending == "taken over"), "only a take-over is a crash"
        assert second.token != first.token

    async def test_unclaimed_names_queued_activities(self, store: Store, advance: Advance) -> None:
        """``unclaimed`` names activities that wait in the queue, with counts."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        rows = [activity("a", n, name="Unknown") for n in range(3)]
        await lane.commit(activities=[*rows, activity("a", 9)])
        await lane.take_activities()
        await advance(0.05)
        found = {(entry.kind, entry.name): entry.count for entry in await store.unclaimed(0.02)}
        assert found == {("activity", "Unknown"): 3}
        assert await store.unclaimed(3600.0) == []
