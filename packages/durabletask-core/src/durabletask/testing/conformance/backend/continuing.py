"""continue_as_new."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.history import ExecutionStarted
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["ContinuingSuite"]

SOON = timedelta(milliseconds=10)


@task.activity(inline=True)
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@task.orchestration
def taker(ctx: task.OrchestrationContext, taken: list[Any]) -> Body:
    """Takes one event per execution, until it has taken "stop"."""
    value = yield ctx.wait_for_external_event("e")
    if value == "stop":
        return taken
    ctx.continue_as_new([*taken, value], save_events=True)


@pytest.mark.asyncio
class ContinuingSuite(BackendFixtures):
    """One execution after another."""

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_it_goes_on_with_the_new_input(self, any_hub: HubDriver, flavour: str) -> None:
        """**can-ends** The new execution has the new input; the return value is ignored."""

        @task.orchestration(name="counting")
        def generator(ctx: task.OrchestrationContext, n: int) -> Body:
            yield ctx.call_activity(echo, input=n)
            if n < 5:
                ctx.continue_as_new(n + 1)
                return "ignored"
            return n

        @task.orchestration(name="counting")
        async def coroutine(ctx: task.OrchestrationContext, n: int) -> Any:
            await ctx.call_activity(echo, input=n)
            if n < 5:
                ctx.continue_as_new(n + 1)
                return "ignored"
            return n

        await any_hub.work(generator if flavour == "generator" else coroutine, echo)
        state = await any_hub.run("counting", 1)
        assert state.result == 5
        assert state.input == 5

    async def test_it_ends_at_the_next_yield(self, any_hub: HubDriver) -> None:
        """**can-ends** What was scheduled in the turn is still sent; later calls are ignored."""
        ran: list[str] = []

        @task.activity(inline=True)
        def note(ctx: task.ActivityContext, what: str) -> None:
            ran.append(what)

        @task.orchestration
        def ending(ctx: task.OrchestrationContext, generation: int) -> Body:
            if generation:
                yield ctx.wait_for_external_event("sent before")
                yield ctx.call_activity(note, input="second life")
                return "done"
            ctx.call_activity(note, input="before")
            ctx.send_event(ctx.instance_id, "sent before")
            ctx.continue_as_new(1)
            ctx.continue_as_new(2)
            ctx.call_activity(note, input="after")
            ctx.set_custom_status("after")
            yield ctx.call_activity(note, input="after")
            ran.append("body went on")

        await any_hub.work(ending, note)
        state = await any_hub.run(ending, 0)
        assert (state.result, state.input, state.custom_status) == ("done", 1, None)

        async def all_ran() -> bool:
            return sorted(ran) == ["before", "second life"]

        await eventually(all_ran, "the activity scheduled before continue_as_new runs too")

    async def test_it_begins_afresh(self, any_hub: HubDriver) -> None:
        """**can-fresh** Same id, tags and parent; new execution, numbers; custom status cleared."""
        seen: list[tuple[Any, ...]] = []

        @task.orchestration
        def reborn(ctx: task.OrchestrationContext, generation: int) -> Body:
            number = yield ctx.call_activity(number_of_call)
            if not ctx.is_replaying:
                seen.append(
                    (ctx.instance_id, dict(ctx.tags), ctx.parent_instance_id, ctx.version, number)
                )
                executions.append(ctx.execution_id)
                clock.append(ctx.current_utc_datetime)
            if generation == 0:
                ctx.set_custom_status("first life")
                yield ctx.create_timer(timedelta(0))
                ctx.continue_as_new(1)
                return
            yield ctx.wait_for_external_event("end")

        @task.activity(inline=True)
        def number_of_call(ctx: task.ActivityContext) -> int:
            return ctx.task_id

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_sub_orchestration(
                reborn, input=0, instance_id="child", tags={"team": "red"}, version="1.5"
            )
            return "parent heard of the end"

        executions: list[str] = []
        clock: list[Any] = []
        await any_hub.work(reborn, parent, number_of_call)
        parent_id = await any_hub.start(parent)

        async def lived_twice() -> bool:
            return len(seen) == 2

        await eventually(lived_twice, "the second execution has begun")
        assert seen == [("child", {"team": "red"}, parent_id, "1.5", 1)] * 2
        assert len(set(executions)) == 2
        assert clock == sorted(clock)
        state = await any_hub.reaches("child", OrchestrationStatus.RUNNING)
        assert (state.custom_status, state.tags) == (None, {"team": "red"})
        assert (state.execution_id, state.parent_instance_id) == (executions[1], parent_id)
        if any_hub.backend.capabilities.history:
            history = await any_hub.history("child")
            [started] = [event for event in history if isinstance(event, ExecutionStarted)]
            assert started.execution_id == executions[1], "the old history is gone"
        await any_hub.client.raise_event("child", "end")
        assert await any_hub.result(parent_id) == "parent heard of the end"

    @pytest.mark.parametrize("called", ["in the last turn", "before"])
    async def test_late_results_stay_with_the_old_execution(
        self, any_hub: HubDriver, called: str
    ) -> None:
        """**can-fresh** A late completion for the old execution never matches the new one."""
        gate = Gate()

        @task.activity
        async def slow(ctx: task.ActivityContext, name: str) -> str:
            await gate.wait(name)
            return name

        @task.orchestration
        def hasty(ctx: task.OrchestrationContext, generation: str) -> Body:
            call = ctx.call_activity(slow, input=generation)
            timer = ctx.create_timer(SOON)
            if generation == "old":
                if called == "before":
                    yield ctx.create_timer(timedelta(0))
                ctx.continue_as_new("new")
                return
            yield timer
            ctx.set_custom_status("new life")
            return (yield call)

        await any_hub.work(hasty, slow)
        instance_id = await any_hub.start(hasty, "old")
        await any_hub.shows(instance_id, "new life")
        gate.open("old")
        await any_hub.client.raise_event(instance_id, "anything")
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, OrchestrationStatus.SUSPENDED)
        await any_hub.client.resume_orchestration(instance_id)
        gate.open("new")
        assert await any_hub.result(instance_id) == "new"

    async def test_late_children_stay_with_the_old_execution(self, any_hub: HubDriver) -> None:
        """**can-fresh** So it is with the outcome of a child, though its number comes again."""

        @task.orchestration
        def slow(ctx: task.OrchestrationContext) -> Body:
            return (yield ctx.wait_for_external_event("end"))

        @task.orchestration
        def hasty(ctx: task.OrchestrationContext, generation: str) -> Body:
            child = ctx.call_sub_orchestration(slow, instance_id=f"child of the {generation}")
            if generation == "old":
                ctx.continue_as_new("new")
                return
            ctx.set_custom_status("new life")
            return (yield child)

        await any_hub.work(hasty, slow)
        instance_id = await any_hub.start(hasty, "old")
        await any_hub.shows(instance_id, "new life")
        for generation in ("old", "new"):
            child_id = f"child of the {generation}"
            await any_hub.client.raise_event(child_id, "end", generation)
            assert await any_hub.result(child_id) == generation
        assert await any_hub.result(instance_id) == "new"

    async def test_a_suspension_holds_for_what_follows(self, any_hub: HubDriver) -> None:
        """**can-events** A suspension that comes with the last event holds, until the resume."""

        @task.orchestration
        def relay(ctx: task.OrchestrationContext, generation: int) -> Body:
            if generation == 0:
                yield ctx.wait_for_external_event("go")
                ctx.continue_as_new(1)
                return
            yield ctx.wait_for_external_event("end")
            return "resumed"

        instance_id = await any_hub.start(relay, 0)
        await any_hub.client.raise_event(instance_id, "go")
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.work(relay)
        await any_hub.reaches(instance_id, OrchestrationStatus.SUSPENDED)
        await any_hub.client.raise_event(instance_id, "end")
        with pytest.raises(TimeoutError):
            await any_hub.client.wait_for_orchestration_completion(instance_id, timeout=0.1)
        await any_hub.client.resume_orchestration(instance_id)
        assert await any_hub.result(instance_id) == "resumed"

    async def test_saved_events_come_first_and_in_order(self, any_hub: HubDriver) -> None:
        """**can-events** Unconsumed events carry over in arrival order, ahead of later ones."""
        instance_id = await any_hub.start(taker, [])
        for value in range(6):
            await any_hub.client.raise_event(instance_id, "e", value)
        await any_hub.work(taker)
        for value in [*range(6, 10), "stop"]:
            await any_hub.client.raise_event(instance_id, "e", value)
        assert await any_hub.result(instance_id) == list(range(10))

    async def test_order_is_kept_across_names(self, any_hub: HubDriver) -> None:
        """**can-events** The order is that of arrival, whatever the names."""

        @task.orchestration
        def saving(ctx: task.OrchestrationContext, generation: int) -> Body:
            if generation < 2:
                yield ctx.wait_for_external_event(f"go {generation}")
                ctx.continue_as_new(generation + 1, save_events=True)
                return
            waits = {name: ctx.wait_for_external_event(name) for name in "abc"}
            order = []
            while waits:
                winner = yield task.when_any(list(waits.values()))
                order.append(winner.name)
                del waits[winner.name]
            return order

        await any_hub.work(saving)
        instance_id = await any_hub.start(saving, 0)
        for name in ["c", "go 1", "a", "go 0", "b"]:
            await any_hub.client.raise_event(instance_id, name)
        assert sorted(await any_hub.result(instance_id)) == ["a", "b", "c"]

    async def test_events_not_saved_are_dropped(self, any_hub: HubDriver) -> None:
        """**can-events** Without ``save_events`` what is unconsumed goes; later events stay."""

        @task.orchestration
        def forgetful(ctx: task.OrchestrationContext, generation: int) -> Body:
            if generation == 0:
                yield ctx.wait_for_external_event("go")
                ctx.continue_as_new(1)
                return
            ctx.set_custom_status("second life")
            return (yield ctx.wait_for_external_event("e"))

        await any_hub.work(forgetful)
        instance_id = await any_hub.start(forgetful, 0)
        await any_hub.client.raise_event(instance_id, "e", "old")
        await any_hub.client.raise_event(instance_id, "go")
        await any_hub.shows(instance_id, "second life")
        await any_hub.client.raise_event(instance_id, "e", "new")
        assert await any_hub.result(instance_id) == "new"

    async def test_the_end_between_is_not_seen(
        self, any_hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**can-wait** A client waiting for completion never sees the intermediate end."""

        @task.orchestration
        def relay(ctx: task.OrchestrationContext, n: int) -> Body:
            yield ctx.call_activity(echo, input=n)
            if n == 20:
                return "the very end"
            ctx.continue_as_new(n + 1)

        await any_hub.work(relay, echo)
        ids = [await any_hub.start(relay, 0) for _ in range(3)]
        for instance_id in ids:
            assert await other_hub.result(instance_id) == "the very end"

    async def test_an_endless_loop_lets_others_run(self, any_hub: HubDriver) -> None:
        """**can-loop** Others run beside it, and its storage does not grow."""
        turns = 0

        @task.orchestration
        def spinning(ctx: task.OrchestrationContext, n: int) -> None:
            nonlocal turns
            turns += 1
            ctx.continue_as_new(n + 1)

        @task.orchestration
        def modest(ctx: task.OrchestrationContext) -> Body:
            for step in range(5):
                yield ctx.call_activity(echo, input=step)
            return "had its turn"

        await any_hub.work(spinning, modest, echo)
        spinner = await any_hub.start(spinning, 0)
        assert await any_hub.result_of(modest) == "had its turn"
        before = turns

        async def spun_on() -> bool:
            return turns > before + 50

        await eventually(spun_on, "the loop goes on")
        if any_hub.backend.capabilities.history:
            assert len(await any_hub.history(spinner)) < 10
        await any_hub.client.terminate_orchestration(spinner, "enough")
        state = await any_hub.finish(spinner)
        assert (state.runtime_status, state.result) == (OrchestrationStatus.TERMINATED, "enough")

    async def test_an_exception_afterwards_still_fails(self, any_hub: HubDriver) -> None:
        """**can-ends** An error raised after the call is not lost."""

        @task.orchestration
        def broken(ctx: task.OrchestrationContext) -> None:
            ctx.continue_as_new(1)
            raise ValueError("after all")

        await any_hub.work(broken)
        state = await any_hub.run(broken)
        assert state.runtime_status is OrchestrationStatus.FAILED
