"""A worker whose opening ends halfway leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from durabletask.backend import WorkerProfile
from durabletask.errors import BackendUnavailableError
from durabletask.store import StoreBackend
from durabletask.stores.memory import MemoryStore

pytestmark = pytest.mark.asyncio

_names = itertools.count()

PROFILE = WorkerProfile(
    orchestrations={"order": ""},
    activities=frozenset(),
    max_orchestrations=1,
    max_activities=1,
    name="halfway",
)


class SlowStore(MemoryStore):
    """A memory store that a worker cannot be opened on, or not soon."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__(f"opening-{next(_names)}")
        self.fails = fails
        self.reached = asyncio.Event()
        self.closed: list[object] = []

    async def take_over(self) -> int:
        self.reached.set()
        if self.fails:
            raise BackendUnavailableError("the store is away")
        await asyncio.Event().wait()
        return 0

    async def close_lane(self, lane: object) -> None:
        self.closed.append(lane)
        await super().close_lane(lane)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", [True, False])
async def test_an_opening_that_ends_halfway(fails: bool) -> None:
    """**lease** It gives its lane back at once, and its tasks end: nobody else will see to that."""
    store = SlowStore(fails=fails)
    async with StoreBackend(store) as backend:
        opening = asyncio.create_task(backend.open_worker(PROFILE))
        await store.reached.wait()
        if not fails:
            opening.cancel()
        with contextlib.suppress(asyncio.CancelledError, BackendUnavailableError):
            await opening
        assert len(store.closed) == 1
        tasks = {task.get_name().partition("-lane")[0] for task in asyncio.all_tasks()}
        assert "durabletask" not in tasks
