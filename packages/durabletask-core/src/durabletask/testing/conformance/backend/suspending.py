"""Suspending and resuming."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.errors import InstanceNotFoundError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["SuspendSuite"]

RUNNING = OrchestrationStatus.RUNNING
SUSPENDED = OrchestrationStatus.SUSPENDED
SOON = timedelta(milliseconds=10)


@task.orchestration
def collecting(ctx: task.OrchestrationContext, count: int) -> Body:
    """Takes so many events and shows at once what it has."""
    taken: list[Any] = []
    while len(taken) < count:
        taken.append((yield ctx.wait_for_external_event("e")))
        ctx.set_custom_status(taken)
    return taken


@pytest.mark.asyncio
class SuspendSuite(BackendFixtures):
    """What is suspended keeps all that arrives."""

    async def test_what_comes_during_a_suspension_is_kept_in_order(
        self, any_hub: HubDriver
    ) -> None:
        """**suspend** Everything is buffered in order; resume replays the buffer in order."""
        await any_hub.work(collecting)
        client = any_hub.client
        instance_id = await any_hub.start(collecting, 5)
        await client.raise_event(instance_id, "e", 0)
        await any_hub.shows(instance_id, [0])
        await client.suspend_orchestration(instance_id, "maintenance")
        await any_hub.reaches(instance_id, SUSPENDED)
        for value in range(1, 5):
            await client.raise_event(instance_id, "e", value)
            assert (await any_hub.state(instance_id)).custom_status == [0]
        assert (await any_hub.state(instance_id)).runtime_status is SUSPENDED
        await client.resume_orchestration(instance_id, "done")
        assert await any_hub.result(instance_id) == [0, 1, 2, 3, 4]

    async def test_results_and_timers_wait_for_resume(self, any_hub: HubDriver) -> None:
        """**suspend** Outcomes of activities, children and timers are buffered as events are."""
        gate = Gate()
        ended: list[str] = []

        @task.activity
        async def slow(ctx: task.ActivityContext) -> str:
            await gate.wait("go")
            ended.append("activity")
            return "activity"

        @task.orchestration
        def child(ctx: task.OrchestrationContext) -> Body:
            result = yield ctx.call_activity(slow)
            ended.append("child")
            return result

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            results = yield task.when_all(
                [
                    ctx.call_activity(slow),
                    ctx.call_sub_orchestration(child),
                    ctx.create_timer(5 * SOON),
                ]
            )
            return results[:2]

        await any_hub.work(parent, child, slow)
        instance_id = await any_hub.start(parent)
        await any_hub.reaches(instance_id, RUNNING)
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, SUSPENDED)
        gate.open("go")

        async def all_ended() -> bool:
            return ended.count("activity") == 2 and "child" in ended

        await eventually(all_ended, "the activities and the child go on during the suspension")
        with pytest.raises(TimeoutError):
            await any_hub.client.wait_for_orchestration_completion(instance_id, timeout=0.2)
        assert (await any_hub.state(instance_id)).runtime_status is SUSPENDED
        await any_hub.client.resume_orchestration(instance_id)
        assert await any_hub.result(instance_id) == ["activity", "activity"]

    async def test_suspending_twice_is_suspending_once(self, any_hub: HubDriver) -> None:
        """**suspend** A second suspend is a no-op: one resume ends it. So is a second resume."""
        await any_hub.work(collecting)
        instance_id = await any_hub.start(collecting, 2)
        for _ in range(2):
            await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, SUSPENDED)
        for _ in range(2):
            await any_hub.client.resume_orchestration(instance_id)
        await any_hub.reaches(instance_id, RUNNING)
        for value in range(2):
            await any_hub.client.raise_event(instance_id, "e", value)
        assert await any_hub.result(instance_id) == [0, 1]

    async def test_nobody_to_operate_on(self, hub: HubDriver) -> None:
        """**suspend** Unknown: InstanceNotFoundError. Finished: accepted, and nothing happens."""
        await hub.work(collecting)
        done = await hub.start(collecting, 0)
        before = await hub.finish(done)
        for operation in (
            hub.client.suspend_orchestration,
            hub.client.resume_orchestration,
            hub.client.terminate_orchestration,
        ):
            with pytest.raises(InstanceNotFoundError, match="nobody"):
                await operation("nobody")
            await operation(done)
        assert await hub.result_of(collecting, 0) == []
        assert await hub.state(done) == before
