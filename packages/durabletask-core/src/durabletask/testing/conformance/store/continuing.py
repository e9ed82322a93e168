"""Continue-as-new: the same instance, a fresh execution."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask.errors import LaneFencedError
from durabletask.state import ParentInstance
from durabletask.store import ActivityRow, FinishedActivity, NextExecution, Store, Turn
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    ORDER,
    SHIP,
    LaneDriver,
    activity,
    message,
    status,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["ContinueAsNewSuite"]


def renewal(instance_id: str, sequence: int, generation: int = 2, **fields: Any) -> Turn:
    """The last turn of an execution: the instance goes on under the next one."""
    names = ("input", "version", "carryover")
    following = {name: fields.pop(name, None) for name in names}
    return turn(
        instance_id,
        sequence,
        execution_id=f"{instance_id}/{generation - 1}",
        next=NextExecution(execution_id=f"{instance_id}/{generation}", **following),
        **fields,
    )


@pytest.mark.asyncio
class ContinueAsNewSuite(StoreFixtures):
    """**can-fresh** Same instance id, new execution id, fresh history."""

    async def test_the_instance_goes_on_running_and_busy(
        self, store: Store, other_store: Store
    ) -> None:
        """It is RUNNING and busy under the new execution; tags, parent and creation are kept."""
        lane = await LaneDriver.open(store)
        parent = ParentInstance("p", "p/1", 3, "Parent")
        await lane.start("a", tags={"k": "v"}, parent=parent, input="1", version="1")
        await lane.commit(turns=[turn("a", 0, update=status("RUNNING", custom_status='"half"'))])
        update = status("RUNNING", custom_status=None)
        await lane.commit(turns=[renewal("a", 1, input="2", version="2", update=update)])
        record = await lane.record("a")
        assert (record.execution_id, record.status, record.name) == ("a/2", "RUNNING", ORDER)
        assert (record.input, record.version, record.custom_status) == ("2", "2", None)
        assert (record.tags, record.parent_instance_id) == ({"k": "v"}, "p")
        assert (record.created_at, record.completed_at) == (CREATED_AT, None)
        await store.close_lane(lane.key)
        heir = await LaneDriver.open(other_store)
        claimed = await heir.claim("a")
        assert claimed.busy, "it is busy, whatever the turn's update said"
        assert (claimed.execution_id, claimed.sequence) == ("a/2", 0)
        assert (claimed.input, claimed.version, claimed.status) == ("2", "2", "RUNNING")
        assert (claimed.tags, claimed.parent) == ({"k": "v"}, parent)

    async def test_the_old_history_is_deleted(self, store: Store) -> None:
        """**can-loop** An orchestrator that goes on for ever cannot grow storage."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        for generation in range(2, 6):
            sequence = len(await lane.history("a", generation - 1))
            await lane.commit(turns=[renewal("a", sequence, generation)])
            assert await lane.history("a", generation - 1) == []
            assert await lane.history("a", generation) == []
            await lane.commit(turns=[turn("a", 0, execution_id=f"a/{generation}", chunk=b"new")])
            assert await lane.history("a", generation) == [b"new"]

    async def test_the_lane_still_owns_it(self, store: Store, other_store: Store) -> None:
        """The lane goes on with turn 0 of the new execution; the old one is closed."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(turns=[renewal("a", 1)])
        assert await rival.claims() == []
        for late in (turn("a", 2), turn("a", 0), turn("a", 1, execution_id="a/9")):
            with pytest.raises(LaneFencedError):
                await lane.commit(turns=[late])
        await lane.commit(turns=[turn("a", 0, execution_id="a/2")])

    async def test_a_batch_may_hold_the_end_and_the_beginning(self, store: Store) -> None:
        """The new execution's first turn may follow in the same batch."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(turns=[renewal("a", 0, carryover=b"c"), turn("a", 0, execution_id="a/2")])
        assert await lane.history("a", 2) == [b"a turn 0"]
        await lane.release("a", busy=True)
        assert (await lane.claim("a")).carryover is None

    async def test_bound_messages_go_and_others_stay(self, store: Store) -> None:
        """**can-events** Execution-bound messages of the old execution are deleted, others stay."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(
            messages=[
                message("a", "consumed"),
                message("a", "bound", execution_id="a/1"),
                message("a", "free 1"),
                message("a", "free 2"),
            ]
        )
        first = (await lane.inbox("a"))[0]
        await lane.commit(
            turns=[renewal("a", 1, consumed=[first.message_id])],
            messages=[
                message("a", "late", execution_id="a/1"),
                message("a", "early", execution_id="a/2"),
            ],
        )
        assert await lane.bodies("a") == ["free 1", "free 2", "early"]
        await lane.commit(messages=[message("a", "very late", execution_id="a/1")])
        assert await lane.bodies("a") == ["free 1", "free 2", "early"]

    async def test_old_timers_never_fire(self, store: Store, advance: Advance) -> None:
        """A timer is bound to its execution; a free message that is not visible yet stays."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        soon = await lane.now() + 50_000
        timers = [message("a", "timer", execution_id="a/1", visible_at=soon)]
        await lane.commit(
            turns=[turn("a", 1, timers=timers)],
            messages=[message("a", "later", visible_at=soon)],
        )
        await lane.commit(
            turns=[renewal("a", 2, timers=[message("a", "x", execution_id="a/1", visible_at=soon)])]
        )
        await lane.wait_until(soon, advance)
        assert await lane.bodies("a") == ["later"]

    async def test_the_carryover_lasts_until_the_first_turn(
        self, store: Store, other_store: Store
    ) -> None:
        """``carryover`` is given back until the new execution's first turn is committed."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(turns=[renewal("a", 1, carryover=b"\x00events")])
        for home in (other_store, store):
            await store.close_lane(lane.key)
            lane = await LaneDriver.open(home)
            claimed = await lane.claim("a")
            assert claimed.carryover == b"\x00events"
        await lane.commit(turns=[turn("a", 0, execution_id="a/2")], released=[("a", True)])
        assert (await lane.claim("a")).carryover is None
        await lane.commit(turns=[renewal("a", 1, generation=3)], released=[("a", True)])
        assert (await lane.claim("a")).carryover is None, "the next execution has none"

    async def test_old_activities_are_not_the_new_executions(
        self, store: Store, other_store: Store
    ) -> None:
        """``queued`` holds activities of the current execution; late outcomes are dropped."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await lane.commit(activities=[activity("a", 1)])
        [old] = await rival.take_activities()
        await lane.commit(
            turns=[renewal("a", 1)], activities=[ActivityRow("a", "a/2", 2, SHIP, b"")]
        )
        await lane.release("a", busy=True)
        assert (await lane.claim("a")).queued == {2}
        late = message("a", "late", execution_id="a/1")
        await rival.commit(finished=[FinishedActivity(old.activity_id, old.token, late)])
        assert await lane.bodies("a") == []
