"""Code that has changed since an instance began."""

from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import eventually

from .scene import PATIENCE, Workers, double, result_of


@task.orchestration(name="changing")
def old_code(ctx: task.OrchestrationContext):
    """Calls an activity, then waits."""
    yield ctx.call_activity(double, input=1)
    return (yield ctx.wait_for_external_event("go"))


@task.orchestration(name="changing")
def new_code(ctx: task.OrchestrationContext):
    """Waits for a timer instead."""
    yield ctx.create_timer(timedelta(milliseconds=1))
    return (yield ctx.wait_for_external_event("go"))


@pytest.mark.asyncio
class TestChangedCode:
    """**replay-park** An instance whose code has changed is set aside, or fails if so wished."""

    async def begin(self, client: TaskHubClient, workers: Workers, code: Any) -> str:
        """An instance that waits for its event, its worker gone, the event on its way."""
        worker = await workers.start(does=[double], knows=[code])
        instance_id = await client.schedule_new_orchestration("changing")

        async def waits() -> bool:
            history = await client.get_orchestration_history(instance_id)
            return any(type(event).__name__ == "TaskCompleted" for event in history)

        await eventually(waits, "the activity is done")
        await worker.stop()
        await client.raise_event(instance_id, "go", "gone")
        return instance_id

    async def parked(self, client: TaskHubClient, instance_id: str) -> str:
        """The reason why it is set aside, once it is; it counts as running."""

        async def reason() -> str | None:
            state = await client.get_orchestration_state(instance_id)
            assert state is not None
            assert state.runtime_status is OrchestrationStatus.RUNNING
            return state.parked_reason

        found: str = await eventually(reason, "it is set aside")
        return found

    async def test_other_code_releases_it(self, client: TaskHubClient, workers: Workers) -> None:
        """**replay-check** The reason names both sides; a worker with the old code goes on."""
        instance_id = await self.begin(client, workers, old_code)
        await workers.start(does=[double], knows=[new_code])
        reason = await self.parked(client, instance_id)
        assert "NonDeterminismError" in reason
        assert "double" in reason
        assert "timer" in reason
        await workers.stack.aclose()
        await workers.start(does=[double], knows=[old_code])
        assert await result_of(client, instance_id) == "gone"
        state = await client.get_orchestration_state(instance_id)
        assert state is not None
        assert state.parked_reason is None

    async def test_an_operator_releases_it(self, client: TaskHubClient, workers: Workers) -> None:
        """What the code depends on has been mended: resuming tries again."""
        mended = [True]

        @task.orchestration(name="changing")
        def fickle(ctx: task.OrchestrationContext):
            if mended[0]:
                yield ctx.call_activity(double, input=1)
            else:
                yield ctx.create_timer(timedelta(milliseconds=1))
            return (yield ctx.wait_for_external_event("go"))

        instance_id = await self.begin(client, workers, fickle)
        mended[0] = False
        await workers.start(does=[double], knows=[fickle])
        await self.parked(client, instance_id)
        mended[0] = True
        await client.resume_orchestration(instance_id)
        assert await result_of(client, instance_id) == "gone"

    async def test_it_fails_if_so_wished(self, client: TaskHubClient, workers: Workers) -> None:
        """``nondeterminism="fail"`` ends it with the same text."""
        instance_id = await self.begin(client, workers, old_code)
        await workers.start(does=[double], knows=[new_code], nondeterminism="fail")
        state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by("NonDeterminismError")
        assert "double" in state.failure_details.message
