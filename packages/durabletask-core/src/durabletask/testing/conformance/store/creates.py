"""Creating instances: one per id, whoever is faster."""

from __future__ import annotations

import asyncio

import pytest

from durabletask.state import ParentInstance
from durabletask.store import ActivityRow, InstanceUpdate, Message, Store
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    ORDER,
    LaneDriver,
    activity,
    execution,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["CreateSuite"]

FINISHED = frozenset({"COMPLETED", "FAILED", "TERMINATED"})


@pytest.mark.asyncio
class CreateSuite(StoreFixtures):
    """**start-duplicate** New instances, refused ones and replaced ones."""

    async def test_a_new_instance_is_as_ordered(self, store: Store) -> None:
        """A new instance is PENDING, busy and without history; all its fields are kept."""
        lane = await LaneDriver.open(store)
        new = instance(
            "a",
            version="1.2",
            input='{"n": 0}',
            tags={"team": "red", "": ""},
            parent=ParentInstance("p", "p/1", 4, "Parent"),
        )
        result = await lane.commit(creates=[new])
        assert (result.refused, result.missing) == (frozenset(), frozenset())
        record = await lane.record("a")
        assert (record.instance_id, record.execution_id, record.name) == ("a", "a/1", ORDER)
        assert (record.status, record.version, record.input) == ("PENDING", "1.2", '{"n": 0}')
        assert record.tags == {"team": "red", "": ""}
        assert record.parent_instance_id == "p"
        assert (record.created_at, record.completed_at) == (CREATED_AT, None)
        assert (record.output, record.failure) == (None, None)
        assert (record.custom_status, record.parked) == (None, None)
        claimed = await lane.claim("a")
        assert (claimed.instance_id, claimed.execution_id) == ("a", "a/1")
        assert (claimed.name, claimed.version, claimed.status) == (ORDER, "1.2", "PENDING")
        assert (claimed.input, claimed.tags) == (new.input, new.tags)
        assert claimed.parent == new.parent
        assert (claimed.start_at, claimed.created_at) == (0, CREATED_AT)
        assert (claimed.sequence, claimed.recorded_at, claimed.crashes) == (0, 0, 0)
        assert claimed.busy, "a new instance is busy"
        assert (claimed.carryover, claimed.messages) == (None, [])
        assert claimed.queued == frozenset()

    async def test_an_owned_instance_is_the_committers_from_the_start(
        self, store: Store, other_store: Store
    ) -> None:
        """``owned``: the committing lane owns it; nobody can claim it."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.commit(creates=[instance("a", owned=True), instance("b")])
        assert await rival.claims() == ["b"]
        await lane.commit(turns=[turn("a", 0)])

    async def test_a_taken_id_is_refused(self, store: Store, other_store: Store) -> None:
        """``refused`` holds the positions whose id was taken; the others are created."""
        lane = await LaneDriver.open(store)
        await lane.start("running")
        await lane.run("finished")
        await lane.commit(turns=[finish("finished", 1)])
        rival = await LaneDriver.open(other_store)
        names = ["x", "running", "y", "finished", "x"]
        result = await rival.commit(
            creates=[instance(name, input=str(n)) for n, name in enumerate(names)]
        )
        assert result.refused == {1, 3, 4}
        assert (await lane.record("x")).input == "0", "the first of two equal ids wins"
        assert (await lane.record("running")).input is None
        assert (await lane.record("finished")).status == "COMPLETED"

    async def test_a_refusal_is_delivered_instead(self, store: Store) -> None:
        """``refusal`` is written if the id is taken, in the same atomic step, and only then."""
        lane = await LaneDriver.open(store)
        await lane.start("parent", "taken")
        bound = {"execution_id": execution("parent")}
        result = await lane.commit(
            creates=[
                instance("taken", refusal=message("parent", "taken", **bound)),
                instance("free", refusal=message("parent", "free", **bound)),
                instance("taken", refusal=message("unknown", "lost")),
            ]
        )
        assert result.refused == {0, 2}
        assert result.missing == frozenset(), "missing speaks of Batch.messages only"
        assert await lane.bodies("parent") == ["taken"]

    async def test_of_racing_starts_one_wins(self, store: Store, other_store: Store) -> None:
        """**start-duplicate** Two racing starts give one instance."""
        lanes = [await LaneDriver.open(home) for home in (store, other_store)]
        for n in range(10):
            results = await asyncio.gather(
                *(
                    lane.commit(creates=[instance(f"race-{n}", input=str(i))])
                    for i, lane in enumerate(lanes)
                )
            )
            refused = [bool(result.refused) for result in results]
            assert sorted(refused) == [False, True], "exactly one of two racing starts wins"
            assert (await lanes[0].record(f"race-{n}")).input == str(refused.index(False))

    async def test_a_finished_instance_is_replaced_with_all_that_is_its(self, store: Store) -> None:
        """``replace``: the old instance is deleted with all that belongs to it."""
        self.require(store, "reuse_policy")
        lane = await LaneDriver.open(store)
        await lane.start("a", input='"old"', tags={"old": "yes"})
        failed = InstanceUpdate(status="FAILED", output="1", failure=b"f", custom_status='"c"')
        await lane.commit(turns=[turn("a", 0, update=failed)], activities=[activity("a")])
        again = instance("a", execution_id="a/2", input='"new"', replace=frozenset({"FAILED"}))
        result = await lane.commit(creates=[again])
        assert result.refused == frozenset()
        record = await lane.record("a")
        assert (record.execution_id, record.status, record.input) == ("a/2", "PENDING", '"new"')
        assert (record.output, record.failure, record.custom_status) == (None, None, None)
        assert (record.tags, record.completed_at) == (None, None)
        assert await lane.history("a", 1) == [], "the old history must be gone"
        assert await lane.take_activities() == [], "the old activities must be gone"
        claimed = await lane.claim("a")
        assert (claimed.sequence, claimed.messages, claimed.queued) == (0, [], frozenset())

    async def test_the_status_must_be_listed(self, store: Store) -> None:
        """``replace`` holds for the statuses it lists, and for finished ones only."""
        lane = await LaneDriver.open(store)
        await lane.start("failed", "running", "pending")
        await lane.commit(turns=[finish("failed", status="FAILED"), turn("running", 0)])
        result = await lane.commit(
            creates=[
                instance("failed", replace=frozenset({"COMPLETED", "TERMINATED"})),
                instance("running", replace=FINISHED),
                instance("pending", replace=FINISHED),
            ]
        )
        assert result.refused == {0, 1, 2}
        assert (await lane.record("failed")).status == "FAILED"

    async def test_a_child_replaces_only_its_parents_child(self, store: Store) -> None:
        """``replace_child_of``: only if the existing one has this parent instance."""
        self.require(store, "reuse_policy")
        lane = await LaneDriver.open(store)
        await lane.start("mine", "theirs", parent=ParentInstance("p", "p/1", 1))
        await lane.start("orphan")
        await lane.commit(turns=[finish(name) for name in ("mine", "theirs", "orphan")])
        refusal = message("p", "taken")
        result = await lane.commit(
            creates=[
                instance(
                    name,
                    execution_id=f"{name}/2",
                    replace=FINISHED,
                    replace_child_of=parent,
                    refusal=refusal,
                )
                for name, parent in (("mine", "p"), ("theirs", "q"), ("orphan", "p"))
            ]
        )
        assert result.refused == {1, 2}
        assert (await lane.record("mine")).execution_id == "mine/2"
        assert (await lane.record("theirs")).execution_id == "theirs/1"

    async def test_late_mail_for_the_replaced_one_is_dropped(self, store: Store) -> None:
        """**can-fresh** What was bound to the old execution never reaches the new one."""
        self.require(store, "reuse_policy")
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(turns=[finish("a")])
        await lane.commit(
            creates=[instance("a", execution_id="a/2", owned=True, replace=FINISHED)],
            messages=[
                Message("a", b"old", execution_id="a/1"),
                Message("a", b"new", execution_id="a/2"),
                Message("a", b"any"),
            ],
            activities=[ActivityRow("a", "a/2", 1, "Ship", b"")],
        )
        assert await lane.bodies("a") == ["new", "any"]
