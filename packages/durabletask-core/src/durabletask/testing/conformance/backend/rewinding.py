"""Rewinding: a failed instance goes on from before it failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.errors import CapabilityError, InstanceNotFoundError, OrchestrationStateError
from durabletask.history import ExecutionCompleted, ExecutionRewound, TaskFailed, TimerCreated
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["RewindSuite"]


class World:
    """What the activities of a test meet outside: what is broken there, and what was done.

    Attributes:
        broken: inputs with which the activity ``act`` fails.
        done: how often it was called with each input, failures included.
        keys: the idempotency keys that it showed with each input.
    """

    def __init__(self, *broken: str) -> None:
        self.broken = {*broken}
        self.done: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}

    def mend(self) -> None:
        """From now on everything works, and the counting begins anew."""
        self.broken.clear()
        self.done.clear()

    def activity(self) -> Any:
        """The activity, under the name ``act``."""

        @task.activity(name="act", inline=True)
        def act(ctx: task.ActivityContext, what: str) -> str:
            self.done[what] += 1
            self.keys.setdefault(what, set()).add(ctx.idempotency_key)
            if what in self.broken:
                raise ConnectionError(f"no {what}")
            return what

        return act


@task.orchestration
def steps(ctx: task.OrchestrationContext, names: list[str]) -> Body:
    """One after the other."""
    done = []
    for name in names:
        done.append((yield ctx.call_activity("act", input=name)))
    return done


@task.orchestration
def family(ctx: task.OrchestrationContext, members: list[list[str]]) -> Body:
    """A child for each list, all at once."""
    token = ctx.new_uuid().hex
    children = [
        ctx.call_sub_orchestration(steps, input=names, instance_id=f"{ctx.instance_id}-{names[0]}")
        for names in members
    ]
    return [(yield task.when_all(children)), token == ctx.instance_id]


@task.orchestration
def clan(ctx: task.OrchestrationContext, members: list[list[str]]) -> Body:
    """A family one floor deeper."""
    return (yield ctx.call_sub_orchestration(family, input=members))


@task.orchestration
def wide(ctx: task.OrchestrationContext, names: list[str]) -> Body:
    """All at once, each tried twice."""
    policy = task.RetryPolicy(timedelta(0), 2)
    calls = [ctx.call_activity("act", input=name, retry_policy=policy) for name in names]
    return (yield task.when_all(calls))


@task.orchestration
def booking(ctx: task.OrchestrationContext) -> Body:
    """Compensates for what it could not do, with a child, and fails."""
    yield ctx.call_activity("act", input="book")
    try:
        yield ctx.call_activity("act", input="pay")
    except task.TaskFailedError:
        yield ctx.call_sub_orchestration(steps, input=["unbook"], instance_id="desk")
        raise
    return (yield ctx.call_sub_orchestration(steps, input=["ship"], instance_id="desk"))


@task.orchestration
def patient(ctx: task.OrchestrationContext) -> Body:
    """Waits beside its work for two events and a time."""
    timer = ctx.create_timer(timedelta(milliseconds=200))
    early, late = ctx.wait_for_external_event("early"), ctx.wait_for_external_event("late")
    done = yield ctx.call_activity("act", input="work")
    yield timer
    return [done, (yield early), (yield late)]


@pytest.mark.asyncio
class RewindSuite(BackendFixtures):
    """What ``rewind_orchestration`` does to failed instances, and to none else."""

    async def fail(self, hub: HubDriver, body: Any, input: Any = None, **options: Any) -> str:
        """The id of an instance that has failed."""
        instance_id = await hub.start(body, input, **options)
        state = await hub.finish(instance_id)
        assert state.runtime_status is OrchestrationStatus.FAILED
        return instance_id

    async def test_what_had_failed_runs_again(self, any_hub: HubDriver) -> None:
        """**rewind** The failed activity runs again, and what had succeeded does not."""
        self.require(any_hub.backend, "rewind")
        world = World("b")
        await any_hub.work(steps, world.activity())
        instance_id = await self.fail(any_hub, steps, ["a", "b", "c"], tags={"k": "v"})
        before = await any_hub.state(instance_id)
        world.mend()
        await any_hub.client.rewind_orchestration(instance_id, reason="b is back")
        assert await any_hub.result(instance_id) == ["a", "b", "c"]
        assert world.done == {"b": 1, "c": 1}
        state = await any_hub.state(instance_id)
        assert (state.failure_details, state.tags) == (None, {"k": "v"})
        assert state.created_at == before.created_at
        assert state.execution_id != before.execution_id

    async def test_the_history_tells_of_it(self, hub: HubDriver) -> None:
        """**rewind** Failure and end are gone; when and why it was rewound is there."""
        self.require(hub.backend, "rewind")
        self.require(hub.backend, "history")
        world = World("b")
        await hub.work(steps, world.activity())
        instance_id = await self.fail(hub, steps, ["a", "b"])
        world.mend()
        await hub.client.rewind_orchestration(instance_id, reason="b is back")
        await hub.result(instance_id)
        history = await hub.history(instance_id)
        [told] = [event for event in history if isinstance(event, ExecutionRewound)]
        assert told.reason == "b is back"
        assert not any(isinstance(event, TaskFailed) for event in history)
        [end] = [event for event in history if isinstance(event, ExecutionCompleted)]
        assert end.status == "COMPLETED"

    async def test_only_failed_instances_are_rewound(self, hub: HubDriver) -> None:
        """**rewind** From FAILED only."""
        self.require(hub.backend, "rewind")
        await hub.work(steps, patient, World().activity())
        done = await hub.start(steps, ["a"])
        await hub.result(done)
        running = await hub.start(patient)
        ended = await hub.start(patient)
        await hub.client.terminate_orchestration(ended)
        await hub.finish(ended)
        for instance_id in (done, running, ended):
            with pytest.raises(OrchestrationStateError, match=instance_id):
                await hub.client.rewind_orchestration(instance_id)
        with pytest.raises(InstanceNotFoundError, match="nobody"):
            await hub.client.rewind_orchestration("nobody")
        assert (await hub.state(done)).runtime_status is OrchestrationStatus.COMPLETED

    async def test_those_that_cannot_say_so(self, hub: HubDriver) -> None:
        """**rewind** A backend without it refuses, and does nothing."""
        if hub.backend.capabilities.rewind:
            return
        world = World("a")
        await hub.work(steps, world.activity())
        instance_id = await self.fail(hub, steps, ["a"])
        with pytest.raises(CapabilityError, match="rewind"):
            await hub.client.rewind_orchestration(instance_id)
        assert (await hub.state(instance_id)).runtime_status is OrchestrationStatus.FAILED

    async def test_failed_children_are_rewound_with_their_parent(self, any_hub: HubDriver) -> None:
        """**rewind** Children included, to any depth; those that succeeded stay as they are."""
        self.require(any_hub.backend, "rewind")
        world = World("b2", "c1")
        await any_hub.work(steps, family, clan, world.activity())
        members = [["a1", "a2"], ["b1", "b2", "b3"], ["c1", "c2"]]
        instance_id = await self.fail(any_hub, clan, members)
        world.mend()
        await any_hub.client.rewind_orchestration(instance_id)
        assert await any_hub.result(instance_id) == [members, False]
        assert world.done == {"b2": 1, "b3": 1, "c1": 1, "c2": 1}

    async def test_a_purged_child_begins_again(self, hub: HubDriver) -> None:
        """**rewind** Of a failed child that is gone the parent still knows what it was to do."""
        self.require(hub.backend, "rewind")
        world = World("a2")
        await hub.work(steps, family, world.activity())
        instance_id = await self.fail(hub, family, [["a1", "a2"]], instance_id="parent")
        await hub.client.purge_orchestration("parent-a1")
        world.mend()
        await hub.client.rewind_orchestration(instance_id)
        assert (await hub.result(instance_id))[0] == [["a1", "a2"]]
        assert world.done == {"a1": 1, "a2": 1}
        assert (await hub.state("parent-a1")).parent_instance_id == instance_id

    async def test_a_terminated_child_begins_again(self, hub: HubDriver) -> None:
        """**rewind** A terminated child is a failed call, and runs again from the start."""
        self.require(hub.backend, "rewind")
        world = World()
        worker = await hub.work(family, world.activity())
        instance_id = await hub.start(family, [["a"]], instance_id="parent")

        async def child() -> Any:
            return await hub.client.get_orchestration_state("parent-a")

        await eventually(child, "the child exists")
        await hub.client.terminate_orchestration("parent-a")
        assert (await hub.finish(instance_id)).runtime_status is OrchestrationStatus.FAILED
        await hub.work(steps)
        await hub.client.rewind_orchestration(instance_id)
        assert (await hub.result(instance_id))[0] == [["a"]]
        await worker.stop()

    async def test_a_child_that_was_mended_alone_counts(self, hub: HubDriver) -> None:
        """**rewind** Its parent takes the result that it has by now."""
        self.require(hub.backend, "rewind")
        world = World("a")
        await hub.work(steps, family, world.activity())
        instance_id = await self.fail(hub, family, [["a"]], instance_id="parent")
        world.mend()
        await hub.client.rewind_orchestration("parent-a")
        assert await hub.result("parent-a") == ["a"]
        assert (await hub.state(instance_id)).runtime_status is OrchestrationStatus.FAILED
        await hub.client.rewind_orchestration(instance_id)
        assert (await hub.result(instance_id))[0] == [["a"]]
        assert world.done == {"a": 1}

    async def test_a_child_that_still_runs_is_in_the_way(self, hub: HubDriver) -> None:
        """**rewind** The parent would wait for it in vain, so this is refused until it is over."""
        self.require(hub.backend, "rewind")
        world = World("a")

        @task.orchestration
        def two(ctx: task.OrchestrationContext) -> Body:
            slow = ctx.call_sub_orchestration(waiting, instance_id="slow")
            yield ctx.call_activity("act", input="a")
            return (yield slow)

        @task.orchestration
        def waiting(ctx: task.OrchestrationContext) -> Body:
            return (yield ctx.wait_for_external_event("go"))

        await hub.work(two, waiting, world.activity())
        instance_id = await self.fail(hub, two)
        world.mend()
        with pytest.raises(OrchestrationStateError, match="slow"):
            await hub.client.rewind_orchestration(instance_id)
        await hub.client.raise_event("slow", "go", 7)
        await hub.result("slow")
        await hub.client.rewind_orchestration(instance_id)
        assert await hub.result(instance_id) == 7

    async def test_retried_activities_are_tried_once_more(self, any_hub: HubDriver) -> None:
        """**rewind** The attempts so far stay in history, so replay finds what it expects."""
        self.require(any_hub.backend, "rewind")
        world = World("b", "d")
        await any_hub.work(wide, world.activity())
        instance_id = await self.fail(any_hub, wide, ["a", "b", "c", "d"])
        assert world.done == {"a": 1, "b": 2, "c": 1, "d": 2}
        world.done.clear()
        await any_hub.client.rewind_orchestration(instance_id)
        assert (await any_hub.finish(instance_id)).runtime_status is OrchestrationStatus.FAILED
        assert world.done == {"b": 1, "d": 1}
        world.mend()
        await any_hub.client.rewind_orchestration(instance_id)
        assert await any_hub.result(instance_id) == ["a", "b", "c", "d"]
        assert world.done == {"b": 1, "d": 1}

    async def test_compensations_are_taken_back(self, any_hub: HubDriver) -> None:
        """**rewind** What was done because of the failure is no part of the new history.

        Nor in the way of it: the same id may be used for another child.
        """
        self.require(any_hub.backend, "rewind")
        world = World("pay")
        await any_hub.work(booking, steps, world.activity())
        instance_id = await self.fail(any_hub, booking)
        assert world.done == {"book": 1, "pay": 1, "unbook": 1}
        world.mend()
        await any_hub.client.rewind_orchestration(instance_id)
        assert await any_hub.result(instance_id) == ["ship"]
        assert world.done == {"pay": 1, "ship": 1}

    async def test_the_call_stays_the_same_call(self, hub: HubDriver) -> None:
        """**rewind** So the activity has the idempotency key that it had."""
        self.require(hub.backend, "rewind")
        world = World("b")
        await hub.work(steps, world.activity())
        instance_id = await self.fail(hub, steps, ["a", "b"])
        for _ in range(2):
            await hub.client.rewind_orchestration(instance_id)
            await hub.finish(instance_id)
        world.mend()
        await hub.client.rewind_orchestration(instance_id)
        await hub.result(instance_id)
        assert len(world.keys["b"]) == 1
        assert world.keys["a"] != world.keys["b"]

    async def test_events_and_timers_go_on(self, any_hub: HubDriver) -> None:
        """**rewind** What came in stays, and what was waited for is still waited for."""
        self.require(any_hub.backend, "rewind")
        world = World("work")
        worker = await any_hub.work(patient)
        instance_id = await any_hub.start(patient)
        await any_hub.client.raise_event(instance_id, "early", 1)
        await any_hub.reaches(instance_id, OrchestrationStatus.RUNNING)
        await any_hub.work(world.activity())
        assert (await any_hub.finish(instance_id)).runtime_status is OrchestrationStatus.FAILED
        world.mend()
        await any_hub.client.rewind_orchestration(instance_id)
        await any_hub.client.raise_event(instance_id, "late", 2)
        assert await any_hub.result(instance_id) == ["work", 1, 2]
        await worker.stop()

    async def test_a_mistake_in_the_code_is_mended(self, hub: HubDriver) -> None:
        """**rewind** The end goes, and what workers have now is replayed."""
        self.require(hub.backend, "rewind")

        @task.orchestration(name="buggy")
        def buggy(ctx: task.OrchestrationContext) -> Body:
            done = yield ctx.call_activity("act", input="a")
            raise ValueError(done)

        @task.orchestration(name="buggy")
        def mended(ctx: task.OrchestrationContext) -> Body:
            done = yield ctx.call_activity("act", input="a")
            return [done, (yield ctx.call_activity("act", input="b"))]

        world = World()
        worker = await hub.work(buggy, world.activity())
        instance_id = await self.fail(hub, buggy)
        await worker.stop()
        await hub.work(mended, world.activity())
        await hub.client.rewind_orchestration(instance_id)
        assert await hub.result(instance_id) == ["a", "b"]
        assert world.done == {"a": 1, "b": 1}

    async def test_a_failure_in_the_first_turn(self, hub: HubDriver) -> None:
        """**rewind** Nothing is left, and the instance begins again with its input."""
        self.require(hub.backend, "rewind")
        broken = True

        @task.orchestration
        def early(ctx: task.OrchestrationContext, value: int) -> int:
            if broken:
                raise ValueError("a bug")
            return value

        await hub.work(early)
        instance_id = await self.fail(hub, early, 5, version="2")
        broken = False
        await hub.client.rewind_orchestration(instance_id)
        state = await hub.finish(instance_id)
        assert (state.result, state.version) == (5, "2")

    async def test_of_many_at_once_one_wins(self, hub: HubDriver) -> None:
        """**rewind** The others find it running; it runs once."""
        self.require(hub.backend, "rewind")
        world = World("b")
        await hub.work(steps, family, world.activity())
        instance_id = await self.fail(hub, family, [["a", "b"], ["c"]])
        await hub.stop()
        world.mend()
        outcomes = await asyncio.gather(
            *(hub.client.rewind_orchestration(instance_id) for _ in range(5)),
            return_exceptions=True,
        )
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, OrchestrationStateError) for outcome in outcomes) == 4
        await hub.work(steps, family, world.activity())
        assert (await hub.result(instance_id))[0] == [["a", "b"], ["c"]]
        assert world.done == {"b": 1}

    async def test_timers_of_retries_are_not_made_twice(self, hub: HubDriver) -> None:
        """**rewind** History grows by what runs again and by nothing else."""
        self.require(hub.backend, "rewind")
        self.require(hub.backend, "history")
        world = World("a")
        await hub.work(wide, world.activity())
        instance_id = await self.fail(hub, wide, ["a"])
        world.mend()
        await hub.client.rewind_orchestration(instance_id)
        await hub.result(instance_id)
        history = await hub.history(instance_id)
        assert sum(isinstance(event, TimerCreated) for event in history) == 1
        assert sum(isinstance(event, TaskFailed) for event in history) == 1
