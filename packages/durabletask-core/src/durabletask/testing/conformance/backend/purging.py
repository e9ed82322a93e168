"""Purging: what has finished is deleted with all that belongs to it."""

from __future__ import annotations

import asyncio
import time

import pytest

from durabletask import task
from durabletask.errors import InstanceNotFoundError
from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import PATIENCE, Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["PurgeSuite"]

RUNNING = OrchestrationStatus.RUNNING
COMPLETED = OrchestrationStatus.COMPLETED
FAILED = OrchestrationStatus.FAILED


@task.orchestration
def family(ctx: task.OrchestrationContext, ids: list[str]) -> Body:
    """Runs a child of the first id, which runs one of the second, and so on."""
    if ids:
        yield ctx.call_sub_orchestration(family, input=ids[1:], instance_id=ids[0])


@task.orchestration
def patient(ctx: task.OrchestrationContext) -> Body:
    """Waits for its end."""
    how = yield ctx.wait_for_external_event("end")
    if how == "fail":
        raise ValueError(how)


@pytest.mark.asyncio
class PurgeSuite(BackendFixtures):
    """Deleting instances."""

    async def test_a_finished_instance_is_purged(self, any_hub: HubDriver) -> None:
        """**purge** Afterwards the state is None, and waiting raises at once."""
        client = any_hub.client
        await any_hub.work(family)
        instance_id = await any_hub.start(family, [], instance_id="gone", tags={"a": "b"})
        await any_hub.finish(instance_id)
        assert (await client.purge_orchestration(instance_id)).deleted_instance_count == 1
        assert await client.get_orchestration_state(instance_id) is None
        began = time.monotonic()
        for wait in (
            client.wait_for_orchestration_start,
            client.wait_for_orchestration_completion,
        ):
            with pytest.raises(InstanceNotFoundError, match="gone"):
                await wait(instance_id, timeout=PATIENCE)
        with pytest.raises(InstanceNotFoundError):
            await client.raise_event(instance_id, "e")
        if any_hub.backend.capabilities.history:
            with pytest.raises(InstanceNotFoundError):
                await client.get_orchestration_history(instance_id)
        assert time.monotonic() - began < PATIENCE / 2
        assert (await client.purge_orchestration(instance_id)).deleted_instance_count == 0

    async def test_a_purged_id_is_free(self, any_hub: HubDriver) -> None:
        """**purge** The id can be used again, and nothing of the old life is left."""
        await any_hub.work(patient)
        for end in ("fail", "well", "fail"):
            await any_hub.start(patient, instance_id="phoenix")
            await any_hub.reaches("phoenix", RUNNING)
            if any_hub.backend.capabilities.history:
                assert len(await any_hub.history("phoenix")) == 2
            await any_hub.client.raise_event("phoenix", "end", end)
            state = await any_hub.finish("phoenix")
            assert state.runtime_status is (FAILED if end == "fail" else COMPLETED)
            purged = await any_hub.client.purge_orchestration("phoenix")
            assert purged.deleted_instance_count == 1

    async def test_the_living_are_not_purged(self, any_hub: HubDriver) -> None:
        """**purge** Only finished instances; others count 0 and go on undisturbed."""
        await any_hub.work(patient)
        instance_id = await any_hub.start(patient)
        for status in (RUNNING, OrchestrationStatus.SUSPENDED):
            await any_hub.reaches(instance_id, status)
            for recursive in (False, True):
                purged = await any_hub.client.purge_orchestration(instance_id, recursive=recursive)
                assert purged.deleted_instance_count == 0
            await any_hub.client.suspend_orchestration(instance_id)
        assert (await any_hub.client.purge_orchestration("nobody")).deleted_instance_count == 0
        await any_hub.client.resume_orchestration(instance_id)
        await any_hub.client.raise_event(instance_id, "end")
        assert (await any_hub.finish(instance_id)).runtime_status is COMPLETED

    async def test_purging_by_query(self, hub: HubDriver) -> None:
        """**purge** Many at once: all finished ones that match, and no other."""
        self.require(hub.backend, "query")
        await hub.work(family, patient)
        old = [await hub.start(family, [], tags={"age": "old"}) for _ in range(30)]
        new = [await hub.start(family, [], tags={"age": "new"}) for _ in range(3)]
        running = await hub.start(patient, tags={"age": "old"})
        for instance_id in [*old, *new]:
            await hub.finish(instance_id)
        await hub.reaches(running, RUNNING)
        query = OrchestrationQuery(tags={"age": "old"}, page_size=7)
        assert (await hub.client.purge_orchestrations_by(query)).deleted_instance_count == 30
        assert (await hub.client.purge_orchestrations_by(query)).deleted_instance_count == 0
        left = {state.instance_id async for state in hub.client.iter_orchestrations()}
        assert left == {*new, running}
        unfinished = OrchestrationQuery(statuses=frozenset({RUNNING}))
        assert (await hub.client.purge_orchestrations_by(unfinished)).deleted_instance_count == 0
        everything = OrchestrationQuery()
        assert (await hub.client.purge_orchestrations_by(everything)).deleted_instance_count == 3
        await hub.client.raise_event(running, "end")
        assert (await hub.finish(running)).runtime_status is COMPLETED

    @pytest.mark.parametrize("recursive", [False, True])
    async def test_children_go_on_request(self, any_hub: HubDriver, recursive: bool) -> None:
        """**purge** Recursive to children on request, generations deep; else they stay."""
        await any_hub.work(family)
        root = await any_hub.start(family, ["daughter", "granddaughter"])
        other = await any_hub.start(family, ["niece"])
        for instance_id in (root, other):
            await any_hub.finish(instance_id)
        purged = await any_hub.client.purge_orchestration(root, recursive=recursive)
        assert purged.deleted_instance_count == (3 if recursive else 1)
        for name in ("daughter", "granddaughter"):
            state = await any_hub.client.get_orchestration_state(name)
            assert (state is None) is recursive
        for name in (other, "niece"):
            assert (await any_hub.state(name)).runtime_status is COMPLETED

    async def test_a_purge_is_seen_elsewhere(self, hub: HubDriver, other_hub: HubDriver) -> None:
        """**purge** What one process purges is gone for all, while workers are at work."""
        await hub.work(family)
        await other_hub.work(family)
        ids = [await hub.start(family, []) for _ in range(20)]
        await asyncio.gather(*(other_hub.finish(instance_id) for instance_id in ids))
        purged = await asyncio.gather(
            *(
                home.client.purge_orchestration(instance_id)
                for instance_id in ids
                for home in (hub, other_hub)
            )
        )
        assert sum(result.deleted_instance_count for result in purged) == len(ids)
        for instance_id in ids:
            assert await hub.client.get_orchestration_state(instance_id) is None
            assert await other_hub.client.get_orchestration_state(instance_id) is None
