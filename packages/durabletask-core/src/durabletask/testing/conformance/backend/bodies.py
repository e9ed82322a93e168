"""Bodies: what may be yielded or awaited, and how generators and coroutines end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["BodySuite"]

SOON = timedelta(milliseconds=10)
FAILED = OrchestrationStatus.FAILED
TERMINATED = OrchestrationStatus.TERMINATED


@task.activity(inline=True)
def double(ctx: task.ActivityContext, value: int) -> int:
    """Twice the value."""
    return 2 * value


@task.orchestration
def child(ctx: task.OrchestrationContext, value: int) -> int:
    """A plain function that only returns is an orchestrator too."""
    return value + 1


@pytest.mark.asyncio
class BodySuite(BackendFixtures):
    """Generators and ``async def`` on one engine."""

    @pytest.mark.parametrize(
        "foreign", [42, None, "text", [], (), object()], ids=lambda value: type(value).__name__
    )
    async def test_a_foreign_first_yield_is_a_type_error(
        self, hub: HubDriver, foreign: object
    ) -> None:
        """**yield-task** Yielding anything but a Task is a TypeError, the first yield included."""

        @task.orchestration
        def wrong(ctx: task.OrchestrationContext) -> Body:
            yield foreign

        await hub.work(wrong)
        state = await hub.run(wrong)
        assert state.runtime_status is FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by(TypeError)
        assert type(foreign).__name__ in state.failure_details.message

    async def test_a_foreign_yield_is_thrown_in(self, any_hub: HubDriver) -> None:
        """**yield-task** The TypeError is thrown at that yield, where it can be caught."""

        @task.orchestration
        def wrong(ctx: task.OrchestrationContext) -> Body:
            first = yield ctx.call_activity(double, input=1)
            try:
                yield [ctx.call_activity(double, input=2)]
            except TypeError:
                second = yield ctx.call_activity(double, input=3)
                return [first, second]

        await any_hub.work(wrong, double)
        assert await any_hub.result_of(wrong) == [2, 6]

    async def test_a_finished_task_resumes_at_once(self, any_hub: HubDriver) -> None:
        """**yield-done** In the same turn, any number of times, failed tasks too."""

        @task.orchestration
        def again(ctx: task.OrchestrationContext) -> Body:
            done = ctx.call_activity(double, input=4)
            failed = ctx.call_activity("half", input=1)
            yield task.when_any([task.when_all([done, failed])])
            before = ctx.current_utc_datetime
            values = []
            for _ in range(3):
                values.append((yield done))
                try:
                    yield failed
                except task.TaskFailedError as error:
                    values.append(error.details.message)
            return [values, before == ctx.current_utc_datetime]

        @task.activity
        def half(ctx: task.ActivityContext, value: int) -> int:
            raise ValueError("odd")

        await any_hub.work(again, double, half)
        assert await any_hub.result_of(again) == [[8, "odd"] * 3, True]

    async def test_one_turn_may_go_several_steps(self, any_hub: HubDriver) -> None:
        """**yield-many** Several new events in one turn advance the body several steps."""
        clock: set[Any] = set()

        @task.orchestration
        def hungry(ctx: task.OrchestrationContext) -> Body:
            eaten = []
            for _ in range(5):
                eaten.append((yield ctx.wait_for_external_event("food")))
                clock.add(ctx.current_utc_datetime)
            return eaten

        await any_hub.work(hungry)
        instance_id = await any_hub.start(hungry)
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, OrchestrationStatus.SUSPENDED)
        for dish in range(5):
            await any_hub.client.raise_event(instance_id, "food", dish)
        await any_hub.client.resume_orchestration(instance_id)
        assert await any_hub.result(instance_id) == [0, 1, 2, 3, 4]
        assert len(clock) == 1, "what was kept back during the suspension came in one turn"

    async def test_coroutines_and_generators_give_the_same_history(
        self, any_hub: HubDriver
    ) -> None:
        """**async-body** The same calls leave the same history."""

        @task.orchestration(name="twin")
        def generator(ctx: task.OrchestrationContext, value: int) -> Body:
            value = yield ctx.call_activity(double, input=value)
            yield ctx.create_timer(SOON)
            values = yield task.when_all(
                [ctx.call_sub_orchestration(child, input=value + n) for n in range(2)]
            )
            try:
                yield ctx.wait_for_external_event("never", timeout=SOON)
            except TimeoutError:
                ctx.send_event("nobody", "late", data=values)
            return values

        @task.orchestration(name="twin")
        async def coroutine(ctx: task.OrchestrationContext, value: int) -> list[int]:
            value = await ctx.call_activity(double, input=value)
            await ctx.create_timer(SOON)
            values = await task.when_all(
                [ctx.call_sub_orchestration(child, input=value + n) for n in range(2)]
            )
            try:
                await ctx.wait_for_external_event("never", timeout=SOON)
            except TimeoutError:
                ctx.send_event("nobody", "late", data=values)
            return values

        kinds = []
        for twin in (generator, coroutine):
            worker = await any_hub.work(twin, child, double)
            instance_id = await any_hub.start("twin", 3)
            assert await any_hub.result(instance_id) == [7, 8]
            if any_hub.backend.capabilities.history:
                # How the two children's answers fall into turns is chance; what is asked is not.
                kinds.append(
                    [
                        type(event).__name__
                        for event in await any_hub.history(instance_id)
                        if type(event).__name__ != "OrchestratorStarted"
                    ]
                )
            await worker.stop()
        assert all(other == kinds[0] for other in kinds)

    async def test_a_foreign_await_is_explained(self, any_hub: HubDriver) -> None:
        """**async-body** Awaiting anything but a durable task is an error that says so."""

        @task.orchestration
        async def wrong(ctx: task.OrchestrationContext) -> None:
            await ctx.call_activity(double, input=1)
            await asyncio.sleep(0)

        await any_hub.work(wrong, double)
        state = await any_hub.run(wrong)
        assert state.runtime_status is FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by(TypeError)
        assert "durable tasks only" in state.failure_details.message

    async def test_no_control_flow_is_caught_by_users(self, any_hub: HubDriver) -> None:
        """**base-exception** ``except Exception`` sees nothing of evictions and endings."""
        caught: list[Exception] = []

        @task.orchestration
        def stubborn(ctx: task.OrchestrationContext) -> Body:
            while True:
                try:
                    yield ctx.wait_for_external_event("step")
                    ctx.set_custom_status("stepped")
                except Exception as error:
                    caught.append(error)

        await any_hub.work(stubborn)
        instance_id = await any_hub.start(stubborn)
        await any_hub.client.raise_event(instance_id, "step")
        await any_hub.shows(instance_id, "stepped")
        await any_hub.client.terminate_orchestration(instance_id)
        assert (await any_hub.finish(instance_id)).runtime_status is TERMINATED
        await any_hub.stop()
        assert caught == []

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_what_is_given_up_is_closed_and_deaf(
        self, any_hub: HubDriver, flavour: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**dispose** ``finally`` runs when the session ends, and its calls do nothing."""
        closed: list[str] = []
        ran: list[str] = []

        @task.activity
        def clean(ctx: task.ActivityContext) -> None:
            ran.append(ctx.orchestration_id)

        def last_words(ctx: task.OrchestrationContext) -> None:
            closed.append(ctx.instance_id)
            ctx.call_activity(clean)
            ctx.set_custom_status("closing")
            ctx.logger.error("closing")

        @task.orchestration(name="given_up")
        def generator(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.wait_for_external_event("never")
            finally:
                last_words(ctx)

        @task.orchestration(name="given_up")
        async def coroutine(ctx: task.OrchestrationContext) -> None:
            try:
                await ctx.wait_for_external_event("never")
            finally:
                last_words(ctx)

        body = generator if flavour == "generator" else coroutine
        await any_hub.work(body, clean)
        ended, left = [await any_hub.start("given_up") for _ in range(2)]
        for instance_id in (ended, left):
            await any_hub.reaches(instance_id, OrchestrationStatus.RUNNING)
        await any_hub.client.terminate_orchestration(ended)
        state = await any_hub.finish(ended)
        assert (state.runtime_status, state.custom_status) == (TERMINATED, None)
        await any_hub.stop()

        async def all_closed() -> bool:
            return set(closed) == {ended, left}

        await eventually(all_closed, "both orchestrators are closed with their worker")
        assert closed.count(left) == 1
        assert (await any_hub.state(left)).custom_status is None
        assert ran == []
        assert "closing" not in caplog.messages
        await any_hub.client.terminate_orchestration(left)

    async def test_a_living_finally_is_heard(self, any_hub: HubDriver) -> None:
        """**dispose** Only what is given up is deaf: an ordinary ``finally`` works as ever."""

        @task.orchestration
        def tidy(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_activity(double, input=1)
            finally:
                ctx.set_custom_status((yield ctx.call_activity(double, input=21)))

        await any_hub.work(tidy, double)
        state = await any_hub.run(tidy)
        assert state.custom_status == 42
