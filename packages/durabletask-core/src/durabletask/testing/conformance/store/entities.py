"""What entities need of a store: to be created by whoever asks, and removed when idle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durabletask.state import OrchestrationQuery
from durabletask.store import InstanceUpdate, NextExecution, Park, Store
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    ORDER,
    LaneDriver,
    activity,
    execution,
    instance,
    message,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFactory, StoreFixtures

__all__ = ["EntitySuite"]

IDLE = InstanceUpdate(status="PENDING", busy=False)
COUNTER = "@counter"


async def page(store: Store, prefix: str | None) -> list[str]:
    """The ids with that prefix."""
    query = OrchestrationQuery(instance_id_prefix=prefix)
    return [row.instance_id for row in (await store.query_instances(query))[0]]


async def opened(store: Store) -> LaneDriver:
    """A lane that runs orders and counters."""
    return await LaneDriver.open(store, orchestrations={ORDER: "v1", COUNTER: "v1"})


@pytest.mark.asyncio
class EntitySuite(StoreFixtures):
    """**entity-serial** rests on this, beside what holds for all instances."""

    needs = "entities"

    async def test_who_asks_creates(self, store: Store) -> None:
        """A refused create changes nothing, and the message of its batch arrives all the same."""
        lane = await opened(store)
        for number in range(3):
            result = await lane.commit(
                creates=[
                    instance("@counter@a", name=COUNTER, execution_id=f"try/{number}"),
                ],
                messages=[message("@counter@a", f"add {number}")],
            )
            assert result.refused == (frozenset({0}) if number else frozenset())
            assert not result.missing
        claimed = await lane.claim("@counter@a")
        assert claimed.execution_id == "try/0"
        assert [m.body for m in claimed.messages] == [b"add 0", b"add 1", b"add 2"]

    async def test_one_batch_may_create_it_twice(self, store: Store) -> None:
        """Only the first creates; both messages arrive."""
        lane = await opened(store)
        twice = [instance("@counter@a", name=COUNTER, execution_id=f"try/{n}") for n in range(2)]
        result = await lane.commit(
            creates=twice, messages=[message("@counter@a", "one"), message("@counter@a", "two")]
        )
        assert result.refused == frozenset({1})
        assert not result.missing
        assert len((await lane.claim("@counter@a")).messages) == 2

    async def test_an_owner_asks_what_it_owns(self, store: Store) -> None:
        """Beside a turn or the release of an instance, a create of it is refused as ever."""
        lane = await opened(store)
        await lane.start("@counter@a", name=COUNTER)
        besides: list[dict[str, Any]] = [
            {"turns": [turn("@counter@a", 0)]},
            {"released": [("@counter@a", False)]},
        ]
        for number, also in enumerate(besides):
            asked = instance("@counter@a", name=COUNTER, execution_id=f"try/{number}", owned=True)
            result = await lane.commit(
                creates=[asked], messages=[message("@counter@a", f"add {number}")], **also
            )
            assert (result.refused, result.missing) == (frozenset({0}), frozenset())
        claimed = await lane.claim("@counter@a")
        assert (claimed.execution_id, claimed.sequence) == (execution("@counter@a"), 1)
        assert [m.body for m in claimed.messages] == [b"add 0", b"add 1"]

    async def test_only_idle_ones_are_removed(self, store: Store) -> None:
        """PENDING, with a turn, unowned, not busy, not parked, without messages; no others."""
        lane = await opened(store)
        names = ["idle", "owned", "running", "busy", "parked", "mail", "later", "fresh", "queued"]
        await lane.start(*names)
        await lane.commit(
            turns=[
                turn(name, 0, update=InstanceUpdate(status="RUNNING", busy=False))
                if name == "running"
                else turn(name, 0, update=IDLE)
                for name in names
                if name != "fresh"
            ],
            activities=[activity("queued", 1)],
        )
        await lane.commit(
            released=[(name, name == "busy") for name in names if name not in ("owned", "parked")],
            parked=[Park("parked", execution("parked"), "because", None)],
        )
        far = await lane.now() + 3_600_000_000
        await lane.commit(messages=[message("mail", "m"), message("later", "m", visible_at=far)])
        assert await store.purge_idle([*names, "unknown", "idle"]) == 1
        rest = await store.get_instances(names, payloads=False)
        assert set(rest) == {*names} - {"idle"}
        assert await store.purge_idle([]) == 0

    async def test_nothing_of_a_removed_one_is_left(self, store: Store) -> None:
        """Its id is free, its history gone, and no poll finds it."""
        lane = await opened(store)
        await lane.start("@counter@a", name=COUNTER)
        await lane.commit(turns=[turn("@counter@a", 0, update=IDLE)])
        await lane.release("@counter@a")
        assert await store.purge_idle(["@counter@a"]) == 1
        assert await page(store, "@") == []
        assert await lane.history("@counter@a") == []
        assert await lane.claims() == []
        again = instance("@counter@a", name=COUNTER, execution_id="again")
        assert (await lane.commit(creates=[again])).refused == set()
        claimed = await lane.claim("@counter@a")
        assert (claimed.sequence, claimed.messages) == (0, [])

    async def test_one_that_has_gone_on_as_new_is_not_idle(self, store: Store) -> None:
        """Until it has had a turn in its execution it is due."""
        lane = await opened(store)
        await lane.start("a")
        following = NextExecution(execution_id=execution("a", 2), input="{}", version=None)
        await lane.commit(turns=[turn("a", 0, update=None, next=following)])
        await lane.release("a", busy=True)
        assert await store.purge_idle(["a"]) == 0
        assert (await lane.claim("a")).input == "{}"

    async def test_queries_keep_them_apart(self, store: Store) -> None:
        """Ids with an @ are found by a prefix with an @ only, in pages too."""
        lane = await opened(store)
        for number in range(4):
            await lane.start(f"order-{number}", created_at=CREATED_AT + 2 * number)
            await lane.start(
                f"@counter@{number}", name=COUNTER, created_at=CREATED_AT + 2 * number + 1
            )
        orders = [f"order-{number}" for number in range(4)]
        counters = [f"@counter@{number}" for number in range(4)]
        for prefix in (None, ""):
            assert await page(store, prefix) == orders
        for prefix in ("@", "@counter@"):
            assert await page(store, prefix) == counters
        assert await page(store, "@counter@2") == ["@counter@2"]
        assert await page(store, "@other@") == []
        found: list[str] = []
        query = OrchestrationQuery(page_size=1)
        for _ in range(10):
            rows, token = await store.query_instances(query)
            found += [row.instance_id for row in rows]
            if token is None:
                break
            query = OrchestrationQuery(page_size=1, continuation_token=token)
        assert found == orders
        by_name = OrchestrationQuery(name=COUNTER)
        assert await store.query_instances(by_name) == ([], None)

    async def test_removal_and_asking_race(
        self, store: Store, other_store: Store, open_store: StoreFactory, advance: Advance
    ) -> None:
        """However it falls out, what a batch sends to an instance that it creates if need be
        arrives, once."""
        lane = await opened(store)
        for round_ in range(20):
            name = f"@counter@{round_}"
            await lane.start(name, name=COUNTER)
            await lane.commit(turns=[turn(name, 0, update=IDLE)])
            await lane.release(name)
            removed, result = await asyncio.gather(
                other_store.purge_idle([name]),
                lane.commit(
                    creates=[instance(name, name=COUNTER, execution_id=f"again/{round_}")],
                    messages=[message(name, "hello")],
                ),
            )
            assert result.missing == set()
            claimed = await lane.claim(name)
            assert [m.body for m in claimed.messages] == [b"hello"], f"removed: {removed}"
