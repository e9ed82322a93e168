"""Hubs: shared by those who open the same one, closed to all others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from durabletask.state import OrchestrationQuery
from durabletask.testing.conformance.store.driver import (
    ORDER,
    SHIP,
    LaneDriver,
    activity,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import StoreFactory, StoreFixtures

if TYPE_CHECKING:
    from durabletask.store import Store

__all__ = ["HubSuite"]

PATIENCE = 10.0
"""Seconds within which one of many hints has to arrive."""


@pytest.mark.asyncio
class HubSuite(StoreFixtures):
    """**hub** One hub, several stores; several hubs, one database."""

    async def test_capabilities_are_known_before_open(self, store: Store) -> None:
        """``capabilities`` says what the store can do, under a name that errors can use."""
        capabilities = store.capabilities
        assert capabilities.name.strip()
        assert capabilities.max_payload_bytes > 0
        assert capabilities == store.capabilities

    async def test_a_store_closes_twice(self, open_store: StoreFactory) -> None:
        """``close`` is idempotent."""
        store = await open_store()
        await store.close()
        await store.close()

    async def test_lanes_outlive_their_store(self, open_store: StoreFactory, store: Store) -> None:
        """``close`` leaves open lanes to expire; nobody else's work is disturbed."""
        self._needs_two(store)
        leaving = await open_store()
        lane = await LaneDriver.open(leaving)
        await lane.start("a")
        await leaving.close()
        rival = await LaneDriver.open(store)
        assert await rival.claims() == [], "the lane still has its lease"
        await rival.start("b")

    async def test_stores_of_a_hub_see_each_other(self, store: Store, other_store: Store) -> None:
        """What one store wrote the other reads at once."""
        self._needs_two(store)
        lane, rival = await LaneDriver.open(store), await LaneDriver.open(other_store)
        await lane.start("a", input="1")
        await lane.commit(turns=[turn("a", 0)], activities=[activity("a")])
        assert (await rival.record("a")).input == "1"
        assert await rival.history("a") == [b"a turn 0"]
        assert len(await rival.take_activities()) == 1
        await rival.commit(messages=[message("a", "hello")])
        assert await lane.bodies("a") == ["hello"]

    async def test_stores_of_a_hub_wake_each_other(self, store: Store, other_store: Store) -> None:
        """``wake`` is called on the event loop when another store may have written something."""
        self._needs_two(store)
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            assert asyncio.get_running_loop() is loop
            woken.set()

        lane = await LaneDriver.open(store)
        other_store.subscribe(wake)
        # A single hint may be lost, all of many must not.
        async with asyncio.timeout(PATIENCE):
            for n in range(10_000):
                await lane.commit(creates=[instance(f"i{n}")])
                try:
                    await asyncio.wait_for(woken.wait(), 0.05)
                except TimeoutError:
                    continue
                break

    async def test_a_closed_store_hears_nothing(
        self, store: Store, open_store: StoreFactory
    ) -> None:
        """``close`` releases everything, the subscription too."""
        self._needs_two(store)
        calls: list[int] = []
        leaving = await open_store()
        leaving.subscribe(lambda: calls.append(1))
        lane = await LaneDriver.open(store)
        await leaving.close()
        before = len(calls)
        await lane.start("a")
        await asyncio.sleep(0.05)
        assert len(calls) == before

    async def test_a_durable_hub_outlives_its_stores(
        self, store: Store, open_store: StoreFactory
    ) -> None:
        """``durable``: what was acknowledged is there when the hub is opened again."""
        self.require(store, "durable")
        lane = await LaneDriver.open(store)
        await lane.start("a", input="1")
        await lane.commit(turns=[turn("a", 0, update=None)], messages=[message("a", "unread")])
        await store.close_lane(lane.key)
        await store.close()
        heir = await LaneDriver.open(await open_store())
        assert heir.key.lane_id != lane.key.lane_id, "a lane id is never used twice"
        claimed = await heir.claim("a")
        assert (claimed.input, claimed.sequence, claimed.busy) == ("1", 1, True)
        assert [entry.body for entry in claimed.messages] == [b"unread"]
        assert await heir.history("a") == [b"a turn 0"]

    async def test_hubs_never_see_each_other(
        self, store: Store, neighbour_factory: StoreFactory | None
    ) -> None:
        """**hub** Task hubs in one database never see each other."""
        if neighbour_factory is None:
            pytest.skip("the suite has no fixture neighbour_factory for this store")
        neighbour = await neighbour_factory()
        try:
            await self._keep_apart(store, neighbour)
        finally:
            await neighbour.close()

    @staticmethod
    async def _keep_apart(store: Store, neighbour: Store) -> None:
        lane = await LaneDriver.open(store)
        await lane.run("a", "both")
        await lane.commit(creates=[instance("free")], activities=[activity("a")])
        other = await LaneDriver.open(
            neighbour, orchestrations={"Refund": "v1"}, activities=frozenset({"Call"})
        )
        assert other.standing.workers == 1
        assert other.standing.orchestrations == {"Refund"}
        work = await other.poll(orchestrations=frozenset({ORDER}), activities=frozenset({SHIP}))
        assert (work.instances, work.activities, work.next_due) == ([], [], None)
        assert not await other.exists("a")
        assert await other.history("a") == []
        if neighbour.capabilities.query:
            assert await neighbour.query_instances(OrchestrationQuery()) == ([], None)
        assert await neighbour.unclaimed(0.0) == []
        assert await neighbour.purge_instances(["a"], recursive=True) == 0
        result = await other.commit(
            creates=[instance("both", owned=True)], messages=[message("a", "stray")]
        )
        assert (set(result.refused), set(result.missing)) == (set(), {0})
        await lane.commit(messages=[message("both", "mine")])
        assert await other.bodies("both") == []
        assert await lane.bodies("both") == ["mine"]

    def _needs_two(self, store: Store) -> None:
        if not self.can_open_twice(store):
            pytest.skip(
                f"the {store.capabilities.name} store declares shared=False, and the suite does "
                "not set opens_twice"
            )
