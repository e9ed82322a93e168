"""Restarting: a finished instance runs again."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask import task
from durabletask.errors import InstanceNotFoundError, OrchestrationStateError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["RestartSuite"]


@task.orchestration
def again(ctx: task.OrchestrationContext, value: Any) -> Body:
    """Waits for an event and returns it with the input."""
    heard = yield ctx.wait_for_external_event("end")
    return [value, heard, ctx.version]


@pytest.mark.asyncio
class RestartSuite(BackendFixtures):
    """What ``restart_orchestration`` does to finished instances, and to none else."""

    @pytest.mark.parametrize("new_id", [False, True])
    async def test_a_finished_instance_runs_again(self, hub: HubDriver, new_id: bool) -> None:
        """**restart** Same name, input, version, tags; same or new id."""
        self.require(hub.backend, "restart")
        await hub.work(again)
        first = await hub.start(again, {"n": 1}, version="7", tags={"k": "v"})
        await hub.client.raise_event(first, "end", "one")
        before = await hub.finish(first)
        second = await hub.client.restart_orchestration(first, restart_with_new_instance_id=new_id)
        assert (second != first) is new_id
        await hub.client.raise_event(second, "end", "two")
        state = await hub.finish(second)
        assert state.result == [{"n": 1}, "two", "7"]
        assert (state.name, state.version, state.tags) == ("again", "7", {"k": "v"})
        assert state.execution_id != before.execution_id
        if new_id:
            assert (await hub.state(first)).result == [{"n": 1}, "one", "7"]

    async def test_a_terminated_instance_runs_again(self, hub: HubDriver) -> None:
        """**restart** However it has ended."""
        self.require(hub.backend, "restart")
        await hub.work(again)
        instance_id = await hub.start(again, 1)
        await hub.client.terminate_orchestration(instance_id)
        assert (await hub.finish(instance_id)).runtime_status is OrchestrationStatus.TERMINATED
        await hub.client.restart_orchestration(instance_id)
        await hub.client.raise_event(instance_id, "end", 2)
        assert await hub.result(instance_id) == [1, 2, None]

    async def test_only_finished_instances_are_restarted(self, hub: HubDriver) -> None:
        """**restart** From a finished state only."""
        self.require(hub.backend, "restart")
        await hub.work(again)
        instance_id = await hub.start(again)
        with pytest.raises(OrchestrationStateError, match=instance_id):
            await hub.client.restart_orchestration(instance_id)
        with pytest.raises(InstanceNotFoundError, match="nobody"):
            await hub.client.restart_orchestration("nobody")
        await hub.client.raise_event(instance_id, "end", 1)
        assert await hub.result(instance_id) == [None, 1, None]
