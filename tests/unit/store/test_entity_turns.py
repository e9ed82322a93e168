"""Entities between their turns: what is stored of them, and when they go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityId
from durabletask.store import StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

pytestmark = pytest.mark.asyncio

ONE = EntityId("pad", "one")


@task.entity
def pad(ctx: task.EntityContext, text: str = "") -> None:
    if ctx.operation == "write":
        ctx.set_state(text)
    elif ctx.operation == "append":
        ctx.set_state(ctx.get_state(str, "") + text)


class Hub:
    """A worker and a client on a memory store that can be looked into."""

    def __init__(self, name: str, **options: Any) -> None:
        self.store = MemoryStore(name)
        self.backend = StoreBackend(self.store, StoreOptions(**options))
        self.worker = TaskHubWorker(backend=self.backend)
        self.client = TaskHubClient(backend=self.backend)

    async def __aenter__(self) -> Hub:
        self.worker.add_entity(pad)
        await self.worker.start()
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()
        await self.worker.stop()

    async def signal(self, operation: str, text: str = "") -> None:
        """Send an operation and wait until it is done with."""
        await self.client.signal_entity(ONE, operation, text)
        for _ in range(2000):
            row = self.store._opened().instances.get(str(ONE))
            if row is not None and not row.inbox and not row.busy and row.chunks:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"{operation} is not done with")

    async def stored(self) -> tuple[int, int]:
        """Turns, and bytes, of the history that is kept."""
        rows = await self.store.get_instances([str(ONE)], payloads=True)
        [chunks] = await self.store.read_history([(str(ONE), rows[str(ONE)].execution_id)])
        return len(chunks), sum(map(len, chunks))


@pytest.mark.parametrize("operation", ["write", "look"])
async def test_history_has_a_bound(operation: str) -> None:
    """**can-loop** Of an entity with a state, and of one that never has any."""
    async with Hub(f"bound-{operation}") as hub:
        longest = 0
        for number in range(300):
            await hub.signal(operation, str(number))
            turns, _ = await hub.stored()
            longest = max(longest, turns)
        assert 64 < longest < 128
        state = await hub.client.get_entity(ONE)
        assert (None if state is None else state.state) == ("299" if operation == "write" else None)


async def test_a_large_state_is_not_kept_often() -> None:
    """What is stored stays a small multiple of the state."""
    async with Hub("large") as hub:
        await hub.signal("write", "x" * 200_000)
        most = 0
        for _ in range(40):
            await hub.signal("append", "y")
            most = max(most, (await hub.stored())[1])
        assert most < 6 * 200_000
        state = await hub.client.get_entity(ONE)
        assert state is not None and state.state == "x" * 200_000 + "y" * 40


async def test_a_blank_one_goes_by_itself() -> None:
    """**entity-state** Though it is owned by the only worker; one with a state stays."""
    async with Hub("blank", lease=0.3, idle_release=0.1) as hub:
        await hub.signal("write", "kept")
        await hub.client.signal_entity(EntityId("pad", "blank"), "look")
        instances = hub.store._opened().instances
        for _ in range(2000):
            if [*instances] == [str(ONE)] and not instances[str(ONE)].owner:
                break
            await asyncio.sleep(0.005)
        assert [*instances] == [str(ONE)]
        await hub.signal("append", " and used")
        state = await hub.client.get_entity(ONE)
        assert state is not None and state.state == "kept and used"
