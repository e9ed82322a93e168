"""The process that is killed: `python -m tests.integration.torture.worker URL FOLDER OPTIONS`.

It says "ready" when work can flow and works until it is killed, or told to stop by SIGTERM.
"""

import argparse
import asyncio
import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from durabletask import task
from durabletask.errors import BackendUnavailableError
from durabletask.store import StoreOptions
from durabletask.worker import TaskHubWorker

from .place import Place, backend_at
from .programs import note, register

_antidote: list[Path] = []


def _die() -> None:
    """Kill this process, until there is an antidote."""
    if not _antidote[0].exists():
        os._exit(9)


@task.orchestration
def deadly_at_once(ctx: task.OrchestrationContext) -> Any:
    _die()
    return "healed"


@task.orchestration
def deadly_after_an_activity(ctx: task.OrchestrationContext) -> Any:
    yield ctx.call_activity(echo, input=1)
    _die()
    return "healed"


@task.orchestration
def deadly_after_a_timer(ctx: task.OrchestrationContext) -> Any:
    yield ctx.create_timer(timedelta(milliseconds=1))
    _die()
    return "healed"


@task.orchestration
def with_a_deadly_activity(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.call_activity(deadly_activity))


@task.activity
def deadly_activity(ctx: task.ActivityContext) -> str:
    _die()
    return "healed"


@task.orchestration
def echoing(ctx: task.OrchestrationContext, number: int) -> Any:
    return (yield ctx.call_activity(echo, input=number))


@task.orchestration
def holding(ctx: task.OrchestrationContext, seconds: float) -> Any:
    return (yield ctx.call_activity(hold, input=seconds))


@task.activity
async def echo(ctx: task.ActivityContext, number: int) -> int:
    return number


@task.activity
async def hold(ctx: task.ActivityContext, seconds: float) -> None:
    note(ctx, seconds)
    await asyncio.sleep(seconds)


DEADLY = [
    deadly_at_once,
    deadly_after_an_activity,
    deadly_after_a_timer,
    with_a_deadly_activity,
]


def worker_at(place: Place, options: StoreOptions) -> TaskHubWorker:
    """A worker that knows everything."""
    worker = TaskHubWorker(backend=backend_at(place.url, options))
    register(worker, place.ledger)
    for orchestrator in (*DEADLY, echoing, holding):
        worker.add_orchestration(orchestrator)
    for activity in (deadly_activity, echo, hold):
        worker.add_activity(activity)
    return worker


async def work(place: Place, options: StoreOptions) -> None:
    """Work until SIGTERM. If the store cannot be reached at first, try again, as supervisors do."""
    _antidote[:] = [place.antidote]
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    while not told.is_set():
        try:
            async with worker_at(place, options) as worker:
                await worker.start()
                print("ready", flush=True)
                await told.wait()
        except BackendUnavailableError:
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("options", type=json.loads, help="of the store, as JSON")
    given = parser.parse_args()
    asyncio.run(work(Place(given.url, given.folder), StoreOptions(**given.options)))
