"""The torture of the Redis store: programs run while a test does something to the server.

Workers and clients live in this process, each with connections of its own; what happens to whole
worker processes is in `test_kill9.py`. At the end every outcome is held against what was expected
and heard, the histories against the ledger of runs, and the keys of the hub against each other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendUnavailableError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
)
from durabletask.redis import RedisBackend
from durabletask.store import StoreOptions
from durabletask.worker import TaskHubWorker

from ..integration.torture.place import Place
from ..integration.torture.programs import program_of, register
from ..integration.torture.verdict import Outcome, Survey, check_history, check_ledger, runs_at
from .audit import Audit
from .hubs import fresh_hub

if TYPE_CHECKING:
    from pathlib import Path

    import redis

Fault = Callable[["Rig"], Awaitable[None]]

FACTOR = int(os.environ.get("DURABLETASK_TORTURE", "1"))
"""How many times as long the torture lasts as in the gate."""

TIMEOUT = 120 * FACTOR
"""Seconds after which a test has failed."""

FAST = StoreOptions(lease=1.0, poll_interval=0.2, local_backlog=4, idle_release=0.5)


@contextmanager
def _only_errors() -> Iterator[None]:
    """The faults deserve thousands of warnings; the tests that follow want theirs again."""
    logger = logging.getLogger("durabletask")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class Rig:
    """Workers and clients on a hub.

    Args:
        url: of the server, or of a proxy in front of it.
        folder: for the ledger, and the log of worker processes.
        lossy: acknowledged writes may be lost, so what was heard may be heard anew.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        instances: int = 90,
        lossy: bool = False,
        seed: int = 1,
        durability: str = "relaxed",
    ) -> None:
        self.url = url
        self.hub = fresh_hub()
        # An event that was acknowledged and lost is waited for without end.
        numbers = range(instances * FACTOR)
        self.numbers = [n for n in numbers if not (lossy and program_of(n).events)]
        self.instances = len(self.numbers)
        self.lossy = lossy
        self._durability = durability
        self.chance = random.Random(seed if FACTOR == 1 else None)
        self.outcomes: dict[int, Outcome] = {}
        self.ids: dict[int, str] = {}
        self.done = asyncio.Event()
        self.place = Place(f"{url}?task_hub={self.hub}&durability={durability}", folder)

    def backend(self) -> RedisBackend:
        """A backend of its own on the hub."""
        return RedisBackend(
            self.url,
            task_hub_name=self.hub,
            store_options=FAST,
            durability=self._durability,
            timeout=1.0,
            connect_timeout=1.0,
        )

    async def run(self, *faults: Fault, workers: int = 2, within: float = 100.0) -> None:
        """Run all programs to their end while the faults happen, then check everything."""
        async with asyncio.timeout(within * FACTOR):
            async with AsyncExitStack() as stack:
                stack.enter_context(_only_errors())
                for _ in range(workers):
                    backend = await stack.enter_async_context(self.backend())
                    worker = TaskHubWorker(backend=backend)
                    register(worker, self.place.ledger)
                    await stack.enter_async_context(worker)
                    await worker.start()
                backend = await stack.enter_async_context(self.backend())
                client = TaskHubClient(backend=backend)
                async with asyncio.TaskGroup() as group:
                    for number in self.numbers:
                        group.create_task(self._one(client, number))
                    for fault in faults:
                        group.create_task(self._fault(fault))
                await self._rest(client)
            async with self.backend() as backend:
                await self._check(TaskHubClient(backend=backend))

    async def _fault(self, fault: Fault) -> None:
        for _ in range(FACTOR):
            await fault(self)

    @property
    def unfinished(self) -> int:
        """How many instances have no outcome yet."""
        return self.instances - len(self.outcomes)

    # --- clients -------------------------------------------------------------------------------

    async def _one(self, client: TaskHubClient, number: int) -> None:
        await asyncio.sleep(2.0 * FACTOR * number / self.instances)
        while number not in self.outcomes:
            try:
                await self._follow(client, number)
            except BackendUnavailableError:
                await asyncio.sleep(0.05)

    async def _follow(self, client: TaskHubClient, number: int) -> None:
        name = f"{program_of(number).orchestrator.__name__}-{number}"
        await self._start(client, number, name)
        try:
            state = await client.wait_for_orchestration_completion(
                name, timeout=3.0 if self.lossy else None
            )
            self.outcomes[number] = Outcome.of(state)
            if not self.unfinished:
                self.done.set()
        except (TimeoutError, InstanceNotFoundError):
            assert self.lossy, f"{name} was acknowledged and is lost"
            if await client.get_orchestration_state(name) is None:
                self.ids.pop(number, None)

    async def _start(self, client: TaskHubClient, number: int, name: str) -> None:
        if number in self.ids:
            return
        program = program_of(number)
        try:
            await client.schedule_new_orchestration(
                program.orchestrator, input=number, instance_id=name
            )
        except InstanceAlreadyExistsError:
            pass
        self.ids[number] = name
        for event, data in program.events:
            await self._raise(client, name, event, data)

    async def _raise(self, client: TaskHubClient, name: str, event: str, data: int) -> None:
        while True:
            try:
                return await client.raise_event(name, event, data)
            except BackendUnavailableError:
                await asyncio.sleep(0.05)

    async def _rest(self, client: TaskHubClient) -> None:
        """Wait until nothing goes on: an end that was heard and lost is come to once more."""
        while True:
            with suppress(BackendUnavailableError):
                if all([s.runtime_status.is_finished async for s in client.iter_orchestrations()]):
                    return
            await asyncio.sleep(0.1)

    # --- verdict -------------------------------------------------------------------------------

    async def _check(self, client: TaskHubClient) -> None:
        survey = await Survey.of(client)
        for instance_id, history in survey.histories.items():
            check_history(instance_id, history)
        statuses = {state.runtime_status.value for state in survey.states.values()}
        assert statuses == {"COMPLETED"}, statuses
        for number, name in self.ids.items():
            if self.lossy and name not in survey.states:
                # It began, ended and was heard of between the last write that was kept and the
                # loss, so that no trace of it is left.
                continue
            state = survey.states[name]
            assert state.result == program_of(number).result(number), name
            if not self.lossy:
                assert Outcome.of(state) == self.outcomes[number], f"{name} has changed"
        if not self.lossy:
            check_ledger(runs_at(self.place.ledger), survey, self.ids)

    def audit(self, client: redis.Redis) -> int:
        """Hold the keys against each other; how many instances there are."""
        audit = Audit(client, self.hub)
        assert audit.problems == [], "\n".join(audit.problems[:20])
        return audit.instances
