"""The system under measurement: a worker and a client in one process, on one event loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.programs import ACTIVITIES, ORCHESTRATIONS
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.programs import Flavour

__all__ = ["running_hub"]


@asynccontextmanager
async def running_hub(url: str, activities: Flavour) -> AsyncIterator[TaskHubClient]:
    """A started worker with every program, default options, and the client to drive it with."""
    async with TaskHubWorker(url) as worker, TaskHubClient(url) as client:
        for orchestration in ORCHESTRATIONS:
            worker.add_orchestration(orchestration)
        for name, activity in ACTIVITIES[activities].items():
            worker.add_activity(activity, name=name)
        await worker.start()
        yield client
