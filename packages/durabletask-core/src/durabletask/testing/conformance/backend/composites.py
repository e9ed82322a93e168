"""Composites: when_all, when_any, and cancelled tasks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durabletask import task
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["CompositeSuite"]

SOON = timedelta(milliseconds=10)
LONG = timedelta(days=400)


@pytest.mark.asyncio
class CompositeSuite(BackendFixtures):
    """Tasks made of tasks."""

    async def test_results_keep_the_order_of_the_list(self, any_hub: HubDriver) -> None:
        """**all-waits** Whatever finishes first; one task listed twice appears twice."""

        @task.orchestration
        def collecting(ctx: task.OrchestrationContext) -> Body:
            first, second, third = (ctx.wait_for_external_event(name) for name in "abc")
            return (yield task.when_all([third, first, second, third]))

        await any_hub.work(collecting)
        instance_id = await any_hub.start(collecting)
        for name in "bca":
            await any_hub.client.raise_event(instance_id, name, name.upper())
        assert await any_hub.result(instance_id) == ["C", "A", "B", "C"]

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_all_wait_for_all_then_the_first_failure_is_raised(
        self, any_hub: HubDriver, flavour: str
    ) -> None:
        """**all-waits** Every child is waited for; the first failure observed is raised."""
        gate = Gate()

        @task.activity
        async def guarded(ctx: task.ActivityContext, name: str) -> str:
            await gate.wait(name)
            raise ValueError(name)

        @task.orchestration(name="failing")
        def generator(ctx: task.OrchestrationContext) -> Body:
            late, early = (ctx.call_activity(guarded, input=name) for name in ("late", "early"))
            last = ctx.wait_for_external_event("last")
            everything = task.when_all([late, early, last])
            yield task.when_any([late, early])
            ctx.set_custom_status("one has failed")
            yield task.when_all([task.when_any([late]), task.when_any([early])])
            ctx.set_custom_status("two have failed")
            try:
                yield everything
            except task.TaskFailedError as error:
                return [error.details.message, last.is_complete]

        @task.orchestration(name="failing")
        async def coroutine(ctx: task.OrchestrationContext) -> object:
            late, early = (ctx.call_activity(guarded, input=name) for name in ("late", "early"))
            last = ctx.wait_for_external_event("last")
            everything = task.when_all([late, early, last])
            await task.when_any([late, early])
            ctx.set_custom_status("one has failed")
            await task.when_all([task.when_any([late]), task.when_any([early])])
            ctx.set_custom_status("two have failed")
            try:
                return await everything
            except task.TaskFailedError as error:
                return [error.details.message, last.is_complete]

        await any_hub.work(generator if flavour == "generator" else coroutine, guarded)
        instance_id = await any_hub.start("failing")
        gate.open("early")
        await any_hub.shows(instance_id, "one has failed")
        gate.open("late")
        await any_hub.shows(instance_id, "two have failed")
        await any_hub.client.raise_event(instance_id, "last")
        assert await any_hub.result(instance_id) == ["early", True]

    async def test_all_of_nothing(self, any_hub: HubDriver) -> None:
        """**all-empty** ``when_all([])`` gives ``[]`` at once."""

        @task.orchestration
        def nothing(ctx: task.OrchestrationContext) -> Body:
            now = ctx.current_utc_datetime
            found = yield task.when_all([])
            return [found, now == ctx.current_utc_datetime]

        await any_hub.work(nothing)
        assert await any_hub.result_of(nothing) == [[], True]

    async def test_any_of_nothing(self, any_hub: HubDriver) -> None:
        """**all-empty** ``when_any([])`` is a ValueError, which can be caught."""

        @task.orchestration
        def nothing(ctx: task.OrchestrationContext) -> Body:
            try:
                yield task.when_any([])
            except ValueError:
                yield ctx.create_timer(timedelta(0))
                return "refused"

        await any_hub.work(nothing)
        assert await any_hub.result_of(nothing) == "refused"

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_the_winner_is_the_task_itself(self, any_hub: HubDriver, flavour: str) -> None:
        """**any-winner** ``winner == approval`` works; yielding the winner gives its result."""

        @task.orchestration(name="approval")
        def generator(ctx: task.OrchestrationContext) -> Body:
            timer = ctx.create_timer(ctx.current_utc_datetime + LONG)
            approval = ctx.wait_for_external_event("ApprovalReceived")
            winner = yield task.when_any([timer, approval])
            if winner == approval:
                return (yield approval)

        @task.orchestration(name="approval")
        async def coroutine(ctx: task.OrchestrationContext) -> object:
            timer = ctx.create_timer(ctx.current_utc_datetime + LONG)
            approval = ctx.wait_for_external_event("ApprovalReceived")
            winner = await task.when_any([timer, approval])
            return await approval if winner == approval else None

        await any_hub.work(generator if flavour == "generator" else coroutine)
        instance_id = await any_hub.start("approval")
        await any_hub.client.raise_event(instance_id, "ApprovalReceived", {"approved": True})
        assert await any_hub.result(instance_id) == {"approved": True}

    async def test_a_failed_winner_raises_when_it_is_read(self, any_hub: HubDriver) -> None:
        """**any-winner** ``when_any`` never raises itself; yielding or reading the winner does."""

        @task.activity
        def broken(ctx: task.ActivityContext) -> None:
            raise ValueError("broken")

        @task.orchestration
        def racing(ctx: task.OrchestrationContext) -> Body:
            winner = yield task.when_any([ctx.call_activity(broken), ctx.create_timer(LONG)])
            said = []
            try:
                yield winner
            except task.TaskFailedError as error:
                said.append(error.details.message)
            try:
                winner.get_result()
            except task.TaskFailedError as error:
                said.append(error.details.message)
            return said

        await any_hub.work(racing, broken)
        assert await any_hub.result_of(racing) == ["broken", "broken"]

    async def test_the_first_in_the_list_wins_among_the_finished(self, any_hub: HubDriver) -> None:
        """**any-winner** Of several already finished, the first in list order wins."""

        @task.orchestration
        def racing(ctx: task.OrchestrationContext) -> Body:
            events = [ctx.wait_for_external_event(name) for name in "abc"]
            yield task.when_all(events)
            winner = yield task.when_any([ctx.create_timer(LONG), events[2], events[0]])
            return winner is events[2]

        await any_hub.work(racing)
        instance_id = await any_hub.start(racing)
        for name in "abc":
            await any_hub.client.raise_event(instance_id, name)
        assert await any_hub.result(instance_id) is True

    async def test_losers_are_not_waited_for(self, any_hub: HubDriver) -> None:
        """**any-winner** The instance completes with timers and activities outstanding."""
        gate = Gate()

        @task.activity
        async def slow(ctx: task.ActivityContext) -> None:
            await gate.wait("slow")

        @task.orchestration
        def racing(ctx: task.OrchestrationContext) -> Body:
            tasks = [ctx.call_activity(slow), ctx.create_timer(LONG), ctx.create_timer(SOON)]
            winner = yield task.when_any(tasks)
            return tasks.index(winner)

        await any_hub.work(racing, slow)
        assert await any_hub.result_of(racing) == 2
        gate.open("slow")

    async def test_composites_nest_and_share(self, any_hub: HubDriver) -> None:
        """**any-winner**, **all-waits** Composites are tasks, and tasks may be in several."""

        @task.orchestration
        def nested(ctx: task.OrchestrationContext) -> Body:
            one, two, three = (ctx.wait_for_external_event(name) for name in "abc")
            pair = task.when_all([one, two])
            winner = yield task.when_any([pair, task.when_all([pair, three])])
            together = yield task.when_all([pair, three])
            return [winner is pair, together]

        await any_hub.work(nested)
        instance_id = await any_hub.start(nested)
        for value, name in enumerate("bac"):
            await any_hub.client.raise_event(instance_id, name, value)
        assert await any_hub.result(instance_id) == [True, [[1, 0], 2]]

    async def test_cancelling(self, any_hub: HubDriver) -> None:
        """**cancel** True once, False when finished; reading a cancelled task throws inside."""

        @task.orchestration
        def cancelling(ctx: task.OrchestrationContext) -> Body:
            timer, event = ctx.create_timer(LONG), ctx.wait_for_external_event("never")
            done = ctx.create_timer(timedelta(0))
            yield done
            answers = [timer.cancel(), event.cancel(), timer.cancel(), event.cancel()]
            answers.append(done.cancel())
            caught = 0
            for cancelled in (timer, event, task.when_all([timer, done])):
                try:
                    yield cancelled
                except task.TaskCancelledError:
                    caught += 1
            return [answers, caught, timer.is_cancelled, done.is_cancelled]

        await any_hub.work(cancelling)
        found = await any_hub.result_of(cancelling)
        assert found == [[True, True, False, False, False], 3, True, False]

    async def test_a_cancelled_wait_takes_no_event(self, any_hub: HubDriver) -> None:
        """**cancel** The event goes to the next waiter."""

        @task.orchestration
        def waiting(ctx: task.OrchestrationContext) -> Body:
            first, second = (ctx.wait_for_external_event("e") for _ in range(2))
            first.cancel()
            ctx.set_custom_status("cancelled")
            return (yield second)

        await any_hub.work(waiting)
        instance_id = await any_hub.start(waiting)
        await any_hub.shows(instance_id, "cancelled")
        await any_hub.client.raise_event(instance_id, "e", "kept")
        assert await any_hub.result(instance_id) == "kept"
