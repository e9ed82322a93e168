"""Clients that wait hear of the end, whoever brings it about."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import InstanceNotFoundError
from durabletask.store import StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from durabletask.store import InstanceRecord

pytestmark = pytest.mark.asyncio

_names = itertools.count()


@task.orchestration
def waiting(ctx: task.OrchestrationContext, _: None) -> Any:
    return (yield ctx.wait_for_external_event("go"))


class Place:
    """A store object of a shared hub, with a worker and a client in one process."""

    def __init__(self, hub: str, **options: Any) -> None:
        self.store = MemoryStore(hub)
        self.backend = StoreBackend(self.store, StoreOptions(**options))
        self.worker = TaskHubWorker(backend=self.backend)
        self.worker.add_orchestration(waiting)
        self.client = TaskHubClient(backend=self.backend)


async def stop(one: Place, other: Place) -> None:
    """The worker leaves, its client stays."""
    await one.worker.stop()
    await other.worker.start()


async def fence(one: Place, other: Place) -> None:
    """The lane is taken over while its owner thinks that all is well."""
    [source] = one.backend._hub.sources
    key = source.lane.key
    assert key is not None
    await one.store.close_lane(key)
    await other.worker.start()


async def share(one: Place, other: Place) -> None:
    """The instance is given up for being idle, and another claims it."""
    await other.worker.start()
    [source] = one.backend._hub.sources
    for _ in range(1000):
        if not source.holdings.owned:
            break
        await asyncio.sleep(0.01)
    await one.worker.stop()


@pytest.mark.parametrize("change", [stop, fence, share])
@pytest.mark.parametrize("timeout", [None, 20.0])
async def test_whoever_waits_here_hears_of_an_end_elsewhere(
    change: Callable[[Place, Place], Awaitable[None]], timeout: float | None
) -> None:
    """**wait**: an instance that was owned here when the wait began may be finished by others."""
    hub = f"waiters-{next(_names)}"
    one, other = (Place(hub, lease=0.3, idle_release=0.05) for _ in range(2))
    async with AsyncExitStack() as stack:
        for place in (one, other):
            await stack.enter_async_context(place.client)
            stack.push_async_callback(place.worker.stop)
        await one.worker.start()
        started = await one.client.schedule_new_orchestration(waiting)
        await one.client.wait_for_orchestration_start(started)
        outcome = asyncio.create_task(
            one.client.wait_for_orchestration_completion(started, timeout=timeout)
        )
        await asyncio.sleep(0)
        await change(one, other)
        await other.client.raise_event(started, "go", "went")
        async with asyncio.timeout(10):
            assert (await outcome).result == "went"


class SlowReader(MemoryStore):
    """Gives payloads only after everybody else has been answered."""

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        found = await super().get_instances(instance_ids, payloads=payloads)
        if payloads:
            await asyncio.sleep(0.1)
        return found


async def test_what_is_missing_is_said_once() -> None:
    """**wait**: two readings find an instance missing; nothing is left for the loop to log."""
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    backend = StoreBackend(SlowReader(f"waiters-{next(_names)}"))
    async with TaskHubClient(backend=backend) as client:
        started = await client.schedule_new_orchestration(waiting)
        other = asyncio.create_task(client.wait_for_orchestration_completion(started))
        await asyncio.sleep(0.2)  # the watch has begun, and asks now and then
        with pytest.raises(InstanceNotFoundError):
            await client.wait_for_orchestration_completion("missing")
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
    assert troubles == []
