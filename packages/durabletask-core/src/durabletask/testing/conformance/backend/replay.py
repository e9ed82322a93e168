"""Replay: order, clock, numbers, and completions nobody waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.history import (
    ExecutionCompleted,
    ExecutionStarted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["ReplaySuite"]

SOON = timedelta(milliseconds=10)


@task.activity(inline=True)
def number_of_call(ctx: task.ActivityContext) -> int:
    """Gives its own number."""
    return ctx.task_id


@pytest.mark.asyncio
class ReplaySuite(BackendFixtures):
    """What an orchestrator sees of its own past."""

    async def test_each_step_is_live_once(self, any_hub: HubDriver) -> None:
        """**replay-order** ``is_replaying`` is false for new events, true for committed ones."""
        seen: list[tuple[int, bool]] = []

        @task.orchestration
        def watched(ctx: task.OrchestrationContext) -> Body:
            for step in range(4):
                seen.append((step, ctx.is_replaying))
                yield ctx.call_activity(number_of_call)
            seen.append((4, ctx.is_replaying))

        await any_hub.work(watched, number_of_call)
        await any_hub.result_of(watched)
        assert [step for step, replaying in seen if not replaying] == [0, 1, 2, 3, 4]
        replayed = [step for step, replaying in seen if replaying]
        assert replayed == ([0, 0, 1, 0, 1, 2, 0, 1, 2, 3] if any_hub.evicting else [])

    async def test_history_has_the_order_of_what_happened(self, any_hub: HubDriver) -> None:
        """**replay-order** A turn is recorded as its start, what it received, what it asked for."""
        self.require(any_hub.backend, "history")

        @task.orchestration
        def two_steps(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_activity(number_of_call)
            yield ctx.create_timer(SOON)

        await any_hub.work(two_steps, number_of_call)
        instance_id = await any_hub.start(two_steps)
        await any_hub.finish(instance_id)
        assert [type(event) for event in await any_hub.history(instance_id)] == [
            OrchestratorStarted,
            ExecutionStarted,
            TaskScheduled,
            OrchestratorStarted,
            TaskCompleted,
            TimerCreated,
            OrchestratorStarted,
            TimerFired,
            ExecutionCompleted,
        ]

    async def test_the_clock_is_that_of_the_turn(self, any_hub: HubDriver) -> None:
        """**replay-clock** Aware UTC, still within a turn, never back, and the same in a replay."""
        seen: dict[int, set[datetime]] = {}

        @task.orchestration
        def clocked(ctx: task.OrchestrationContext) -> Body:
            for step in range(4):
                for _ in range(3):
                    seen.setdefault(step, set()).add(ctx.current_utc_datetime)
                yield ctx.create_timer(SOON)

        await any_hub.work(clocked)
        await any_hub.result_of(clocked)
        assert [len(times) for times in seen.values()] == [1, 1, 1, 1]
        clock = [times.pop() for times in seen.values()]
        assert all(now.tzinfo is UTC for now in clock)
        assert clock == sorted(clock)
        assert clock[-1] - clock[0] >= 3 * SOON

    async def test_the_clock_is_recorded(self, any_hub: HubDriver) -> None:
        """**replay-clock** It is set from the turn's recorded start, and monotonic there too."""
        self.require(any_hub.backend, "history")

        @task.orchestration
        def clocked(ctx: task.OrchestrationContext) -> Body:
            times = [ctx.current_utc_datetime]
            for _ in range(3):
                yield ctx.call_activity(number_of_call)
                times.append(ctx.current_utc_datetime)
            return times

        await any_hub.work(clocked, number_of_call)
        instance_id = await any_hub.start(clocked)
        state = await any_hub.finish(instance_id)
        recorded = [
            event.timestamp
            for event in await any_hub.history(instance_id)
            if isinstance(event, OrchestratorStarted)
        ]
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert state.get_output(list[datetime]) == [
            epoch + timedelta(microseconds=stamp) for stamp in recorded
        ]
        assert recorded == sorted(recorded)

    async def test_a_naive_datetime_means_utc(self, any_hub: HubDriver) -> None:
        """**replay-clock** A naive datetime is UTC, for timers as for ``start_at``."""

        @task.orchestration
        def waits(ctx: task.OrchestrationContext) -> Body:
            until = (ctx.current_utc_datetime + SOON).replace(tzinfo=None)
            yield ctx.create_timer(until)
            return ctx.current_utc_datetime >= until.replace(tzinfo=UTC)

        await any_hub.work(waits)
        start_at = (datetime.now(UTC) + SOON).replace(tzinfo=None)
        assert await any_hub.result_of(waits, start_at=start_at) is True

    async def test_numbers_count_the_scheduling_calls(self, any_hub: HubDriver) -> None:
        """**replay-ids** From 1, in order; a wait for an event takes none, a sent event one."""

        @task.orchestration
        def numbered(ctx: task.OrchestrationContext) -> Body:
            ctx.wait_for_external_event("never")
            first = yield ctx.call_activity(number_of_call)
            yield ctx.create_timer(timedelta(0))
            third = yield ctx.call_activity(number_of_call)
            ctx.send_event("nobody", "hello")
            fifth, sixth = yield task.when_all(
                [ctx.call_activity(number_of_call), ctx.call_activity(number_of_call)]
            )
            return [first, third, fifth, sixth]

        await any_hub.work(numbered, number_of_call)
        assert await any_hub.result_of(numbered) == [1, 3, 5, 6]

    async def test_a_retry_keeps_the_number(self, any_hub: HubDriver) -> None:
        """**replay-ids** A retried activity keeps its number; each retry timer takes a new one."""
        attempts: list[int] = []

        @task.activity(inline=True)
        def moody(ctx: task.ActivityContext) -> None:
            attempts.append(ctx.task_id)
            if len(attempts) < 3:
                raise ValueError("not yet")

        @task.orchestration
        def patient(ctx: task.OrchestrationContext) -> Body:
            policy = task.RetryPolicy(timedelta(0), 3)
            yield ctx.call_activity(number_of_call)
            yield ctx.call_activity(moody, retry_policy=policy)
            return (yield ctx.call_activity(number_of_call))

        await any_hub.work(patient, moody, number_of_call)
        assert await any_hub.result_of(patient) == 5, "2 was the activity, 3 and 4 its timers"
        assert attempts == [2, 2, 2]

    async def test_a_loser_is_ignored(self, any_hub: HubDriver) -> None:
        """**replay-unknown** The timer that lost a race, or was cancelled, disturbs nothing."""

        @task.orchestration
        def racing(ctx: task.OrchestrationContext) -> Body:
            beaten, cancelled = ctx.create_timer(SOON), ctx.create_timer(SOON)
            call = ctx.call_activity(number_of_call)
            winner = yield task.when_any([call, beaten])
            cancelled.cancel()
            yield ctx.create_timer(3 * SOON)  # the others fire meanwhile
            after = yield ctx.call_activity(number_of_call)
            return [winner is call or winner is beaten, after]

        await any_hub.work(racing, number_of_call)
        assert await any_hub.result_of(racing) == [True, 5]

    async def test_what_is_logged_is_logged_once(
        self, any_hub: HubDriver, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**replay-order** The orchestrator's logger is silent while replaying."""

        @task.orchestration
        def talkative(ctx: task.OrchestrationContext) -> Body:
            for step in range(3):
                ctx.logger.warning("step %d", step)
                yield ctx.call_activity(number_of_call)

        await any_hub.work(talkative, number_of_call)
        await any_hub.result_of(talkative)
        said = [entry.getMessage() for entry in caplog.records if "step" in entry.getMessage()]
        assert said == ["step 0", "step 1", "step 2"]

    async def test_chance_repeats_itself(self, any_hub: HubDriver) -> None:
        """**replay-order** ``new_uuid`` and ``random`` give the same again at every replay."""
        seen: dict[int, set[Any]] = {}

        @task.orchestration
        def gambling(ctx: task.OrchestrationContext) -> Body:
            for step in range(3):
                seen.setdefault(step, set()).add((ctx.new_uuid(), ctx.random.random()))
                yield ctx.call_activity(number_of_call)

        await any_hub.work(gambling, number_of_call)
        await any_hub.result_of(gambling)
        assert [len(values) for values in seen.values()] == [1, 1, 1]
        assert len({value for values in seen.values() for value in values}) == 3
