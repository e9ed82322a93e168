"""Bytes in the store that nobody can read."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationStatus
from durabletask.store import ActivityRow, Batch, LaneOptions, Message, StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

pytestmark = pytest.mark.asyncio

_names = itertools.count()

DAMAGED = [b"", b"\xc1", b"\x93\x05\x00\x92\xa1\x80", b"\x91" * 5000]


@task.orchestration
def waiting(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.wait_for_external_event("go"))


@task.orchestration
def calling(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.call_activity("elsewhere"))


@pytest.mark.parametrize("body", DAMAGED)
async def test_a_damaged_message_sets_its_receiver_aside(body: bytes) -> None:
    """**failure-infra** The instance is parked with the reason; everything else goes on."""
    hub = f"damage-{next(_names)}"
    backend = StoreBackend(MemoryStore(hub))
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(waiting)
        await worker.start()
        bad, good = [await client.schedule_new_orchestration(waiting) for _ in range(2)]
        for started in (bad, good):
            await client.wait_for_orchestration_start(started)
        other = MemoryStore(hub)
        await other.open()
        key, _ = await other.open_lane(LaneOptions(worker="other", lease=60.0))
        await other.commit(Batch(lane=key, number=1, messages=[Message(bad, body)]))
        await client.raise_event(good, "go", 1)
        assert (await client.wait_for_orchestration_completion(good, timeout=10)).result == 1
        async with asyncio.timeout(10):
            while True:
                state = await client.get_orchestration_state(bad)
                assert state is not None
                if state.parked_reason is not None:
                    break
                await asyncio.sleep(0.01)
        assert "cannot be decoded" in state.parked_reason
        assert state.runtime_status is OrchestrationStatus.RUNNING
        await other.close()


async def test_a_damaged_activity_fails_and_nothing_else_does() -> None:
    """**failure-infra** Who waits for what cannot be read is told."""
    hub = f"damage-{next(_names)}"
    backend = StoreBackend(MemoryStore(hub), StoreOptions(poll_interval=0.05))
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(calling)
        await worker.start()
        started = await client.schedule_new_orchestration(calling)
        state = await client.wait_for_orchestration_start(started)
        other = MemoryStore(hub)
        await other.open()
        key, _ = await other.open_lane(LaneOptions(worker="other", lease=60.0))
        row = ActivityRow(started, state.execution_id, 1, "known", b"\xc1")
        [source] = backend._hub.sources
        source.repertoire.activities.add("known")
        await other.commit(Batch(lane=key, number=1, activities=[row]))
        state = await client.wait_for_orchestration_completion(started, timeout=10)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert "cannot be decoded" in str(state.failure_details)
        await other.close()
