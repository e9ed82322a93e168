"""Claims: which instances are due, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.testing.conformance.store.driver import (
    ORDER,
    LaneDriver,
    finish,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import Store

__all__ = ["ClaimSuite"]


@pytest.mark.asyncio
class ClaimSuite(StoreFixtures):
    """What ``poll`` hands out, in what order, and what it holds back."""

    async def test_a_claimed_instance_is_handed_out_once(
        self, store: Store, other_store: Store
    ) -> None:
        """An instance is owned by one lane or none; only unowned ones are due."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.commit(creates=[instance("a")])
        assert await rival.claims() == ["a"]
        assert await lane.claims() == []
        assert await rival.claims() == []
        await rival.commit(turns=[turn("a", 0)])

    async def test_a_released_instance_is_due_if_busy(
        self, store: Store, other_store: Store
    ) -> None:
        """``released``: True marks those still busy, which are due; idle ones are not."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("busy", "idle")
        await lane.commit(released=[("busy", True), ("idle", False)])
        work = await rival.poll()
        assert [claimed.instance_id for claimed in work.instances] == ["busy"]
        claimed = work.instances[0]
        assert claimed.busy
        assert (claimed.sequence, claimed.status) == (1, "RUNNING")
        assert claimed.recorded_at == turn("busy", 0).recorded_at
        assert await rival.history("busy") == [b"busy turn 0"]

    async def test_an_instance_not_yet_started_is_due(
        self, store: Store, other_store: Store
    ) -> None:
        """An instance that has not started is due, whoever gave it up."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a")
        await lane.release("a", busy=False)
        assert await rival.claims() == ["a"]

    async def test_releasing_what_one_does_not_own_changes_nothing(
        self, store: Store, other_store: Store
    ) -> None:
        """An instance changes hands only by its owner's batch."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.run("a")
        await rival.commit(released=[("a", True), ("unknown", True)])
        assert await rival.claims() == []
        await lane.commit(turns=[turn("a", 1)])

    async def test_the_name_must_be_in_the_interest(self, store: Store, other_store: Store) -> None:
        """Two workers with different registrations each get only what they know."""
        lane = await LaneDriver.open(store)
        other = await LaneDriver.open(other_store, orchestrations={"Refund": "v1"})
        await lane.commit(
            creates=[
                instance("o"),
                instance("r", name="Refund"),
                instance("n", name="Nobody"),
                instance("c", name=ORDER.lower()),
            ]
        )
        assert await other.claims() == ["r"]
        assert await lane.claims() == ["o"], "names are compared as they are written"
        assert await lane.claims(orchestrations=frozenset()) == []

    async def test_the_room_is_not_exceeded(self, store: Store) -> None:
        """``max_instances``: how many new ones the lane has room for; 0 is none."""
        lane = await LaneDriver.open(store)
        await lane.commit(creates=[instance(f"i{n}") for n in range(5)])
        assert await lane.claims(max_instances=0) == []
        claimed = [await lane.claims(max_instances=2) for _ in range(4)]
        assert [len(ids) for ids in claimed] == [2, 2, 1, 0]
        assert {name for ids in claimed for name in ids} == {f"i{n}" for n in range(5)}

    async def test_the_oldest_due_comes_first(self, store: Store, advance: Advance) -> None:
        """Oldest due first: by when they became due, not by id or age."""
        lane = await LaneDriver.open(store)
        await lane.run("z-old", "a-old")
        await lane.release("z-old", "a-old")
        for name in ("m", "z-old", "b", "a-old"):
            if name.endswith("old"):
                await lane.commit(messages=[message(name, "wake up")])
            else:
                await lane.commit(creates=[instance(name)])
            await advance(0.005)
        order = [name for _ in range(2) for name in await lane.claims(max_instances=2)]
        assert order == ["m", "z-old", "b", "a-old"]

    async def test_age_counts_across_names(self, store: Store, advance: Advance) -> None:
        """Oldest due first, whatever the names: no name starves another."""
        lane = await LaneDriver.open(store, orchestrations={ORDER: "v1", "Refund": "v1"})
        for n in range(6):
            name = (ORDER, "Refund")[n % 2]
            await lane.commit(creates=[instance(f"i{n}", name=name)])
            await advance(0.005)
        order = [name for _ in range(6) for name in await lane.claims(max_instances=1)]
        assert order == [f"i{n}" for n in range(6)]

    async def test_more_mail_does_not_cost_the_place(self, store: Store, advance: Advance) -> None:
        """An instance that is due already became due with its first message."""
        lane = await LaneDriver.open(store)
        await lane.run("first", "second")
        await lane.release("first", "second")
        for name in ("first", "second", "first"):
            await lane.commit(messages=[message(name, "mail")])
            await advance(0.005)
        assert await lane.claims(max_instances=1) == ["first"]
        assert await lane.claims(max_instances=1) == ["second"]

    async def test_a_delayed_start_is_not_claimed_early(
        self, store: Store, advance: Advance
    ) -> None:
        """**start-at** Nobody may claim it before ``start_at``, busy or with mail as it may be."""
        lane = await LaneDriver.open(store)
        start_at = lane.standing.now + 300_000
        await lane.commit(
            creates=[instance("later", start_at=start_at), instance("now")],
            messages=[message("later", "not even for mail")],
        )
        assert await lane.claims() == ["now"]
        work = await lane.poll()
        while work.now < start_at:
            assert work.instances == [], "a delayed instance was handed out too early"
            assert work.next_due == start_at, "next_due tells when the delayed start is due"
            await lane.wait_until(work.now + 100_000, advance)
            work = await lane.poll()
        assert [claimed.instance_id for claimed in work.instances] == ["later"]
        assert work.instances[0].start_at == start_at
        assert work.next_due is None

    async def test_a_delayed_start_survives_its_owner(
        self, store: Store, other_store: Store
    ) -> None:
        """``start_at`` holds for an instance whose owner gave it up before it started, too."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("later", start_at=lane.standing.now + 60_000_000)
        await store.close_lane(lane.key)
        assert await rival.claims() == []

    async def test_next_due_speaks_to_who_could_handle_it(
        self, store: Store, other_store: Store
    ) -> None:
        """``next_due`` is the earliest instant that concerns this lane, or None."""
        lane = await LaneDriver.open(store)
        stranger = await LaneDriver.open(other_store, orchestrations={"Refund": "v1"})
        now = lane.standing.now
        late, early = now + 90_000_000, now + 60_000_000
        await lane.commit(creates=[instance("l", start_at=late), instance("e", start_at=early)])
        assert (await lane.poll()).next_due == early
        assert (await stranger.poll()).next_due is None

    async def test_an_urgent_message_overrides_name_and_start(
        self, store: Store, other_store: Store
    ) -> None:
        """**terminate** ``urgent``: any lane may claim the receiver, even before ``start_at``."""
        lane = await LaneDriver.open(store)
        stranger = await LaneDriver.open(other_store, orchestrations={"Refund": "v1"})
        far = lane.standing.now + 3_600_000_000
        await lane.commit(
            creates=[
                instance("later", start_at=far),
                instance("nobodys", name="Nobody"),
                instance("quiet", name="Nobody"),
            ],
            messages=[
                message("later", "stop", urgent=True),
                message("nobodys", "stop", urgent=True),
                message("quiet", "no hurry"),
            ],
        )
        assert await stranger.claims(max_instances=0) == [], "0 is none, urgent or not"
        work = await stranger.poll()
        assert {claimed.instance_id for claimed in work.instances} == {"later", "nobodys"}
        for claimed in work.instances:
            assert [entry.body for entry in claimed.messages] == [b"stop"]
            [stop] = claimed.messages
            done = finish(claimed.instance_id, consumed=[stop.message_id], status="TERMINATED")
            await stranger.commit(turns=[done])
        assert await stranger.claims() == []

    async def test_a_consumed_urgent_message_is_urgent_no_more(
        self, store: Store, other_store: Store
    ) -> None:
        """Only a waiting urgent message lets strangers claim."""
        lane = await LaneDriver.open(store)
        stranger = await LaneDriver.open(other_store, orchestrations={"Refund": "v1"})
        await lane.run("a")
        await lane.commit(messages=[message("a", "stop", urgent=True)])
        [entry] = await lane.inbox("a")
        await lane.commit(turns=[turn("a", 1, consumed=[entry.message_id])])
        await lane.release("a", busy=True)
        assert await stranger.claims() == []
        assert await lane.claims() == ["a"]

    async def test_busy_is_what_the_last_word_said(self, store: Store, other_store: Store) -> None:
        """``busy`` stays as the turns set it, until a turn or a release says otherwise."""
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a")
        await lane.commit(turns=[turn("a", 0, update=None)])
        await store.close_lane(lane.key)
        claimed = await rival.claim("a")
        assert claimed.busy, "a turn that does not mention busy leaves it"
        await rival.commit(turns=[turn("a", 1)])
        await other_store.close_lane(rival.key)
        heir = await LaneDriver.open(store)
        assert await heir.claims() == [], "a turn has made it idle"

    async def test_unclaimed_names_what_nobody_wants(self, store: Store, advance: Advance) -> None:
        """``unclaimed`` names due orchestrations that wait, with counts; nothing else."""
        lane = await LaneDriver.open(store, orchestrations={ORDER: "v1", "Refund": "v1"})
        await lane.run("idle")
        await lane.release("idle")
        far = lane.standing.now + 3_600_000_000
        await lane.commit(
            creates=[
                instance("x", name="Nobody"),
                instance("y", name="Nobody"),
                instance("z", name="Refund"),
                instance("owned", name="Owned", owned=True),
                instance("later", name="Later", start_at=far),
            ]
        )
        await advance(0.05)
        found = {(entry.kind, entry.name): entry.count for entry in await store.unclaimed(0.02)}
        assert found == {("orchestration", "Nobody"): 2, ("orchestration", "Refund"): 1}
        assert await lane.claims() == ["z"]
        found = {(entry.kind, entry.name): entry.count for entry in await store.unclaimed(0.02)}
        assert found == {("orchestration", "Nobody"): 2}
        assert await store.unclaimed(3600.0) == [], "not waiting that long"
