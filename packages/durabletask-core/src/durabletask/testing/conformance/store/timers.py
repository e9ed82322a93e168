"""Timers: messages of an execution to itself."""

from __future__ import annotations

import pytest

from durabletask.store import Message, Store
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    execution,
    finish,
    instance,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures

__all__ = ["TimerSuite"]

YEAR = 365 * 86_400_000_000


def timer(instance_id: str, fire_at: int, body: str = "fired") -> Message:
    """A timer of the current execution."""
    return Message(
        instance_id,
        body.encode(),
        execution_id=execution(instance_id),
        visible_at=fire_at,
    )


@pytest.mark.asyncio
class TimerSuite(StoreFixtures):
    """**timer-time** Due-ness is decided by the store's clock."""

    async def test_a_timer_fires_in_time_and_never_early(
        self, store: Store, advance: Advance
    ) -> None:
        """A timer is invisible until its instant, and then given until it is consumed."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        fire_at = await lane.now() + 300_000
        await lane.commit(turns=[turn("a", 0, timers=[timer("a", fire_at)])])
        work = await lane.poll()
        while work.now < fire_at:
            assert work.inbox == {}, "a timer fired early"
            assert work.next_due == fire_at
            await lane.wait_until(work.now + 100_000, advance)
            work = await lane.poll()
        [fired] = work.inbox["a"]
        assert fired.body == b"fired"
        assert work.next_due is None
        await lane.commit(turns=[turn("a", 1, consumed=[fired.message_id])])
        assert await lane.inbox("a") == []

    async def test_a_past_time_fires_at_once(self, store: Store) -> None:
        """**timer-time** A past time fires at once."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        await lane.commit(turns=[turn("a", 0, timers=[timer("a", 1), timer("a", 0, "zero")])])
        assert await lane.bodies("a") == ["fired", "zero"]

    async def test_a_timer_of_years_is_kept(self, store: Store) -> None:
        """**timer-time** A timer of years works."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        fire_at = await lane.now() + 200 * YEAR
        await lane.commit(turns=[turn("a", 0, timers=[timer("a", fire_at)])])
        work = await lane.poll()
        assert (work.inbox, work.next_due) == ({}, fire_at)

    async def test_the_earliest_of_many_is_next(self, store: Store, advance: Advance) -> None:
        """``next_due`` is the earliest instant of all instances of the lane."""
        lane = await LaneDriver.open(store)
        await lane.start("a", "b", "c")
        now = await lane.now()
        later = {"a": now + 90_000_000, "b": now + 30_000_000, "c": now + 60_000_000}
        await lane.commit(turns=[turn(n, 0, timers=[timer(n, at)]) for n, at in later.items()])
        assert (await lane.poll()).next_due == later["b"]
        await lane.commit(turns=[finish("b", 1)])
        assert (await lane.poll()).next_due == later["c"], "timers of finished ones are gone"
        soon = await lane.now() + 30_000
        await lane.commit(turns=[turn("a", 1, timers=[timer("a", soon, "second")])])
        await lane.wait_until(soon, advance)
        work = await lane.poll()
        assert {name: [m.body for m in found] for name, found in work.inbox.items()} == {
            "a": [b"second"]
        }
        assert work.next_due == later["c"]

    async def test_a_timer_makes_an_idle_instance_due(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """A timer needs no owner: when it fires the instance is due, for those who know it."""
        lane = await LaneDriver.open(store)
        rival = await LaneDriver.open(other_store)
        stranger = await LaneDriver.open(other_store, orchestrations={"Refund": "v1"})
        await lane.start("a")
        fire_at = await lane.now() + 200_000
        await lane.commit(
            turns=[turn("a", 0, timers=[timer("a", fire_at)])], released=[("a", False)]
        )
        assert (await stranger.poll()).next_due is None
        work = await rival.poll()
        while work.now < fire_at:
            assert work.instances == []
            assert work.next_due == fire_at, "next_due tells it to lanes that know the name"
            await lane.wait_until(work.now + 50_000, advance)
            work = await rival.poll()
        assert [found.instance_id for found in work.instances] == ["a"]
        assert [entry.body for entry in work.instances[0].messages] == [b"fired"]

    async def test_an_owned_instance_keeps_its_timers(
        self, store: Store, other_store: Store, advance: Advance
    ) -> None:
        """Timers set under one owner fire under the next."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        fire_at = await lane.now() + 50_000
        await lane.commit(turns=[turn("a", 0, timers=[timer("a", fire_at)], update=None)])
        await store.close_lane(lane.key)
        heir = await LaneDriver.open(other_store)
        await heir.claim("a")
        await heir.wait_until(fire_at, advance)
        assert await heir.bodies("a") == ["fired"]

    async def test_a_finished_instance_has_no_timers(self, store: Store, advance: Advance) -> None:
        """A finished status deletes the inbox, timers included, even those of its last turn."""
        lane = await LaneDriver.open(store)
        await lane.start("a")
        soon = await lane.now() + 30_000
        await lane.commit(turns=[turn("a", 0, timers=[timer("a", soon)])])
        await lane.commit(turns=[finish("a", 1, timers=[timer("a", soon)])])
        assert (await lane.poll()).next_due is None
        await lane.wait_until(soon, advance)
        assert (await lane.poll()).inbox == {}

    async def test_many_waiting_instances_are_found(self, store: Store, advance: Advance) -> None:
        """Of many idle instances exactly those are due whose timers have fired."""
        lane = await LaneDriver.open(store)
        names = [f"i{n}" for n in range(200)]
        await lane.commit(creates=[instance(name, owned=True) for name in names])
        now = await lane.now()
        fire_at = {name: now + (50_000 if n % 10 == 0 else YEAR) for n, name in enumerate(names)}
        await lane.commit(
            turns=[turn(name, 0, timers=[timer(name, fire_at[name])]) for name in names],
            released=[(name, False) for name in names],
        )
        await lane.wait_until(now + 50_000, advance)
        assert sorted(await lane.claims()) == sorted(names[::10])
        assert (await lane.poll()).next_due == now + YEAR
