"""Storage: what is durable, who may write, and what counts once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.history import TaskCompleted, TaskScheduled
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures
from durabletask.testing.conformance.backend.outage import LEASE

if TYPE_CHECKING:
    from durabletask.testing.conformance.backend.outage import FragileFactory, Outage

__all__ = ["StorageSuite"]

RUNNING = OrchestrationStatus.RUNNING


@task.activity(inline=True)
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@task.orchestration
def gathering(ctx: task.OrchestrationContext, count: int) -> Body:
    """Takes so many events of one name."""
    taken = []
    for _ in range(count):
        taken.append((yield ctx.wait_for_external_event("e")))
    return taken


@task.orchestration
def marker(ctx: task.OrchestrationContext) -> str:
    """Shows that a worker is at work."""
    return "at work"


class Divided:
    """An orchestration of two turns whose second has effects of every kind.

    Attributes:
        ran: by which worker the activity of the second turn was run, for each run of it.
        reached: set when the first turn is durable and its activity runs.
    """

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.reached = asyncio.Event()
        self.gate = Gate()

    def functions(self, worker: str) -> list[Any]:
        """What the worker of this name is to register."""

        @task.activity
        async def hold(ctx: task.ActivityContext) -> None:
            self.reached.set()
            await self.gate.wait("second turn")

        @task.activity
        async def effect(ctx: task.ActivityContext) -> str:
            self.ran.append(worker)
            return worker

        @task.orchestration
        def divided(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_activity(hold)
            ctx.send_event("receiver", "e", data="sent")
            ctx.set_custom_status("second turn")
            return (yield ctx.call_activity(effect))

        return [divided, hold, effect]


@pytest.mark.asyncio
class StorageSuite(BackendFixtures):
    """Atomic turns, single owners, results that count once."""

    async def test_a_turn_is_seen_whole_or_not_at_all(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**turn-atomic** Whoever sees one effect of a turn sees all of them."""
        self.require(hub.backend, "history")
        steps = 30

        @task.orchestration
        def stepping(ctx: task.OrchestrationContext) -> Body:
            for step in range(steps):
                ctx.call_activity(echo, input=step)
                ctx.set_custom_status(step)
                yield ctx.create_timer(timedelta(0))

        await hub.work(stepping, echo)
        instance_id = await hub.start(stepping)
        while True:
            state = await other_hub.state(instance_id)
            history = await other_hub.history(instance_id)
            scheduled = sum(isinstance(event, TaskScheduled) for event in history)
            if state.custom_status is not None:
                assert scheduled > state.custom_status, "a status without the rest of its turn"
            if state.runtime_status.is_finished:
                assert (state.custom_status, scheduled) == (steps - 1, steps)
                break
            await asyncio.sleep(0.001)

    async def test_what_is_not_durable_has_no_effect(
        self, fragile: tuple[HubDriver, Outage], hub: HubDriver
    ) -> None:
        """**turn-atomic** No effect of a turn is seen anywhere before the turn is durable."""
        cut_off, outage = fragile
        divided = Divided()
        await hub.start(gathering, 1, instance_id="receiver")
        await cut_off.work(*divided.functions("worker"), gathering)
        instance_id = await cut_off.start("divided")
        await divided.reached.wait()
        outage.begin()
        divided.gate.open("second turn")
        await asyncio.sleep(0.15)
        state = await hub.state(instance_id)
        assert (state.runtime_status, state.custom_status) == (RUNNING, None)
        assert not (await hub.state("receiver")).runtime_status.is_finished
        assert divided.ran == [], "an activity was run whose schedule was never written"
        outage.end()
        assert await hub.result(instance_id) == "worker"
        assert await hub.result("receiver") == ["sent"]

    async def test_a_late_waker_cannot_write(
        self, fragile: tuple[HubDriver, Outage], hub: HubDriver
    ) -> None:
        """**turn-single** A worker that lost its lease cannot commit, however late it wakes up."""
        cut_off, outage = fragile
        divided = Divided()
        await hub.start(gathering, 2, instance_id="receiver")
        await cut_off.work(*divided.functions("late"), marker)
        instance_id = await cut_off.start("divided")
        await divided.reached.wait()
        outage.begin()
        divided.gate.open("second turn")
        await hub.work(*divided.functions("healthy"), gathering)
        assert await hub.result(instance_id) == "healthy"
        before = await hub.state(instance_id)
        outage.end()
        # Only the late worker knows this one: when it is done, that worker has come back to life.
        assert await hub.result_of(marker) == "at work"
        assert divided.ran == ["healthy"]
        assert await hub.state(instance_id) == before
        await hub.client.raise_event("receiver", "e", "last")
        assert await hub.result("receiver") == ["sent", "last"], "an event was sent twice"
        if hub.backend.capabilities.history:
            history = await hub.history(instance_id)
            assert sum(isinstance(event, TaskScheduled) for event in history) == 2

    async def test_what_ran_ahead_is_forgotten(
        self,
        fragile: tuple[HubDriver, Outage],
        fragile_factory: FragileFactory,
        hub: HubDriver,
    ) -> None:
        """**turn-single** Who loses its work and gets it back goes on from what is durable."""
        cut_off, outage = fragile
        divided = Divided()
        await hub.start(gathering, 1, instance_id="receiver")
        await cut_off.work(*divided.functions("the only one"), gathering)
        instance_id = await cut_off.start("divided")
        await divided.reached.wait()
        backend, _ = await fragile_factory()
        heir = HubDriver(backend, cut_off.options)
        try:
            await heir.work(marker)
            outage.begin()
            divided.gate.open("second turn")
            # Time enough for the heir to find the other dead, though it can do nothing of its work;
            # whether it does or not, the outcome is the same.
            await asyncio.sleep(2 * LEASE)
            outage.end()
            assert await hub.result(instance_id) == "the only one"
            assert await hub.result("receiver") == ["sent"]
            assert divided.ran == ["the only one"]
        finally:
            await heir.stop()
            await backend.close()

    async def test_an_outage_fails_nothing(
        self, fragile: tuple[HubDriver, Outage], hub: HubDriver
    ) -> None:
        """**failure-infra** A broken connection abandons work; it never fails an instance."""
        cut_off, outage = fragile

        @task.orchestration
        def steady(ctx: task.OrchestrationContext) -> Body:
            total = 0
            for step in range(20):
                total += yield ctx.call_activity(echo, input=step)
                yield ctx.create_timer(timedelta(milliseconds=5))
            return total

        await cut_off.work(steady, echo)
        ids = [await cut_off.start(steady) for _ in range(10)]
        for _ in range(3):
            await asyncio.sleep(0.05)
            outage.begin()
            await asyncio.sleep(0.03)
            outage.end()
        assert [await hub.result(instance_id) for instance_id in ids] == [190] * 10

    async def test_one_owner_at_a_time(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**turn-single** Two workers, one instance: every step is recorded once."""
        self.require(hub.backend, "history")

        @task.orchestration
        def contested(ctx: task.OrchestrationContext) -> Body:
            total = 0
            for step in range(10):
                total += yield ctx.call_activity(echo, input=step)
                yield ctx.wait_for_external_event("next")
            return total

        for home in (hub, other_hub):
            await home.work(contested, echo)
        ids = [await hub.start(contested) for _ in range(20)]
        for _ in range(10):
            for number, instance_id in enumerate(ids):
                home = hub if number % 2 else other_hub
                await home.client.raise_event(instance_id, "next")
        for instance_id in ids:
            assert await hub.result(instance_id) == 45
            done = [
                event.task_id
                for event in await hub.history(instance_id)
                if isinstance(event, TaskCompleted)
            ]
            assert done == list(range(1, 11))

    async def test_an_activity_finds_its_schedule(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**activity-once** It never starts before the turn that scheduled it is durable."""
        self.require(hub.backend, "history")

        @task.activity
        async def looking(ctx: task.ActivityContext) -> bool:
            history = await other_hub.history(ctx.orchestration_id)
            return any(
                isinstance(event, TaskScheduled) and event.task_id == ctx.task_id
                for event in history
            )

        @task.orchestration
        def asking(ctx: task.OrchestrationContext) -> Body:
            first = yield ctx.call_activity(looking)
            more = yield task.when_all([ctx.call_activity(looking) for _ in range(20)])
            return [first, *more]

        await hub.work(asking, looking)
        for _ in range(5):
            assert all(await hub.result_of(asking))

    async def test_the_inbox_is_totally_ordered(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**inbox-order** Events arrive in the order they were accepted, from all processes."""
        await hub.work(gathering)
        count = 60
        instance_id = await hub.start(gathering, count)
        for value in range(count):
            home = hub if value % 3 else other_hub
            await home.client.raise_event(instance_id, "e", value)
        assert await hub.result(instance_id) == list(range(count))

    async def test_no_event_is_lost_in_a_crowd(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**inbox-order** What arrives during a turn causes another; each event counts once."""
        await hub.work(gathering)
        count = 300
        instance_id = await hub.start(gathering, count)
        await asyncio.gather(
            *(
                (hub if value % 2 else other_hub).client.raise_event(instance_id, "e", value)
                for value in range(count)
            )
        )
        assert sorted(await hub.result(instance_id)) == list(range(count))
