"""The users in the tests: clients and workers on one task hub, through the public API."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from durabletask.client import TaskHubClient
from durabletask.history import HistoryEvent, OrchestratorStarted
from durabletask.state import OrchestrationState, OrchestrationStatus
from durabletask.task._decorators import definition_of
from durabletask.worker import TaskHubWorker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durabletask.backend import Backend
    from durabletask.entities import EntityId

__all__ = ["PATIENCE", "Body", "Gate", "HubDriver", "eventually"]

PATIENCE = 30.0
"""Seconds until a test gives up on something that should take milliseconds."""

Body = Generator[Any, Any, Any]
"""What an orchestrator of these tests returns when it is a generator."""


class Gate:
    """Doors that activities of a test wait at until the test opens them."""

    def __init__(self) -> None:
        self._doors: dict[str, asyncio.Event] = {}

    def _door(self, name: str) -> asyncio.Event:
        return self._doors.setdefault(name, asyncio.Event())

    def open(self, name: str) -> None:
        """Let everyone pass who waits, or will wait, at this door."""
        self._door(name).set()

    async def wait(self, name: str) -> None:
        """Wait until the door is open."""
        await asyncio.wait_for(self._door(name).wait(), PATIENCE)


async def eventually(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask again and again until the answer is true, and return it; fail if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := await condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain: {what}"
        await asyncio.sleep(0.005)
    return answer


class HubDriver:
    """A task hub, a client of it, and the workers that a test starts on it.

    Attributes:
        options: of every worker, unless a test says otherwise.
        evicting: whether workers forget every orchestration between its turns, so that each turn
            begins with a replay.
    """

    def __init__(self, backend: Backend, options: WorkerOptions) -> None:
        self.backend = backend
        self.client = TaskHubClient(backend=backend)
        self.options = options
        self.evicting = options.max_cached_sessions == 0
        self._workers: list[TaskHubWorker] = []

    async def work(
        self,
        *functions: Callable[..., Any],
        options: WorkerOptions | None = None,
        **changed: Any,
    ) -> TaskHubWorker:
        """Start a worker that knows these functions, each marked by a decorator."""
        chosen = dataclasses.replace(options or self.options, **changed)
        worker = TaskHubWorker(backend=self.backend, options=chosen)
        add = {"activity": worker.add_activity, "entity": worker.add_entity}
        for function in functions:
            add.get(definition_of(function).kind, worker.add_orchestration)(function)
        await worker.start()
        self._workers.append(worker)
        return worker

    async def stop(self) -> None:
        """Stop every worker."""
        while self._workers:
            await self._workers.pop().stop(5.0)

    async def start(
        self, orchestration: Callable[..., Any] | str, input: Any = None, **options: Any
    ) -> str:
        """Start an instance."""
        return await self.client.schedule_new_orchestration(orchestration, input=input, **options)

    async def finish(self, instance_id: str) -> OrchestrationState:
        """The state of the instance once it has finished."""
        return await self.client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)

    async def run(
        self, orchestration: Callable[..., Any] | str, input: Any = None, **options: Any
    ) -> OrchestrationState:
        """Start an instance and wait until it has finished."""
        return await self.finish(await self.start(orchestration, input, **options))

    async def result(self, instance_id: str) -> Any:
        """What the instance returned; it must not fail."""
        state = await self.finish(instance_id)
        assert state.runtime_status is OrchestrationStatus.COMPLETED, state.failure_details
        return state.result

    async def result_of(
        self, orchestration: Callable[..., Any] | str, input: Any = None, **options: Any
    ) -> Any:
        """Start an instance and return what it returned; it must not fail."""
        return await self.result(await self.start(orchestration, input, **options))

    async def state(self, instance_id: str) -> OrchestrationState:
        """The state of an instance that must exist."""
        state = await self.client.get_orchestration_state(instance_id)
        assert state is not None, f"the instance {instance_id!r} is gone"
        return state

    async def reaches(self, instance_id: str, status: OrchestrationStatus) -> OrchestrationState:
        """The state of the instance once it has this status."""

        async def has_status() -> OrchestrationState | None:
            state = await self.state(instance_id)
            return state if state.runtime_status is status else None

        found: OrchestrationState = await eventually(has_status, f"{instance_id!r} is {status}")
        return found

    async def shows(self, instance_id: str, custom_status: Any) -> None:
        """Wait until the instance has this custom status."""

        async def is_shown() -> bool:
            return bool((await self.state(instance_id)).custom_status == custom_status)

        await eventually(is_shown, f"{instance_id!r} shows {custom_status!r}")

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """The history of the current execution."""
        return await self.client.get_orchestration_history(instance_id)

    async def entity(self, entity_id: EntityId) -> Any:
        """The state of an entity as plain data, None if there is none."""
        state = await self.client.get_entity(entity_id)
        return None if state is None else state.state

    async def has_state(self, entity_id: EntityId, wanted: Any) -> None:
        """Wait until an entity has this state."""

        async def has_it() -> bool:
            return bool(await self.entity(entity_id) == wanted)

        await eventually(has_it, f"the state of {entity_id} is {wanted!r}")

    async def turns(self, instance_id: str) -> int:
        """How many turns the current execution has had."""
        history = await self.history(instance_id)
        return sum(isinstance(event, OrchestratorStarted) for event in history)
