"""The system under measurement: a worker and a client in one process, on one event loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.programs import ACTIVITIES, ORCHESTRATIONS, tally
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any

    from benchmarks.programs import Flavour

__all__ = ["running_hub", "started_worker"]


@asynccontextmanager
async def started_worker(
    url: str, activities: Flavour, others: Mapping[str, Callable[..., Any]] | None = None
) -> AsyncIterator[None]:
    """A started worker with every program and default options.

    Args:
        others: activities that take the place of those of their names.
    """
    async with TaskHubWorker(url) as worker:
        for orchestration in ORCHESTRATIONS:
            worker.add_orchestration(orchestration)
        for name, activity in {**ACTIVITIES[activities], **(others or {})}.items():
            worker.add_activity(activity, name=name)
        worker.add_entity(tally)
        await worker.start()
        yield


@asynccontextmanager
async def running_hub(url: str, activities: Flavour) -> AsyncIterator[TaskHubClient]:
    """A started worker, and the client to drive it with."""
    async with started_worker(url, activities), TaskHubClient(url) as client:
        yield client
