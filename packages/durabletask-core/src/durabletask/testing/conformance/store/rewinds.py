"""Rewinding: failed instances are replaced by what they were before, all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from durabletask.errors import LaneFencedError
from durabletask.state import ParentInstance
from durabletask.store import FinishedActivity, RewoundInstance, Store
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    LaneDriver,
    activity,
    execution,
    finish,
    instance,
    message,
    status,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import NewInstance

__all__ = ["RewindSuite"]

BACK = "RUNNING"


def second(instance_id: str, **fields: Any) -> NewInstance:
    """The row of the second execution of an instance."""
    return instance(instance_id, execution_id=execution(instance_id, 2), **fields)


def rewound(instance_id: str, **fields: Any) -> RewoundInstance:
    """The instance, which is at its first execution, with one turn of history at its second."""
    defaults: dict[str, Any] = {
        "expected": execution(instance_id),
        "row": second(instance_id),
        "status": BACK,
        "recorded_at": CREATED_AT + 1,
        "chunks": [b"kept"],
    }
    return RewoundInstance(**{**defaults, **fields})


@pytest.mark.asyncio
class RewindSuite(StoreFixtures):
    """**rewind** Atomic over several instances, each as it was expected to be."""

    needs = "rewind"

    async def failed(self, store: Store, *instance_ids: str, **fields: Any) -> LaneDriver:
        """A lane that has seen these instances fail in their second turn."""
        lane = await LaneDriver.open(store)
        await lane.start(*instance_ids, **fields)
        await lane.commit(
            turns=[turn(name, 0, update=status(BACK, custom_status='"c"')) for name in instance_ids]
        )
        await lane.commit(
            turns=[
                finish(name, 1, update=status("FAILED", failure=b"why", output='"o"'))
                for name in instance_ids
            ]
        )
        return lane

    async def test_it_is_as_it_was_told_to_be(self, store: Store) -> None:
        """**rewind** Running again, without the end; its history is what was given."""
        lane = await self.failed(store, "a", tags={"k": "v"})
        row = second("a", version="2", input='"in"', tags={"k": "v"})
        assert await store.rewind_instances(
            [rewound("a", row=row, custom_status='"kept"', chunks=[b"one", b"two"])]
        )
        record = await lane.record("a")
        assert (record.execution_id, record.status, record.name) == ("a/2", BACK, "Order")
        assert (record.version, record.input, record.tags) == ("2", '"in"', {"k": "v"})
        assert (record.output, record.failure, record.completed_at) == (None, None, None)
        assert (record.custom_status, record.created_at) == ('"kept"', CREATED_AT)
        assert record.updated_at == CREATED_AT + 1
        assert await lane.history("a") == []
        assert await lane.history("a", 2) == [b"one", b"two"]

    async def test_it_is_due_at_once(self, store: Store, other_store: Store) -> None:
        """**rewind** Owned by nobody and busy: whoever claims it looks what has to run again."""
        await self.failed(store, "a")
        inbox = [message("a", "1", execution_id="a/2"), message("a", "2"), message("a", "3")]
        assert await store.rewind_instances([rewound("a", chunks=[b"one", b"two"], messages=inbox)])
        lane = await LaneDriver.open(other_store)
        claimed = await lane.claim("a")
        assert (claimed.execution_id, claimed.sequence, claimed.busy) == ("a/2", 2, True)
        assert (claimed.status, claimed.crashes, claimed.queued) == (BACK, 0, frozenset())
        assert claimed.recorded_at == CREATED_AT + 1
        assert [entry.body for entry in claimed.messages] == [b"1", b"2", b"3"]
        await lane.commit(
            turns=[
                turn(
                    "a",
                    2,
                    execution_id="a/2",
                    consumed=[entry.message_id for entry in claimed.messages],
                )
            ]
        )
        assert await lane.history("a", 2) == [b"one", b"two", b"a turn 2"]

    async def test_without_history_it_begins_again(self, store: Store) -> None:
        """**rewind** An execution that failed in its first turn has nothing to keep."""
        lane = await self.failed(store, "a")
        again = rewound("a", status="PENDING", chunks=[], recorded_at=0)
        assert await store.rewind_instances([again])
        claimed = await lane.claim("a")
        assert (claimed.sequence, claimed.status, claimed.recorded_at) == (0, "PENDING", 0)
        assert (claimed.carryover, claimed.messages) == (None, [])
        await lane.commit(turns=[finish("a", 0, execution_id="a/2")])
        assert (await lane.record("a")).status == "COMPLETED"

    async def test_timers_fire_when_they_are_due(self, store: Store, advance: Advance) -> None:
        """**rewind** A message may be one for later."""
        lane = await self.failed(store, "a")
        at = await lane.now() + 300_000
        timer = message("a", "timer", execution_id="a/2", visible_at=at)
        assert await store.rewind_instances([rewound("a", messages=[timer])])
        assert (await lane.claim("a")).messages == []
        await lane.wait_until(at, advance)
        assert await lane.bodies("a") == ["timer"]

    async def test_all_or_none(self, store: Store) -> None:
        """**rewind** One that is not as expected, and nothing is written."""
        lane = await self.failed(store, "a", "b")
        await lane.start("runs")
        for other in (
            rewound("b", expected="b/0"),
            rewound("b", expected=None),
            rewound("runs"),
            rewound("nobody"),
        ):
            assert not await store.rewind_instances([rewound("a"), other])
            assert not await store.rewind_instances([other, rewound("a")])
        for name in ("a", "b"):
            record = await lane.record(name)
            assert (record.status, record.execution_id) == ("FAILED", f"{name}/1")
            assert len(await lane.history(name)) == 2
        assert not await lane.exists("nobody")
        assert await lane.claims() == []
        assert await store.rewind_instances([rewound("a"), rewound("b")])
        assert set(await lane.claims()) == {"a", "b"}

    async def test_a_second_rewind_finds_another_execution(self, store: Store) -> None:
        """**rewind** Of two that want the same one wins, and the other has done nothing."""
        lane = await self.failed(store, "a")
        assert await store.rewind_instances([rewound("a")])
        third = rewound("a", row=instance("a", execution_id="a/3"))
        assert not await store.rewind_instances([third])
        assert not await store.rewind_instances([msgspec.structs.replace(third, expected="a/2")])
        assert (await lane.record("a")).execution_id == "a/2"

    async def test_after_a_purge_there_is_nothing(self, store: Store) -> None:
        """**rewind** A purged instance does not come back; one that is to be new may."""
        lane = await self.failed(store, "a")
        await store.purge_instances(["a"], recursive=False)
        assert not await store.rewind_instances([rewound("a")])
        assert not await lane.exists("a")
        assert await store.rewind_instances([rewound("a", expected=None)])
        assert (await lane.record("a")).status == BACK

    async def test_a_child_has_its_parents_new_execution(self, store: Store) -> None:
        """**rewind** It reports to whom its row says."""
        lane = await self.failed(store, "a", "a:1")
        link = ParentInstance("a", execution("a", 2), 7, "Order")
        child = rewound("a:1", row=second("a:1", parent=link))
        assert await store.rewind_instances([rewound("a"), child])
        claimed = {row.instance_id: row for row in (await lane.poll()).instances}
        assert claimed["a:1"].parent == link
        assert (await lane.record("a:1")).parent_instance_id == "a"
        await lane.commit(
            turns=[finish("a:1", 1, execution_id="a:1/2"), finish("a", 1, execution_id="a/2")]
        )
        assert await store.purge_instances(["a"], recursive=True) == 2

    async def test_what_the_former_execution_left_is_gone(self, store: Store) -> None:
        """**rewind** Its queued activities and their outcomes are void, and so are its messages."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.commit(activities=[activity("a", 1), activity("a", 2)])
        [claimed] = await lane.take_activities(max_activities=1)
        await lane.commit(turns=[finish("a", 1, status="FAILED")])
        assert await store.rewind_instances([rewound("a")])
        row = await lane.claim("a", max_activities=0)
        assert row.queued == frozenset()
        assert await lane.take_activities() == []
        late = message("a", "late", execution_id="a/1")
        result = await lane.commit(
            messages=[late, message("a", "heard")],
            finished=[FinishedActivity(claimed.activity_id, claimed.token, message("a", "no"))],
        )
        assert result.missing == frozenset()
        assert await lane.bodies("a") == ["heard"]

    async def test_the_lane_of_the_former_execution_may_not_write(self, store: Store) -> None:
        """**turn-single** What was the owner's once is not any more."""
        lane = await self.failed(store, "a")
        assert await store.rewind_instances([rewound("a")])
        other = await LaneDriver.open(store)
        await other.claim("a")
        for execution_id, sequence in (("a/1", 2), ("a/2", 1)):
            with pytest.raises(LaneFencedError):
                await lane.commit(turns=[turn("a", sequence, execution_id=execution_id)])
        await other.commit(turns=[turn("a", 1, execution_id="a/2")])

    async def test_much_at_once(self, store: Store) -> None:
        """**rewind** A wide tree with long histories and many messages is still one step."""
        names = [f"n{number}" for number in range(300)]
        lane = await self.failed(store, *names)
        chunks = [b"x" * 1000] * 20
        inbox = [message("n0", str(number)) for number in range(3000)]
        plan = [rewound(name, chunks=chunks) for name in names]
        plan[0] = rewound("n0", chunks=chunks * 100, messages=inbox)
        assert await store.rewind_instances(plan)
        assert await lane.history("n0", 2) == chunks * 100
        assert await lane.history("n299", 2) == chunks
        claimed = {row.instance_id: row for row in (await lane.poll(max_instances=400)).instances}
        assert len(claimed) == 300
        assert [int(entry.body) for entry in claimed["n0"].messages] == [*range(3000)]

    async def test_a_rewound_instance_may_fail_again(self, store: Store) -> None:
        """**rewind** As often as somebody wants."""
        lane = await self.failed(store, "a")
        for generation in (2, 3):
            row = instance("a", execution_id=execution("a", generation))
            before = execution("a", generation - 1)
            assert await store.rewind_instances([rewound("a", expected=before, row=row)])
            assert (await lane.claim("a")).execution_id == row.execution_id
            failing = finish("a", 1, status="FAILED", execution_id=row.execution_id)
            await lane.commit(turns=[failing])
        assert (await lane.record("a")).status == "FAILED"
        assert await lane.claims() == []
