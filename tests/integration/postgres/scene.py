"""Orders that are shipped while the server is in trouble, and what must be true of them then."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.history import EventRaised, ExecutionStarted, TaskCompleted, TaskScheduled
from durabletask.postgres import PostgresBackend
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from durabletask.postgres import PostgresOptions


@task.orchestration
def ship(ctx: task.OrchestrationContext, order: str) -> Any:
    packed = yield ctx.call_activity(turn_round, input=order)
    yield ctx.wait_for_external_event("paid")
    return (yield ctx.call_activity(turn_round, input=packed))


@task.activity
async def turn_round(ctx: task.ActivityContext, order: str) -> str:
    return order[::-1]


@asynccontextmanager
async def running(url: str, options: PostgresOptions | None = None) -> AsyncIterator[TaskHubClient]:
    """A client beside a worker that ships orders."""
    backend = PostgresBackend(url, options=options)
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(ship)
        worker.add_activity(turn_round)
        await worker.start()
        yield client
    await backend.close()


class Orders:
    """So many instances, each with an input of so many random letters that nothing compresses."""

    def __init__(self, client: TaskHubClient, count: int, size: int = 10) -> None:
        self._client = client
        self._orders = {
            f"order-{number}": "".join(random.choices("abcdefghijklmnop", k=size))
            for number in range(count)
        }
        self._waiting = list(self._orders)
        self.accepted: set[str] = set()

    def start(self, count: int | None = None) -> asyncio.Future[Any]:
        """Start and pay for so many of them, or for all that are left; done when all are."""
        now, self._waiting = self._waiting[:count], self._waiting[len(self._waiting[:count]) :]
        return asyncio.gather(*map(self._start, now))

    async def _start(self, name: str) -> None:
        order = self._orders[name]
        await self._client.schedule_new_orchestration(ship, input=order, instance_id=name)
        self.accepted.add(name)
        await self._client.raise_event(name, "paid")

    async def see_through(self) -> None:
        """Wait for each, and see that it ended well, and that its history holds all of it once."""
        for name, order in self._orders.items():
            state = await self._client.wait_for_orchestration_completion(name, timeout=60)
            assert (state.runtime_status.value, state.result) == ("COMPLETED", order)
            history = await self._client.get_orchestration_history(name)
            kinds = Counter(type(event) for event in history)
            assert kinds[ExecutionStarted] == kinds[EventRaised] == 1
            assert kinds[TaskScheduled] == kinds[TaskCompleted] == 2

    def check_written(self, statuses: dict[str, str]) -> None:
        """What was accepted is there, and nothing has failed."""
        assert self.accepted <= statuses.keys() <= self._orders.keys()
        assert set(statuses.values()) <= {"PENDING", "RUNNING", "COMPLETED"}


class Watch(logging.Handler):
    """Waits for one of these texts to be logged."""

    def __init__(self, *texts: str) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if any(text in record.getMessage() for text in self._texts):
            self.seen.set()

    def __enter__(self) -> Watch:
        logging.getLogger("durabletask").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("durabletask").removeHandler(self)


async def ask(url: str, statement: str) -> list[asyncpg.Record]:
    """The rows that an operator gets."""
    operator = await asyncpg.connect(url)
    try:
        return await operator.fetch(statement)
    finally:
        await operator.close()


async def written(url: str) -> dict[str, str]:
    """The statuses in the table, as another program sees them."""
    rows = await ask(url, "SELECT instance_id, status FROM durabletask.orchestrations")
    return {row[0]: row[1] for row in rows}
