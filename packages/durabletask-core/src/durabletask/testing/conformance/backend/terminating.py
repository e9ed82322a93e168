"""Terminating, children included."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures
from durabletask.testing.conformance.backend.suspending import collecting

__all__ = ["TerminateSuite"]

PENDING = OrchestrationStatus.PENDING
RUNNING = OrchestrationStatus.RUNNING
SUSPENDED = OrchestrationStatus.SUSPENDED
TERMINATED = OrchestrationStatus.TERMINATED


@task.orchestration
def nested(ctx: task.OrchestrationContext, ids: list[str]) -> Body:
    """Starts a child of the first id, which starts one of the second, and so on."""
    if ids:
        yield ctx.call_sub_orchestration(nested, input=ids[1:], instance_id=ids[0])
    else:
        yield ctx.wait_for_external_event("never")


@task.orchestration
def unregistered(ctx: task.OrchestrationContext) -> None:
    """No worker of these tests knows it."""


async def exists(hub: HubDriver, instance_id: str) -> None:
    """Wait until there is such an instance."""

    async def is_there() -> bool:
        return await hub.client.get_orchestration_state(instance_id) is not None

    await eventually(is_there, f"{instance_id!r} exists")


@pytest.mark.asyncio
class TerminateSuite(BackendFixtures):
    """An end from outside."""

    @pytest.mark.parametrize("reason", ["no longer needed", None, {"by": "ops"}, 0])
    async def test_the_reason_is_the_output(self, any_hub: HubDriver, reason: Any) -> None:
        """**terminate** TERMINATED with the reason as output; a no-op when finished."""
        await any_hub.work(collecting)
        instance_id = await any_hub.start(collecting, 2)
        await any_hub.client.raise_event(instance_id, "e", 0)
        await any_hub.shows(instance_id, [0])
        await any_hub.client.terminate_orchestration(instance_id, reason)
        state = await any_hub.finish(instance_id)
        assert (state.runtime_status, state.result) == (TERMINATED, reason)
        assert state.completed_at is not None
        assert state.failure_details is None
        await any_hub.client.terminate_orchestration(instance_id, "again")
        await any_hub.client.raise_event(instance_id, "e", 1)
        assert await any_hub.result_of(collecting, 0) == []
        assert (await any_hub.state(instance_id)).result == reason

    async def test_no_user_code_runs(self, any_hub: HubDriver) -> None:
        """**terminate** No step of the body, whatever arrived before the termination."""
        steps: list[Any] = []

        @task.orchestration
        def stepping(ctx: task.OrchestrationContext) -> Body:
            try:
                while True:
                    steps.append((yield ctx.wait_for_external_event("step")))
                    ctx.set_custom_status(len(steps))
            except Exception:
                steps.append("caught")

        worker = await any_hub.work(stepping)
        instance_id = await any_hub.start(stepping)
        await any_hub.client.raise_event(instance_id, "step", 1)
        await any_hub.shows(instance_id, 1)
        await worker.stop()
        await any_hub.client.raise_event(instance_id, "step", 2)
        await any_hub.client.terminate_orchestration(instance_id)
        never_began = await any_hub.start(stepping)
        await any_hub.client.terminate_orchestration(never_began, "before its first turn")
        await any_hub.work(stepping)
        for terminated in (instance_id, never_began):
            assert (await any_hub.finish(terminated)).runtime_status is TERMINATED
        assert steps == [1]

    async def test_it_reaches_all_descendants(self, any_hub: HubDriver) -> None:
        """**terminate** Recursive by default, through finished and unfinished generations."""
        await any_hub.work(nested)
        root = await any_hub.start(nested, ["son", "grandson"], instance_id="root")
        for name in ("root", "son", "grandson"):
            await exists(any_hub, name)
        await any_hub.reaches("grandson", RUNNING)
        await any_hub.client.terminate_orchestration(root, "all of them")
        for name in ("root", "son", "grandson"):
            assert (await any_hub.finish(name)).runtime_status is TERMINATED

    async def test_children_may_be_spared(self, any_hub: HubDriver) -> None:
        """**terminate** With ``recursive=False`` children go on without their parent."""
        await any_hub.work(nested)
        root = await any_hub.start(nested, ["spared"])
        await exists(any_hub, "spared")
        await any_hub.reaches("spared", RUNNING)
        await any_hub.client.terminate_orchestration(root, recursive=False)
        assert (await any_hub.finish(root)).runtime_status is TERMINATED
        assert (await any_hub.state("spared")).runtime_status is RUNNING
        await any_hub.client.raise_event("spared", "never")
        assert await any_hub.result("spared") is None

    async def test_it_reaches_a_child_that_no_worker_knows(self, any_hub: HubDriver) -> None:
        """**terminate** Recursion reaches a child that has never run and whose name is unknown."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_sub_orchestration(unregistered, instance_id="unknown child")

        await any_hub.work(parent)
        instance_id = await any_hub.start(parent)
        await exists(any_hub, "unknown child")
        await any_hub.client.terminate_orchestration(instance_id)
        for terminated in (instance_id, "unknown child"):
            assert (await any_hub.finish(terminated)).runtime_status is TERMINATED

    async def test_it_reaches_a_child_set_aside(self, any_hub: HubDriver) -> None:
        """**terminate** Recursion reaches a parked child."""
        self.require(any_hub.backend, "parking")

        @task.orchestration(name="fickle")
        def before(ctx: task.OrchestrationContext) -> Body:
            yield ctx.create_timer(timedelta(days=9))

        @task.orchestration(name="fickle")
        def after(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_activity("something else")

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_sub_orchestration("fickle", instance_id="parked child")

        await any_hub.work(parent, before)
        instance_id = await any_hub.start(parent)
        await exists(any_hub, "parked child")
        await any_hub.reaches("parked child", RUNNING)
        await any_hub.stop()
        await any_hub.work(parent, after)
        await any_hub.client.raise_event("parked child", "look again")

        async def is_parked() -> bool:
            return (await any_hub.state("parked child")).parked_reason is not None

        await eventually(is_parked, "the child is set aside: its code is not that of its history")
        await any_hub.client.terminate_orchestration(instance_id)
        for terminated in (instance_id, "parked child"):
            state = await any_hub.finish(terminated)
            assert (state.runtime_status, state.parked_reason) == (TERMINATED, None)

    async def test_a_terminated_child_is_a_failure(self, any_hub: HubDriver) -> None:
        """**terminate** A terminated child counts as a failure to a running parent."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_sub_orchestration(nested, input=[], instance_id="victim")
            except task.TaskFailedError as error:
                return str(error)

        await any_hub.work(parent, nested)
        instance_id = await any_hub.start(parent)
        await exists(any_hub, "victim")
        await any_hub.client.terminate_orchestration("victim")
        text = await any_hub.result(instance_id)
        assert "victim" in text
        assert "terminated" in text

    async def test_terminating_while_suspended(self, any_hub: HubDriver) -> None:
        """**terminate** Works while suspended, however much has been kept back."""
        await any_hub.work(collecting)
        instance_id = await any_hub.start(collecting, 3)
        await any_hub.client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, SUSPENDED)
        await any_hub.client.raise_event(instance_id, "e")
        await any_hub.client.terminate_orchestration(instance_id, "enough")
        state = await any_hub.finish(instance_id)
        assert (state.runtime_status, state.result) == (TERMINATED, "enough")
        assert state.custom_status is None

    async def test_terminating_before_the_start(self, any_hub: HubDriver) -> None:
        """**terminate** An instance that waits for its ``start_at`` ends now."""
        await any_hub.work(collecting)
        instance_id = await any_hub.start(collecting, 0, start_at=timedelta(days=9))
        assert (await any_hub.state(instance_id)).runtime_status is PENDING
        await any_hub.client.terminate_orchestration(instance_id, "not any more")
        state = await any_hub.finish(instance_id)
        assert (state.runtime_status, state.result) == (TERMINATED, "not any more")
