"""Commits: all or nothing, in the order of the batch's fields."""

from __future__ import annotations

import pytest

from durabletask.errors import LaneFencedError
from durabletask.store import FinishedActivity, InstanceUpdate, Park, Store, Turn
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    LaneDriver,
    activity,
    finish,
    instance,
    message,
    status,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFixtures

__all__ = ["CommitSuite"]


@pytest.mark.asyncio
class CommitSuite(StoreFixtures):
    """**turn-atomic** One turn commits as one; a batch is applied whole or not at all."""

    async def test_history_is_given_back_chunk_by_chunk(
        self, store: Store, other_store: Store
    ) -> None:
        """``read_history`` gives the chunks in sequence order, for each execution asked for."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "b")
        await lane.commit(turns=[turn("a", 0, chunk=b"\x00\xff"), turn("b", 0, chunk=b"b0")])
        await lane.commit(turns=[turn("a", 1, chunk=b"")])
        await lane.commit(turns=[turn("a", 2, chunk=b"a2")])
        found = await other_store.read_history(
            [("b", "b/1"), ("a", "a/1"), ("a", "a/2"), ("nobody", "nobody/1")]
        )
        assert found == [[b"b0"], [b"\x00\xff", b"", b"a2"], [], []]

    async def test_one_batch_may_hold_several_turns_of_an_instance(self, store: Store) -> None:
        """Turns of a batch are applied in their order."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(turns=[turn("a", 0), turn("a", 1), turn("a", 2)])
        assert await lane.history("a") == [b"a turn 0", b"a turn 1", b"a turn 2"]

    async def test_a_turn_becomes_the_last_update(self, store: Store) -> None:
        """``recorded_at`` becomes the instance's last update; a new instance has its creation."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        assert (await lane.record("a")).updated_at == CREATED_AT
        await lane.commit(turns=[turn("a", 0, recorded_at=CREATED_AT + 77)])
        record = await lane.record("a")
        assert (record.updated_at, record.completed_at) == (CREATED_AT + 77, None)
        await lane.commit(turns=[finish("a", 1, recorded_at=CREATED_AT + 99)])
        record = await lane.record("a")
        assert (record.updated_at, record.completed_at) == (CREATED_AT + 99, CREATED_AT + 99)

    async def test_an_update_changes_only_what_it_names(self, store: Store) -> None:
        """UNSET columns stay; None clears."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        full = InstanceUpdate(status="RUNNING", output="1", failure=b"f", custom_status='"half"')
        await lane.commit(turns=[turn("a", 0, update=full)])
        for update in (InstanceUpdate(), None):
            sequence = len(await lane.history("a"))
            await lane.commit(turns=[turn("a", sequence, update=update)])
            record = await lane.record("a")
            assert (record.status, record.output) == ("RUNNING", "1")
            assert (record.failure, record.custom_status) == (b"f", '"half"')
        cleared = InstanceUpdate(status="SUSPENDED", output=None, failure=None, custom_status=None)
        await lane.commit(turns=[turn("a", 3, update=cleared)])
        record = await lane.record("a")
        assert (record.status, record.output) == ("SUSPENDED", None)
        assert (record.failure, record.custom_status) == (None, None)

    @pytest.mark.parametrize("final", ["COMPLETED", "FAILED", "TERMINATED"])
    async def test_a_finished_instance_belongs_to_nobody(
        self, store: Store, other_store: Store, final: str
    ) -> None:
        """A finished status deletes the inbox and ends ownership, for good."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a")
        await lane.commit(messages=[message("a", "unread")])
        await lane.commit(turns=[finish("a", status=final)])
        assert await lane.inbox("a") == []
        assert await rival.claims() == [], "a finished instance is never due"
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 1)])

    async def test_a_sequence_clash_is_fenced(self, store: Store) -> None:
        """**turn-single** ``(execution_id, sequence)`` is unique: a clash writes nothing."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 0, chunk=b"forged")])
        assert await lane.history("a") == [b"a turn 0"]

    async def test_a_clash_inside_a_batch_is_fenced(self, store: Store) -> None:
        """Two turns of one number in one batch clash as well."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 0), turn("a", 0, chunk=b"other")])
        assert await lane.history("a") == []

    async def test_only_the_owner_commits_turns(self, store: Store, other_store: Store) -> None:
        """**turn-single** A turn of an instance that the lane does not own is fenced."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("mine")
        await lane.commit(creates=[instance("nobodys")])
        for name, sequence in (("mine", 1), ("nobodys", 0), ("unknown", 0)):
            with pytest.raises(LaneFencedError):
                await rival.commit(turns=[turn(name, sequence)])
            assert len(await lane.history(name)) == sequence
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("nobodys", 0)])

    async def test_a_released_instance_is_not_owned(self, store: Store) -> None:
        """``released`` ends ownership: a later turn is fenced."""
        lane = await LaneDriver.open(store)
        await lane.run("a")
        await lane.release("a")
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 1)])

    async def test_a_turn_of_another_execution_is_fenced(self, store: Store) -> None:
        """A turn's instance must be owned under the turn's execution."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("a", 0, execution_id="a/2")])
        assert await lane.history("a") == []

    async def test_a_missing_consumed_message_is_fenced(self, store: Store) -> None:
        """All consumed messages must exist, and in the inbox of the turn's instance."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "b")
        await lane.commit(messages=[message("b", "for b")])
        [foreign] = await lane.inbox("b")
        for missing in (foreign.message_id, foreign.message_id + 1_000):
            with pytest.raises(LaneFencedError):
                await lane.commit(turns=[turn("a", 0, consumed=[missing])])
        await lane.commit(turns=[turn("b", 0, consumed=[foreign.message_id])])
        with pytest.raises(LaneFencedError):
            await lane.commit(turns=[turn("b", 1, consumed=[foreign.message_id])])
        assert await lane.history("b") == [b"b turn 0"]

    async def test_a_message_is_consumed_once(self, store: Store) -> None:
        """**activity-once** Two turns of a batch cannot consume one message."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(messages=[message("a", "once")])
        [entry] = await lane.inbox("a")
        consumed = [entry.message_id]
        with pytest.raises(LaneFencedError):
            await lane.commit(
                turns=[turn("a", 0, consumed=consumed), turn("a", 1, consumed=consumed)]
            )
        assert await lane.history("a") == []
        assert await lane.inbox("a") == [entry]

    @pytest.mark.parametrize("broken", ["clash", "not owned", "message gone"])
    async def test_a_fenced_batch_leaves_no_trace(self, store: Store, broken: str) -> None:
        """**turn-atomic** LaneFencedError means that nothing of the batch was written."""
        lane = await LaneDriver.open(store)
        await lane.run("a", "b", "parked", "released")
        await lane.commit(messages=[message("a", "kept")], activities=[activity("a", 7)])
        [kept] = await lane.inbox("a")
        [claimed] = await lane.take_activities()
        bad: Turn = {
            "clash": turn("b", 0),
            "not owned": turn("c", 0),
            "message gone": turn("b", 1, consumed=[kept.message_id + 1_000]),
        }[broken]
        late = FinishedActivity(claimed.activity_id, claimed.token, message("a", "result"))
        with pytest.raises(LaneFencedError):
            await lane.commit(
                creates=[instance("new"), instance("a", refusal=message("b", "refused"))],
                turns=[turn("a", 1, consumed=[kept.message_id], update=status("SUSPENDED")), bad],
                messages=[message("b", "phantom")],
                activities=[activity("a", 8)],
                finished=[late],
                parked=[Park("parked", "parked/1", "phantom", None)],
                released=[("released", True)],
            )
        assert not await lane.exists("new")
        assert await lane.history("a") == [b"a turn 0"]
        assert (await lane.record("a")).status == "RUNNING"
        assert (await lane.record("parked")).parked is None
        assert await lane.inbox("a") == [kept], "the consumed message must still be there"
        assert await lane.bodies("b") == []
        assert await lane.take_activities() == [], "an activity of the batch was queued"
        # The claim and the ownerships are untouched: the good part can be committed again.
        await lane.commit(
            turns=[turn("a", 1, consumed=[kept.message_id]), turn("released", 1)], finished=[late]
        )
        assert await lane.bodies("a") == ["result"]

    async def test_fields_are_applied_in_order(self, store: Store) -> None:
        """A batch is written in the order of its fields: creates, turns, messages, and so on."""
        lane = await LaneDriver.open(store)
        await lane.start("old")
        await lane.commit(
            creates=[instance("new", owned=True)],
            turns=[turn("new", 0), finish("old")],
            messages=[message("new", "after its first turn"), message("old", "too late")],
            activities=[activity("new", 3)],
            released=[("new", False)],
        )
        assert await lane.history("new") == [b"new turn 0"]
        claimed = await lane.claim("new")
        assert [entry.body for entry in claimed.messages] == [b"after its first turn"]
        assert claimed.sequence == 1
        assert claimed.queued == {3}
