"""Workers and clients of a simulation: those of production, on simulated machines, observed."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any

from durabletask.client import TaskHubClient
from durabletask.errors import BackendUnavailableError
from durabletask.task._decorators import definition_of
from durabletask.worker import TaskHubWorker
from durabletask.worker.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from durabletask.backend import Backend, Capabilities
    from durabletask.state import OrchestrationState
    from durabletask.testing.simulation.evidence import Evidence
    from durabletask.testing.simulation.world import Process
    from durabletask.worker import WorkerOptions

__all__ = ["SimulatedClient", "SimulatedWorker"]


class _Threads:
    """Threads that take virtual time: a call begins a little later, and its result comes later."""

    def __init__(self, process: Process, limit: int) -> None:
        self._process = process
        self._limit = limit
        self._busy = 0
        self._calls: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def submit(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._calls.append((call, done))
        self._next()

    def _next(self) -> None:
        if self._calls and self._busy < self._limit:
            self._busy += 1
            self._process.loop.call_later(self._takes(), self._run, *self._calls.popleft())

    def _run(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._process.loop.call_later(self._takes(), self._deliver, done, call())

    def _deliver(self, done: Callable[[Any], None], result: Any) -> None:
        self._busy -= 1
        self._next()
        done(result)

    def _takes(self) -> float:
        return self._process.chance.choice((0.00001, 0.001, 0.01, 0.3))

    def close(self, timeout: float) -> bool:
        return not self._busy


class SimulatedWorker(TaskHubWorker):
    """The worker, with the clock and the threads of its process."""

    def __init__(
        self, process: Process, backend: Backend, options: WorkerOptions, evidence: Evidence
    ) -> None:
        super().__init__(backend=backend, options=options)
        self._process = process
        self._evidence = evidence
        self._machine = Machine(self._clock, lambda _, limit: _Threads(process, limit))
        self._late = 0.0

    def _clock(self) -> float:
        """Each look finds that some microseconds have passed, which the event loop never sees."""
        self._late += self._process.chance.random() * 0.0004
        return self._process.time() + self._late

    def add_activity(self, activity: Callable[..., Any], *, name: str | None = None) -> None:
        begins, who = self._evidence.activity_begins, self._process.name

        @functools.wraps(activity)
        def observed(*arguments: Any) -> Any:
            begins(who, arguments[0])
            return activity(*arguments)

        @functools.wraps(activity)
        async def observed_async(*arguments: Any) -> Any:
            begins(who, arguments[0])
            return await activity(*arguments)

        is_async = inspect.iscoroutinefunction(activity)
        super().add_activity(observed_async if is_async else observed, name=name)

    def add_entity(self, entity: Callable[..., Any], *, name: str | None = None) -> None:
        begins, who = self._evidence.operation_begins, self._process.name
        name = name or definition_of(entity).name
        if isinstance(entity, type):

            class Observed(entity):  # type: ignore[misc, valid-type]
                def __setattr__(self, attribute: str, value: Any) -> None:
                    if attribute == "entity_context":
                        begins(who, value)
                    super().__setattr__(attribute, value)

            super().add_entity(Observed, name=name)
            return

        @functools.wraps(entity)
        def observed(*arguments: Any) -> Any:
            begins(who, arguments[0])
            return entity(*arguments)

        super().add_entity(observed, name=name)

    def dispose(self) -> None:
        """The process is dead: close what orchestrators it held, before memory is collected."""
        if self._running is not None:
            self._running.turns.dispose()


class _Patient:
    """A backend whose calls are made again as long as it says that it cannot now.

    Then nothing was written, so a call that is repeated counts once.
    """

    def __init__(self, lender: AbstractAsyncContextManager[Backend]) -> None:
        self._lender = lender

    async def __aenter__(self) -> _Patient:
        self._backend = await self._lender.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._lender.__aexit__(*error)

    @property
    def capabilities(self) -> Capabilities:
        return self._backend.capabilities

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._backend, verb)

        async def insist(*arguments: Any, **options: Any) -> Any:
            while True:
                try:
                    return await call(*arguments, **options)
                except BackendUnavailableError:
                    await asyncio.sleep(0.3)

        return insist


class SimulatedClient(TaskHubClient):
    """The client, patient, and with a ledger of what it asks and is told."""

    def __init__(self, backend: Backend, evidence: Evidence) -> None:
        super().__init__(backend=backend)
        self._evidence = evidence

    def _backend(self) -> Any:
        return _Patient(super()._backend())

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        state = await super().get_orchestration_state(instance_id, fetch_payloads=fetch_payloads)
        if state is not None and fetch_payloads:
            self._evidence.told(state)
        return state

    async def wait_for_orchestration_completion(
        self, instance_id: str, *, timeout: timedelta | float | None = None
    ) -> OrchestrationState:
        state = await super().wait_for_orchestration_completion(instance_id, timeout=timeout)
        self._evidence.told(state)
        return state

    async def raise_event(self, instance_id: str, event_name: str, data: Any = None) -> None:
        payload = self._converter.serialize(data, where="an event")
        self._evidence.raised[instance_id, event_name, payload] += 1
        await super().raise_event(instance_id, event_name, data)
