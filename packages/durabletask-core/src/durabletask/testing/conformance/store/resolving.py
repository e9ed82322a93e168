"""Unknown commits: raise the epoch, then look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from durabletask.errors import LaneFencedError, UnknownCommitError
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    activity,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, CommitBreaker, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import Store

__all__ = ["ResolveSuite"]


@pytest.mark.asyncio
class ResolveSuite(StoreFixtures):
    """**turn-atomic** After a lost answer the lane learns what happened, for good."""

    async def test_an_applied_batch_is_found(self, store: Store) -> None:
        """``resolve`` returns the batch's result if it was applied, and a new key."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        batch = lane.batch(
            creates=[instance("b"), instance("a")],
            turns=[turn("a", 0)],
            messages=[message("unknown", "?"), message("a", "!")],
        )
        result = await store.commit(batch)
        key, found = await store.resolve(batch)
        assert found == result, "the result of the commit, as it was"
        assert found is not None
        assert (set(found.refused), set(found.missing)) == ({1}, {0})
        assert key.lane_id == lane.key.lane_id
        assert key.epoch != lane.key.epoch, "resolve raises the epoch"

    async def test_a_batch_that_was_not_applied_never_will_be(self, store: Store) -> None:
        """None: the request that may still be on its way is fenced when it arrives."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        batch = lane.batch(creates=[instance("b")], turns=[turn("a", 0)])
        key, found = await store.resolve(batch)
        assert found is None
        with pytest.raises(LaneFencedError):
            await store.commit(batch)
        assert not await lane.exists("b")
        assert await lane.history("a") == []
        result = await store.commit(msgspec.structs.replace(batch, lane=key))
        assert result.refused == frozenset()
        assert await lane.history("a") == [b"a turn 0"], "it may be sent again under the new key"

    async def test_an_earlier_batch_is_not_mistaken_for_it(self, store: Store) -> None:
        """A resent batch keeps its number; that tells it from the one before."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(messages=[message("a", "1")])
        again = lane.batch(messages=[message("a", "1")])
        lane.key, found = await store.resolve(again)
        assert found is None, "the batch before was applied, this one was not"
        await lane.commit(messages=[message("a", "2")])
        assert await lane.bodies("a") == ["1", "2"]

    async def test_the_lane_keeps_what_it_holds(self, store: Store, other_store: Store) -> None:
        """Under the new key the lane still owns its instances and has its activities claimed."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a")
        await lane.commit(activities=[activity("a")], messages=[message("a", "mail")])
        assert len(await lane.take_activities()) == 1
        old = lane.key
        lane.key, _ = await store.resolve(lane.batch(turns=[turn("a", 0)]))
        work = await rival.poll()
        assert (work.instances, work.activities) == ([], [])
        assert await lane.bodies("a") == ["mail"]
        await lane.commit(turns=[turn("a", 0)])
        await store.renew_lane(lane.key)
        lane.key = old
        for call in (lane.poll(), lane.commit(turns=[turn("a", 1)]), store.renew_lane(old)):
            with pytest.raises(LaneFencedError):
                await call

    async def test_a_lane_taken_over_cannot_resolve(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """LaneFencedError: the lane was taken over meanwhile."""
        lane = await LaneDriver.open(store, lease=0.03)
        await lane.start("a")
        batch = lane.batch(turns=[turn("a", 0)])
        await advance(0.06)
        assert await other_store.take_over() == 1
        with pytest.raises(LaneFencedError):
            await store.resolve(batch)
        assert await lane.history("a") == []

    @pytest.mark.parametrize("applied", [True, False])
    async def test_a_lost_answer_is_settled(
        self, store: Store, commit_breaker: CommitBreaker | None, applied: bool
    ) -> None:
        """``commit`` raises UnknownCommitError, and ``resolve`` tells what became of it."""
        if commit_breaker is None:
            pytest.skip("the suite has no fixture commit_breaker for this store")
        lane = await LaneDriver.open(store)
        await lane.start("a")
        batch = lane.batch(turns=[turn("a", 0)], messages=[message("a", "once")])
        commit_breaker(store, applied)
        with pytest.raises(UnknownCommitError):
            await store.commit(batch)
        lane.key, found = await store.resolve(batch)
        assert (found is not None) is applied
        if found is None:
            await store.commit(msgspec.structs.replace(batch, lane=lane.key))
        assert await lane.history("a") == [b"a turn 0"]
        assert await lane.bodies("a") == ["once"]
