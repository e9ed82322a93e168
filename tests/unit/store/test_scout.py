"""Looking for work when the store is out of reach."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import BackendUnavailableError
from durabletask.store import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from durabletask.store import Interest, LaneKey, LaneOptions, LaneStanding, Work

pytestmark = pytest.mark.asyncio

_names = itertools.count()


@task.orchestration
def sleeping(ctx: task.OrchestrationContext) -> Any:
    yield ctx.create_timer(timedelta(milliseconds=50))
    return "slept"


class DistantStore(MemoryStore):
    """Can be out of reach, and counts how often it is asked then."""

    def __init__(self) -> None:
        super().__init__(f"scout-{next(_names)}")
        self.is_away = False
        self.asked = 0

    def _reach(self) -> None:
        if self.is_away:
            self.asked += 1
            raise BackendUnavailableError("no route to host")

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        self._reach()
        return await super().open_lane(options)

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        self._reach()
        return await super().poll(lane, interest)


@pytest.mark.parametrize("lost", [False, True], ids=["lane kept", "lane lost"])
async def test_a_timer_that_is_due_does_not_hurry_a_store_that_is_away(*, lost: bool) -> None:
    """**failure-infra** There is a pause between two attempts, however much is due."""
    store = DistantStore()
    backend = StoreBackend(store)
    turns: list[int] = []
    async with TaskHubWorker(backend=backend) as worker:
        worker.add_orchestration(sleeping)
        await worker.start()
        client = TaskHubClient(backend=backend)
        started = await client.schedule_new_orchestration(sleeping)
        await client.wait_for_orchestration_start(started)
        [source] = backend._hub.sources
        await source.lane.flush()
        store.is_away = True
        if lost:
            assert source.lane.key is not None
            await store.close_lane(source.lane.key)
            replacing = asyncio.create_task(source.lost(source.lane.key))
        looks = source.scout._look

        async def look() -> None:
            turns.append(1)
            await looks()

        source.scout._look = look  # type: ignore[method-assign]
        await asyncio.sleep(0.6)
        assert 1 <= len(turns) <= 5
        assert store.asked <= 12
        store.is_away = False
        state = await client.wait_for_orchestration_completion(started, timeout=10)
        assert state.result == "slept"
        if lost:
            await replacing
