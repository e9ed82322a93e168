"""Children: what a parent's last turn tells them."""

from __future__ import annotations

import pytest

from durabletask.state import ParentInstance
from durabletask.store import NextExecution, Store
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    finish,
    instance,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["ChildSuite"]


def child_of(parent_id: str, task_id: int = 1) -> ParentInstance:
    """The link of a child to its parent."""
    return ParentInstance(parent_id, f"{parent_id}/1", task_id, "Parent")


@pytest.mark.asyncio
class ChildSuite(StoreFixtures):
    """**terminate** ``to_children``: a message for every unfinished child."""

    async def test_every_unfinished_child_hears(self, store: Store, other_store: Store) -> None:
        """All unfinished children of this instance, whoever owns them, and nobody else."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("parent", "stranger")
        await rival.start("theirs", parent=child_of("parent"))
        await lane.start("mine", "done", parent=child_of("parent"))
        await lane.start("nephew", parent=child_of("stranger"))
        await lane.start("grandchild", parent=child_of("mine"))
        await lane.commit(creates=[instance("free", parent=child_of("parent"))])
        await lane.commit(turns=[finish("done")])
        await lane.commit(turns=[finish("parent", status="TERMINATED", to_children=b"stop")])
        work = await lane.poll()
        assert set(work.inbox) == {"mine"}
        assert [entry.body for entry in work.inbox["mine"]] == [b"stop"]
        assert [found.instance_id for found in work.instances] == ["free"]
        assert [entry.body for entry in work.instances[0].messages] == [b"stop"]
        assert await rival.bodies("theirs") == ["stop"]

    async def test_an_idle_child_becomes_due(self, store: Store) -> None:
        """The message is like any other: it makes an unowned child due."""
        lane = await LaneDriver.open(store)
        await lane.start("parent")
        await lane.start("child", parent=child_of("parent"))
        await lane.commit(turns=[turn("child", 0)], released=[("child", False)])
        assert await lane.claims() == []
        await lane.commit(turns=[finish("parent", to_children=b"stop")])
        assert await lane.claims() == ["child"]

    async def test_children_of_the_same_batch_hear(self, store: Store) -> None:
        """Creates come before turns."""
        lane = await LaneDriver.open(store)
        await lane.start("parent")
        await lane.commit(
            creates=[instance("child", owned=True, parent=child_of("parent"))],
            turns=[finish("parent", to_children=b"stop")],
        )
        assert await lane.bodies("child") == ["stop"]

    async def test_children_hear_in_whatever_execution(self, store: Store) -> None:
        """The message is bound to no execution, of the child or of the parent."""
        lane = await LaneDriver.open(store)
        await lane.start("parent")
        await lane.start("child", parent=child_of("parent"))
        await lane.commit(
            turns=[
                turn(
                    name,
                    0,
                    next=NextExecution(execution_id=f"{name}/2", input=None, version=None),
                )
                for name in ("parent", "child")
            ]
        )
        await lane.commit(turns=[finish("parent", execution_id="parent/2", to_children=b"stop")])
        assert await lane.bodies("child") == ["stop"]

    async def test_without_a_word_children_hear_nothing(self, store: Store) -> None:
        """A parent may end without telling its children; they may outlive it."""
        lane = await LaneDriver.open(store)
        await lane.start("parent")
        await lane.start("child", parent=child_of("parent"))
        await lane.commit(turns=[finish("parent")])
        assert await lane.bodies("child") == []
        await lane.commit(turns=[turn("child", 0)])
