"""Versions that a lane refuses: their instances are there for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.store import NextExecution
from durabletask.testing.conformance.store.driver import (
    ORDER,
    LaneDriver,
    execution,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import Store

__all__ = ["VersionSuite"]

NO_2 = frozenset({"2"})


@pytest.mark.asyncio
class VersionSuite(StoreFixtures):
    """``Interest.refused_versions``: what ``poll`` holds back from one lane and gives to others."""

    async def test_refused_versions_are_left_to_other_lanes(
        self, store: Store, other_store: Store
    ) -> None:
        """**version-match** Of two lanes of one name, each gets the versions that it takes."""
        old, new = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await old.commit(
            creates=[
                instance("none"),
                instance("one", version="1"),
                instance("two", version="2"),
                instance("two too", version="2"),
                instance("odd", version="2 "),
            ]
        )
        assert await new.claims(refused_versions=frozenset({"", "1", "2", "2 "})) == []
        claimed = await old.claims(refused_versions=NO_2)
        assert sorted(claimed) == ["none", "odd", "one"], "versions are compared as texts"
        assert await old.claims(refused_versions=NO_2) == []
        assert sorted(await new.claims(refused_versions=frozenset({"1"}))) == ["two", "two too"]

    async def test_no_version_can_be_refused(self, store: Store) -> None:
        """``""`` among the refused ones means no version, written as None or as empty text."""
        lane = await LaneDriver.open(store)
        await lane.commit(
            creates=[instance("none"), instance("empty", version=""), instance("1", version="1")]
        )
        assert await lane.claims(refused_versions=frozenset({""})) == ["1"]
        assert sorted(await lane.claims()) == ["empty", "none"]

    async def test_a_version_is_refused_whatever_the_name(self, store: Store) -> None:
        """Refusal does not ask for the name; names are refused by leaving them out."""
        lane = await LaneDriver.open(store, orchestrations={ORDER: "v1", "Refund": "v1"})
        await lane.commit(
            creates=[
                instance("order", version="2"),
                instance("refund", name="Refund", version="2"),
                instance("old", name="Refund", version="1"),
            ]
        )
        both = frozenset({ORDER, "Refund"})
        assert await lane.claims(orchestrations=both, refused_versions=NO_2) == ["old"]

    async def test_entities_have_no_version_to_be_refused_by(self, store: Store) -> None:
        """What has a name that begins with ``@`` is handed out, now and later, as ever."""
        lane = await LaneDriver.open(store, orchestrations={ORDER: "v1", "@cart": "v1"})
        later = lane.standing.now + 60_000_000
        await lane.commit(
            creates=[
                instance("order"),
                instance("@cart@1", name="@cart"),
                instance("@cart@2", name="@cart", start_at=later),
            ]
        )
        wanted = {
            "orchestrations": frozenset({ORDER, "@cart"}),
            "refused_versions": frozenset({""}),
        }
        work = await lane.poll(**wanted)
        assert [claimed.instance_id for claimed in work.instances] == ["@cart@1"]
        assert work.next_due == later

    async def test_the_refused_do_not_take_the_room_of_others(
        self, store: Store, advance: Advance
    ) -> None:
        """However many older ones wait, the oldest that is not refused comes first."""
        lane = await LaneDriver.open(store)
        for n in range(3):
            await lane.commit(
                creates=[instance(f"refused {n}.{m}", version="2") for m in range(100)]
            )
            await lane.commit(creates=[instance(f"taken {n}", version="1")])
            await advance(0.005)
        order = [
            name
            for _ in range(4)
            for name in await lane.claims(max_instances=1, refused_versions=NO_2)
        ]
        assert order == ["taken 0", "taken 1", "taken 2"]
        assert await lane.claims(max_instances=1) != []

    async def test_a_given_up_instance_comes_back_to_others_only(
        self, store: Store, other_store: Store
    ) -> None:
        """**version-match** A lane that gives up what it has refused is not given it again."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.commit(creates=[instance("a", version="2")])
        claimed = await lane.claim("a")
        await lane.release("a", busy=claimed.busy)
        assert await lane.claims(refused_versions=NO_2) == []
        again = await rival.claim("a")
        assert (again.version, again.crashes, again.sequence) == ("2", 0, 0)
        await rival.commit(turns=[turn("a", 0)])

    async def test_mail_does_not_make_the_refused_due(
        self, store: Store, other_store: Store
    ) -> None:
        """What an instance of a refused version receives waits with it."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a", version="2")
        await lane.commit(turns=[turn("a", 0)], released=[("a", False)])
        await rival.commit(messages=[message("a", "hello")])
        assert await lane.claims(refused_versions=NO_2) == []
        assert [entry.body for entry in (await rival.claim("a")).messages] == [b"hello"]

    async def test_an_urgent_message_overrides_the_version(self, store: Store) -> None:
        """**terminate** Any lane may claim the receiver of an urgent message."""
        lane = await LaneDriver.open(store)
        await lane.commit(
            creates=[instance("a", version="2"), instance("b", version="2")],
            messages=[message("a", "stop", urgent=True)],
        )
        claimed = await lane.claim("a", refused_versions=NO_2)
        [stop] = claimed.messages
        await lane.commit(turns=[finish("a", consumed=[stop.message_id], status="TERMINATED")])
        assert await lane.claims(refused_versions=NO_2) == []
        assert await lane.claims() == ["b"]

    async def test_a_suspect_can_be_refused(self, store: Store, advance: Advance) -> None:
        """**failure-poison** One that nobody here may run does not keep the others waiting."""
        for _ in range(2):
            victim = await LaneDriver.open(store, lease=0.05)
            if not await victim.claims(probation_after=9):
                await victim.start("a", version="2")
                await victim.start("b", version="1")
            await advance(0.1)
            assert await store.take_over() == 1
        lane = await LaneDriver.open(store)
        assert (await lane.claim("b", refused_versions=NO_2)).crashes == 2
        assert await lane.claims(refused_versions=NO_2) == []
        assert (await lane.claim("a")).crashes == 2

    async def test_next_due_does_not_speak_of_the_refused(
        self, store: Store, other_store: Store
    ) -> None:
        """A lane does not wake up for a delayed start, or a timer, of a version it refuses."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        now = lane.standing.now
        early, late = now + 60_000_000, now + 90_000_000
        await lane.commit(
            creates=[
                *(instance(f"{n}", version="2", start_at=early + n) for n in range(300)),
                instance("late", version="1", start_at=late),
            ]
        )
        assert (await lane.poll(refused_versions=NO_2)).next_due == late
        assert (await lane.poll(refused_versions=frozenset({"1", "2"}))).next_due is None
        assert (await rival.poll()).next_due == early

    async def test_a_new_execution_counts_by_its_new_version(
        self, store: Store, other_store: Store
    ) -> None:
        """**can-fresh** continue_as_new may change the version; the former one is forgotten."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a", version="1")
        following = NextExecution(execution_id=execution("a", 2), input=None, version="2")
        await lane.commit(turns=[turn("a", 0, update=None, next=following)])
        await lane.release("a", busy=True)
        assert await lane.claims(refused_versions=NO_2) == []
        claimed = await rival.claim("a", refused_versions=frozenset({"1"}))
        assert (claimed.version, claimed.execution_id) == ("2", execution("a", 2))
