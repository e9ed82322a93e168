"""A sidecar whose store takes its time."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.integration.grpc.peer import Connect, calling, end

from durabletask.client import TaskHubClient
from durabletask.grpc import Sidecar, SidecarOptions
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance.backend.driver import eventually
from durabletask.testing.conformance.backend.outage import FragileStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DELAY = 0.3
"""Seconds that a commit takes."""


class SlowStore(FragileStore):
    """Takes its time for every commit."""

    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        if verb == "commit":
            await asyncio.sleep(DELAY)
        return await super()._call(verb, *arguments, **options)


@pytest_asyncio.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    """A sidecar on it."""
    backend = StoreBackend(SlowStore(MemoryStore(f"slow-{secrets.token_hex(8)}")))
    options = SidecarOptions(linger=0.3, drain_timeout=10.0, poison_after=2)
    async with Sidecar(backend, port=0, options=options) as running:
        yield running


@pytest.mark.asyncio
async def test_what_kills_workers_is_set_aside(sidecar: Sidecar, connect: Connect) -> None:
    """**failure-poison** The source of the stream that was lost last gets its word out."""
    deadly = await connect().start()
    for _ in range(2):
        victim = connect()
        await victim.listen()
        await victim.item()
        victim.lose()
    async with TaskHubClient(sidecar.url) as client:

        async def reason() -> str | None:
            state = await client.get_orchestration_state(deadly)
            return None if state is None else state.parked_reason

        assert "2 workers were lost" in await eventually(reason, "it is set aside")
        idle, healthy = connect(), connect()
        await idle.listen()
        assert await idle.rests()
        await healthy.listen()
        await client.resume_orchestration(deadly)
        item = await healthy.item()
        assert item.orchestratorRequest.instanceId == deadly
        await healthy.answer(item, end())


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["a turn", "an activity"])
async def test_closing_does_not_wait_for_the_lost(
    sidecar: Sidecar, connect: Connect, what: str
) -> None:
    """**failure-infra** Workers that stop together with the sidecar are not waited for."""
    peer = connect()
    await peer.listen()
    await peer.start()
    item = await peer.item()
    if what == "an activity":
        await peer.answer(item, calling(1))
        await peer.item()
    began = time.monotonic()
    closing = asyncio.ensure_future(sidecar.stop())
    await asyncio.sleep(0.1)
    assert not closing.done(), "what is out is waited for"
    peer.lose()
    await closing
    assert time.monotonic() - began < 5.0


@pytest.mark.asyncio
async def test_what_nobody_takes_keeps_nobody_waiting(sidecar: Sidecar, connect: Connect) -> None:
    """**work-claim** A worker that leaves takes nothing with it that it was not sent."""
    busy, other = connect(), connect()
    await busy.listen(maxConcurrentOrchestrationWorkItems=1)
    for _ in range(4):
        await busy.start()
    await busy.item()
    began = time.monotonic()
    busy.lose()
    await other.listen()
    items = [await other.item() for _ in range(4)]
    assert time.monotonic() - began < 5.0, "they were waited for"
    for item in items:
        await other.answer(item, end())
