"""Work items among several workers: limits, registrations, and workers that leave."""

from __future__ import annotations

import asyncio

import pytest

from durabletask import task
from durabletask.actions import Action, ScheduleTask
from durabletask.backend import (
    ActivityResult,
    ActivityWorkItem,
    OrchestrationResult,
    OrchestrationWorkItem,
)
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import PATIENCE, Body, HubDriver
from durabletask.testing.conformance.backend.taker import (
    WAITING,
    TakerFactory,
    TakerFixtures,
    calls,
    ends,
)

__all__ = ["SharingSuite"]


@pytest.mark.asyncio
class SharingSuite(TakerFixtures):
    """Who gets what."""

    async def test_turns_keep_to_the_limit(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**turn-single** No more turns are out than the profile allows; the next comes then."""
        taker = await open_taker(max_orchestrations=2)
        ids = {await hub.start("o", n) for n in range(5)}
        out = [await taker.turn(), await taker.turn()]
        assert await taker.rests()
        while out:
            item = out.pop(0)
            ids.remove(item.instance_id)
            taker.source.complete_orchestration(item, ends())
            if len(ids) > len(out):
                out.append(await taker.turn())
                assert len({each.instance_id for each in out}) == len(out) <= 2
        assert ids == set()
        assert await taker.rests()

    async def test_activities_keep_to_the_limit(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**activity-once** No more activities are out than the profile allows."""
        taker = await open_taker(max_activities=3)
        instance_id = await hub.start("o")
        taker.source.complete_orchestration(await taker.turn(), calls(*range(1, 8)))
        out = [await taker.activity() for _ in range(3)]
        assert await taker.rests()
        done: list[int] = []
        while len(done) < 7:
            if out:
                activity = out.pop()
                taker.source.complete_activity(activity, ActivityResult("0"))
                done.append(activity.task_id)
                continue
            item = await taker.next()
            if isinstance(item, OrchestrationWorkItem):
                taker.source.complete_orchestration(item, WAITING)
            elif isinstance(item, ActivityWorkItem):
                out.append(item)
        assert sorted(done) == list(range(1, 8))
        assert (await hub.state(instance_id)).runtime_status is OrchestrationStatus.RUNNING

    async def test_each_gets_what_it_knows(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**failure-unregistered** A source hands out only what its profile names."""
        none: frozenset[str] = frozenset()
        only_turns = await open_taker(activities=none)
        only_activities = await open_taker(orchestrations={})
        others = await open_taker(orchestrations={"other": "code"}, activities=frozenset({"b"}))
        ids = [await hub.start("o") for _ in range(3)]
        for _ in ids:
            only_turns.source.complete_orchestration(await only_turns.turn(), calls(1))
        for _ in ids:
            activity = await only_activities.activity()
            assert activity.name == "a"
            only_activities.source.complete_activity(activity, ActivityResult("1"))
        for _ in ids:
            only_turns.source.complete_orchestration(await only_turns.turn(), ends())
        for instance_id in ids:
            await hub.result(instance_id)
        assert await others.rests()
        other = await hub.start("other")
        turn = await others.turn()
        assert (turn.instance_id, turn.name) == (other, "other")
        others.source.complete_orchestration(turn, ends())
        await hub.result(other)

    async def test_drain_stops_handing_out(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**failure-infra** After ``drain`` the source gives nothing; others take over."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        leaving.source.complete_orchestration(await leaving.turn(), WAITING)
        waiting = asyncio.ensure_future(leaving.source.receive())
        await leaving.source.drain(5.0)
        assert await asyncio.wait_for(waiting, PATIENCE) == []
        await leaving.source.drain(5.0)
        staying = await open_taker()
        await hub.client.raise_event(instance_id, "e")
        turn = await staying.turn()
        assert (turn.instance_id, turn.sequence) == (instance_id, 1)
        staying.source.complete_orchestration(turn, ends())
        await hub.result(instance_id)

    async def test_drain_waits_for_what_is_out(
        self, hub: HubDriver, open_taker: TakerFactory, other_hub: HubDriver
    ) -> None:
        """**failure-infra** What is handed back within the limit is durable afterwards."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        turn = await leaving.turn()
        draining = asyncio.ensure_future(leaving.source.drain(PATIENCE))
        await asyncio.sleep(0.02)
        assert not draining.done()
        leaving.source.complete_orchestration(turn, ends('"in time"'))
        await asyncio.wait_for(draining, PATIENCE)
        assert (await other_hub.state(instance_id)).result == "in time"

    async def test_drain_gives_up_the_rest(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**failure-infra** What is not handed back in time goes to others, and counts once."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        turn = await leaving.turn()
        await leaving.source.drain(0.05)
        staying = await open_taker()
        again = await staying.turn()
        assert (again.instance_id, again.sequence) == (instance_id, 0)
        leaving.source.complete_orchestration(turn, ends('"late"'))
        staying.source.complete_orchestration(again, ends('"in time"'))
        assert await hub.result(instance_id) == "in time"

    async def test_what_was_lost_has_no_history(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**turn-single** ``load_history`` of an item whose ownership was lost is empty."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        leaving.source.complete_orchestration(await leaving.turn(), WAITING)
        await hub.client.raise_event(instance_id, "e")
        lost = await leaving.turn()
        assert lost.sequence == 1
        await leaving.source.drain(0)
        staying = await open_taker()
        kept = await staying.turn()
        assert await leaving.source.load_history([lost]) == [[]]
        [history] = await staying.source.load_history([kept])
        assert len(history) == 2
        staying.source.complete_orchestration(kept, ends())
        await hub.result(instance_id)

    async def test_a_turn_continues_only_what_was_committed_here(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**turn-single** No item continues a turn that its worker made and another committed."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        first = await leaving.turn()
        await leaving.source.drain(0)
        leaving.source.complete_orchestration(first, WAITING)  # too late
        staying = await open_taker()
        again = await staying.turn()
        assert (again.sequence, again.continues) == (0, False)
        staying.source.complete_orchestration(again, WAITING)
        await hub.client.raise_event(instance_id, "e")
        turn = await staying.turn()
        assert turn.sequence == 1
        await staying.source.drain(0)
        last = await open_taker()
        turn = await last.turn()
        assert (turn.sequence, turn.continues) == (1, False)
        last.source.complete_orchestration(turn, ends())
        await hub.result(instance_id)

    async def test_what_nobody_waits_for_runs_all_the_same(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**activity-once** An activity runs though its orchestration and its worker are gone."""
        leaving = await open_taker(max_activities=1)
        instance_id = await hub.start("o")
        leaving.source.complete_orchestration(await leaving.turn(), calls(1, 2, 3))
        first = await leaving.activity()
        await hub.client.raise_event(instance_id, "e")
        leaving.source.complete_orchestration(await leaving.turn(), ends())
        await hub.result(instance_id)
        leaving.source.complete_activity(first, ActivityResult("0"))
        await leaving.source.drain(0)
        staying = await open_taker()
        rest = [await staying.activity() for _ in range(2)]
        assert {first.task_id, *(item.task_id for item in rest)} == {1, 2, 3}
        for item in rest:
            staying.source.complete_activity(item, ActivityResult("0"))
        assert await staying.rests()

    async def test_what_is_queued_is_not_started_again(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**activity-once** Of a worker that is gone, only what nobody else has is run again."""
        leaving = await open_taker()
        instance_id = await hub.start("o")
        asked: list[Action] = [ScheduleTask(1, "a", "1"), ScheduleTask(2, "b", "2")]
        leaving.source.complete_orchestration(await leaving.turn(), OrchestrationResult(asked))
        assert (await leaving.activity()).name == "a"
        await leaving.source.drain(0)
        staying = await open_taker(activities=frozenset({"a", "b"}))
        items = [await staying.activity() for _ in range(2)]
        assert sorted(item.name for item in items) == ["a", "b"]
        assert await staying.rests()
        for item in items:
            staying.source.complete_activity(item, ActivityResult("0"))
        finished = 0
        while finished < 2:
            turn = await staying.turn()
            finished += len(turn.events) - 1
            result = ends() if finished == 2 else WAITING
            staying.source.complete_orchestration(turn, result)
        await hub.result(instance_id)

    async def test_workers_share_by_registration(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**failure-unregistered** Two workers that know different halves do the whole."""
        ran: set[str] = set()

        @task.orchestration
        def here(ctx: task.OrchestrationContext) -> Body:
            ran.add("here")
            values = [(yield ctx.call_activity("left")), (yield ctx.call_activity("right"))]
            return [*values, (yield ctx.call_sub_orchestration("there"))]

        @task.orchestration
        def there(ctx: task.OrchestrationContext) -> Body:
            ran.add("there")
            return [(yield ctx.call_activity("right")), (yield ctx.call_activity("left"))]

        @task.activity
        def left(ctx: task.ActivityContext) -> str:
            return "l"

        @task.activity
        async def right(ctx: task.ActivityContext) -> str:
            return "r"

        await hub.work(here, left)
        await other_hub.work(there, right)
        ids = [await home.start("here") for home in (hub, other_hub) for _ in range(5)]
        for instance_id in ids:
            assert await hub.result(instance_id) == ["l", "r", ["r", "l"]]
        assert ran == {"here", "there"}
