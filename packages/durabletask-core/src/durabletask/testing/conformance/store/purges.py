"""Purge: finished instances, with all that belongs to them."""

from __future__ import annotations

import pytest

from durabletask.errors import LaneFencedError
from durabletask.state import ParentInstance
from durabletask.store import FinishedActivity, Store
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    activity,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["PurgeSuite"]


@pytest.mark.asyncio
class PurgeSuite(StoreFixtures):
    """**purge** Only finished instances; one or many; recursive on request."""

    async def test_only_finished_ones_are_deleted(self, store: Store) -> None:
        """Returns how many were deleted; unfinished, unknown and repeated ids count nothing."""
        lane = await LaneDriver.open(store)
        await lane.start("pending", "running", "done", "failed", "kept")
        await lane.commit(
            turns=[
                turn("running", 0),
                finish("done"),
                finish("failed", status="FAILED"),
                finish("kept"),
            ]
        )
        named = ["pending", "running", "done", "failed", "unknown", "done"]
        assert await store.purge_instances(named, recursive=False) == 2
        assert await store.purge_instances(named, recursive=False) == 0
        assert await store.purge_instances([], recursive=True) == 0
        rest = await store.get_instances([*named, "kept"], payloads=False)
        assert set(rest) == {"pending", "running", "kept"}
        await lane.commit(turns=[turn("running", 1)])

    async def test_all_that_belongs_to_it_goes(self, store: Store) -> None:
        """History, messages and queued activities go with the instance."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(activities=[activity("a", 1), activity("a", 2)])
        [claimed] = await lane.take_activities(max_activities=1)
        await lane.commit(turns=[finish("a", 1)])
        assert await lane.history("a") == [b"a turn 0", b"a turn 1"]
        assert await store.purge_instances(["a"], recursive=False) == 1
        assert await lane.history("a") == []
        assert await lane.take_activities() == []
        result = await lane.commit(
            messages=[message("a", "late")],
            finished=[FinishedActivity(claimed.activity_id, claimed.token, message("a", "late"))],
        )
        assert result.missing == {0}, "a purged instance does not exist"

    async def test_a_purged_id_is_free(self, store: Store) -> None:
        """After a purge a new instance of the id has nothing of the old one."""
        lane = await LaneDriver.open(store)
        await lane.start("a", tags={"old": "yes"})
        await lane.commit(turns=[finish("a", 0)])
        await store.purge_instances(["a"], recursive=False)
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 1)])
        again = instance("a", execution_id="a/2")
        assert (await lane.commit(creates=[again])).refused == frozenset()
        record = await lane.record("a")
        assert (record.status, record.tags, record.output) == ("PENDING", None, None)
        assert (await lane.claim("a")).sequence == 0
        assert await lane.history("a", 2) == []

    async def test_descendants_go_on_request(self, store: Store) -> None:
        """``recursive`` deletes the finished descendants too, of these instances only."""
        for recursive in (False, True):
            prefix = "r" if recursive else "n"
            lane = await LaneDriver.open(store)
            await self._family(lane, prefix)
            deleted = await store.purge_instances([f"{prefix}-root"], recursive=recursive)
            names = ("root", "child", "grandchild", "running", "stranger")
            left = {name for name in names if await lane.exists(f"{prefix}-{name}")}
            if recursive:
                assert (deleted, left) == (3, {"running", "stranger"})
            else:
                assert (deleted, left) == (1, set(names) - {"root"})

    async def test_descendants_of_an_unfinished_one_stay(self, store: Store) -> None:
        """An instance that is not deleted keeps its descendants."""
        lane = await LaneDriver.open(store)
        await lane.start("root")
        await lane.start("child", parent=ParentInstance("root", "root/1", 1))
        await lane.commit(turns=[finish("child")])
        assert await store.purge_instances(["root"], recursive=True) == 0
        assert await lane.exists("child")

    async def test_named_descendants_count_once(self, store: Store) -> None:
        """An instance that is named and a descendant is deleted, and counted, once."""
        lane = await LaneDriver.open(store)
        await self._family(lane, "x")
        named = ["x-child", "x-root", "x-grandchild"]
        assert await store.purge_instances(named, recursive=True) == 3

    @staticmethod
    async def _family(lane: LaneDriver, prefix: str) -> None:
        """A finished root, child and grandchild; a running child; an unrelated instance."""
        parents = {"root": None, "child": "root", "grandchild": "child", "running": "root"}
        for name, parent in {**parents, "stranger": None}.items():
            link = ParentInstance(f"{prefix}-{parent}", f"{prefix}-{parent}/1", 1)
            await lane.start(f"{prefix}-{name}", parent=link if parent else None)
            if name != "running":
                await lane.commit(turns=[finish(f"{prefix}-{name}")])
