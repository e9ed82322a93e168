"""Timers and delayed starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from durabletask import task
from durabletask.history import OrchestratorStarted, TimerCreated, TimerFired
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["TimerSuite"]

SOON = timedelta(milliseconds=30)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PENDING = OrchestrationStatus.PENDING


def micros(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.asyncio
class TimerSuite(BackendFixtures):
    """Time, by the orchestration's clock and by the store's."""

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_a_timer_is_never_early(self, any_hub: HubDriver, flavour: str) -> None:
        """**timer-time** A timedelta adds to the replay clock, and the timer fires not before."""

        @task.orchestration(name="sleeping")
        def generator(ctx: task.OrchestrationContext) -> Body:
            asked = ctx.current_utc_datetime
            yield ctx.create_timer(SOON)
            return [asked, ctx.current_utc_datetime]

        @task.orchestration(name="sleeping")
        async def coroutine(ctx: task.OrchestrationContext) -> list[datetime]:
            asked = ctx.current_utc_datetime
            await ctx.create_timer(SOON)
            return [asked, ctx.current_utc_datetime]

        await any_hub.work(generator if flavour == "generator" else coroutine)
        instance_id = await any_hub.start("sleeping")
        state = await any_hub.finish(instance_id)
        asked, fired = state.get_output(list[datetime])
        assert fired - asked >= SOON
        if any_hub.backend.capabilities.history:
            events = await any_hub.history(instance_id)
            [created] = [event for event in events if isinstance(event, TimerCreated)]
            [done] = [event for event in events if isinstance(event, TimerFired)]
            assert created.fire_at == done.fire_at == micros(asked + SOON)

    async def test_timers_fire_in_the_order_they_are_due(self, any_hub: HubDriver) -> None:
        """**timer-time** Whatever the order in which they were created."""

        @task.orchestration
        def clockwork(ctx: task.OrchestrationContext) -> Body:
            timers = [ctx.create_timer(SOON * n) for n in (4, 1, 3, 2)]
            order: list[task.TimerTask] = []
            while len(order) < 4:
                waiting = [timer for timer in timers if timer not in order]
                order.append((yield task.when_any(waiting)))
            return [timers.index(timer) for timer in order]

        await any_hub.work(clockwork)
        assert await any_hub.result_of(clockwork) == [1, 3, 2, 0]

    async def test_the_past_fires_at_once(self, any_hub: HubDriver) -> None:
        """**timer-time** A past time fires at once; ``fire_at`` in history stays as asked."""
        past = datetime(2001, 2, 3, tzinfo=UTC)

        @task.orchestration
        def late(ctx: task.OrchestrationContext) -> Body:
            yield ctx.create_timer(past)
            yield ctx.create_timer(timedelta(0))
            yield ctx.create_timer(-timedelta(days=1))
            return ctx.current_utc_datetime > past

        await any_hub.work(late)
        instance_id = await any_hub.start(late)
        assert await any_hub.result(instance_id) is True
        if any_hub.backend.capabilities.history:
            fired = [e for e in await any_hub.history(instance_id) if isinstance(e, TimerFired)]
            assert fired[0].fire_at == micros(past)

    async def test_a_timer_of_years(self, any_hub: HubDriver) -> None:
        """**timer-time** It can be created, waits, and does not keep the instance from ending."""

        @task.orchestration
        def patient(ctx: task.OrchestrationContext) -> Body:
            timers = [
                ctx.create_timer(timedelta(days=365 * 50)),
                ctx.create_timer(datetime(9999, 12, 31)),
            ]
            event = ctx.wait_for_external_event("enough")
            ctx.set_custom_status("waiting")
            return (yield task.when_any([*timers, event])) is event

        await any_hub.work(patient)
        instance_id = await any_hub.start(patient)
        await any_hub.shows(instance_id, "waiting")
        await any_hub.client.raise_event(instance_id, "enough")
        assert await any_hub.result(instance_id) is True

    async def test_timers_outlive_their_worker(self, hub: HubDriver) -> None:
        """**timer-time** A timer that falls due while no worker runs fires afterwards."""

        @task.orchestration
        def sleeping(ctx: task.OrchestrationContext) -> Body:
            ctx.set_custom_status("asleep")
            yield ctx.create_timer(SOON)
            return "woken"

        await hub.work(sleeping)
        instance_id = await hub.start(sleeping)
        await hub.shows(instance_id, "asleep")
        await hub.stop()
        await hub.work(sleeping)
        assert await hub.result(instance_id) == "woken"

    async def test_start_at_keeps_pending(self, any_hub: HubDriver) -> None:
        """**start-at** In the future it keeps the instance PENDING until then."""

        @task.orchestration
        def delayed(ctx: task.OrchestrationContext) -> datetime:
            return ctx.current_utc_datetime

        await any_hub.work(delayed)
        start_at = datetime.now(UTC) + 10 * SOON
        instance_id = await any_hub.start(delayed, start_at=start_at)
        far = await any_hub.start(delayed, start_at=timedelta(days=1000))
        seen = await any_hub.state(instance_id)
        assert seen.runtime_status is PENDING or datetime.now(UTC) >= start_at
        state = await any_hub.finish(instance_id)
        assert state.get_output(datetime) >= start_at
        assert (await any_hub.state(far)).runtime_status is PENDING
        with pytest.raises(TimeoutError):
            await any_hub.client.wait_for_orchestration_start(far, timeout=0.01)

    async def test_start_at_in_the_past_starts_now(self, hub: HubDriver) -> None:
        """**start-at** A past time is no reason to wait."""

        @task.orchestration
        def prompt(ctx: task.OrchestrationContext) -> str:
            return "started"

        await hub.work(prompt)
        for start_at in (datetime(2001, 1, 1), timedelta(0), timedelta(days=-1)):
            assert await hub.result_of(prompt, start_at=start_at) == "started"

    async def test_events_to_a_delayed_start_wait(self, any_hub: HubDriver) -> None:
        """**start-at** An event does not start it earlier, and is there when it starts."""

        @task.orchestration
        def delayed(ctx: task.OrchestrationContext) -> Body:
            began = ctx.current_utc_datetime
            yield ctx.wait_for_external_event("early")
            return began

        await any_hub.work(delayed)
        start_at = datetime.now(UTC) + 3 * SOON
        instance_id = await any_hub.start(delayed, start_at=start_at)
        await any_hub.client.raise_event(instance_id, "early")
        state = await any_hub.finish(instance_id)
        assert state.get_output(datetime) >= start_at

    async def test_the_clock_never_runs_back(self, any_hub: HubDriver) -> None:
        """**replay-clock** Turns have growing times, whoever runs them."""
        self.require(any_hub.backend, "history")

        @task.orchestration
        def walking(ctx: task.OrchestrationContext) -> Body:
            for _ in range(6):
                yield ctx.create_timer(timedelta(milliseconds=1))

        instance_id = await any_hub.start(walking)
        for _ in range(3):
            await any_hub.work(walking)
            await any_hub.stop()
        await any_hub.work(walking)
        await any_hub.finish(instance_id)
        history = await any_hub.history(instance_id)
        times = [event.timestamp for event in history if isinstance(event, OrchestratorStarted)]
        assert times == sorted(times)
