"""The worker: runs the orchestrators, activities and entities registered with it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from durabletask.arguments import check_type
from durabletask.backend import WorkerProfile
from durabletask.engine import Registry
from durabletask.errors import WorkerStateError
from durabletask.plugins import SharedBackend, plugin_manager
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter
from durabletask.worker.activities import ActivityRunner
from durabletask.worker.entities import EntityRunner
from durabletask.worker.loop import WorkerLoop
from durabletask.worker.machine import Machine
from durabletask.worker.options import WorkerOptions
from durabletask.worker.signals import stop_signals
from durabletask.worker.sized import SizedConverter
from durabletask.worker.turns import TurnRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from durabletask.backend import Backend, WorkItemSource
    from durabletask.plugins import Lease

__all__ = ["TaskHubWorker"]

_log = logging.getLogger("durabletask.worker")


class TaskHubWorker:
    """Runs orchestrations, activities and entities of one task hub on the caller's event loop.

    Register everything, then ``start``. Work whose names this worker does not know is left to
    others. A worker runs once: after ``stop`` make a new one.

    Args:
        url: as for :class:`durabletask.client.TaskHubClient`.
        backend: a Backend object built by hand, instead of a URL.
        task_hub_name: the task hub, if the URL does not name one.
        options: limits and choices.
        data_converter: turns payloads into JSON and back.

    Raises:
        BackendUrlError, BackendNotFoundError, ConfigurationError: the URL or backend is unusable.
        ArgumentTypeError: an argument is of the wrong type.

    Example::

        async with TaskHubWorker("sqlite:///orders.db") as worker:
            worker.add_orchestration(process_order)
            worker.add_activity(charge_card)
            await worker.start()
            ...
    """

    _machine = Machine()
    """Overridden where time is virtual."""

    def __init__(
        self,
        url: str | None = None,
        *,
        backend: Backend | None = None,
        task_hub_name: str | None = None,
        options: WorkerOptions | None = None,
        data_converter: DataConverter = DEFAULT_CONVERTER,
    ) -> None:
        check_type(options, WorkerOptions | None, "options", "a WorkerOptions object")
        check_type(data_converter, DataConverter, "data_converter", "a DataConverter object")
        self._shared = SharedBackend(url, backend=backend, task_hub_name=task_hub_name)
        self._options = options or WorkerOptions()
        self._converter = data_converter
        self._registry = Registry()
        self._state = "new"
        self._running: _Running | None = None

    def __repr__(self) -> str:
        return f"TaskHubWorker({self._shared!r}, {self._state})"

    # --- registration --------------------------------------------------------------------------

    def add_orchestration(
        self, orchestration: Callable[..., Any], *, name: str | None = None
    ) -> None:
        """Register an orchestrator under its own name or ``name``.

        Raises:
            RegistrationError: it has the wrong shape, or another function has the name.
            WorkerStateError: the worker has been started.
        """
        self._check_new("register an orchestration")
        self._registry.add_orchestration(orchestration, name=name)

    def add_activity(self, activity: Callable[..., Any], *, name: str | None = None) -> None:
        """Register an activity under its own name or ``name``. Raises as above."""
        self._check_new("register an activity")
        self._registry.add_activity(activity, name=name)

    def add_entity(self, entity: Callable[..., Any], *, name: str | None = None) -> None:
        """Register an entity, a class or a function, under its own name or ``name``.

        Raises:
            RegistrationError, WorkerStateError: as above.
        """
        self._check_new("register an entity")
        self._registry.add_entity(entity, name=name)

    def _check_new(self, what: str) -> None:
        if self._state != "new":
            raise WorkerStateError(
                f"cannot {what}: this worker is {self._state}; register everything before start()"
            )

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the backend and begin to work; returns once work can flow.

        Raises:
            WorkerStateError: it was started before, or nothing is registered.
            BackendUnavailableError, SchemaVersionError: the backend cannot be used, and how to
                mend that. The worker may be started again.
            CapabilityError: an entity is registered, and the backend has none.
        """
        if self._state != "new":
            raise WorkerStateError(
                f"this worker is {self._state}; a worker starts once, make a new one to go on"
            )
        registry = self._registry
        if not (registry.orchestrations or registry.activities or registry.entities):
            raise WorkerStateError(
                "nothing is registered: call add_orchestration, add_activity or add_entity before "
                "start()"
            )
        self._state = "starting"
        try:
            self._running = await self._begin()
        except BaseException:
            self._state = "new"
            raise
        self._state = "running"
        plugin_manager().worker_started(self._running.profile)

    async def _begin(self) -> _Running:
        lease = await self._shared.acquire()
        try:
            if self._registry.entities:
                lease.backend.capabilities.require("entities")
            profile = self._make_profile()
            source = await lease.backend.open_worker(profile)
        except BaseException:
            await lease.release()
            raise
        options = self._options
        converter = SizedConverter(self._converter, lease.backend.capabilities.max_payload_bytes)
        machine = self._machine
        threads = machine.threads(asyncio.get_running_loop(), options.max_activity_threads)
        turns = TurnRunner(
            source,
            self._registry,
            converter,
            options,
            machine.clock,
            lease.backend.capabilities,
        )
        activities = ActivityRunner(source, self._registry, converter, threads)
        entities = EntityRunner(source, self._registry, converter, options, machine.clock)
        loop = WorkerLoop(source, turns, activities, entities, machine.clock)
        loop.start()
        return _Running(lease, profile, source, turns, activities, loop)

    def _make_profile(self) -> WorkerProfile:
        return WorkerProfile(
            orchestrations={
                name: registration.fingerprint
                for name, registration in self._registry.orchestrations.items()
            },
            activities=frozenset(self._registry.activities),
            entities={
                name: registration.fingerprint
                for name, registration in self._registry.entities.items()
            },
            max_orchestrations=self._options.max_concurrent_orchestrations,
            max_activities=self._options.max_concurrent_activities,
            unregistered_grace=self._options.unregistered_grace,
            name=f"{socket.gethostname()}:{os.getpid()}",
            versions=self._options.versioning.rule,
        )

    async def stop(self, timeout: float | None = None) -> None:
        """Take no more work, wait for what runs, give the rest to others. Idempotent.

        Args:
            timeout: seconds to wait; None takes ``WorkerOptions.stop_timeout``. Activities that
                are still running then are abandoned and run again elsewhere.

        Raises:
            Exception: what broke the worker's loop, if that had happened. It is stopped all the
                same.
        """
        running, self._running = self._running, None
        if running is not None:
            self._state = "stopping"
            try:
                await running.end(self._options.stop_timeout if timeout is None else timeout)
            finally:
                self._state = "stopped"
                plugin_manager().worker_stopped(running.profile)
            if running.loop.error is not None:
                raise running.loop.error
        elif self._state == "new":
            self._state = "stopped"

    async def run(self) -> None:
        """Start and work until SIGINT or SIGTERM, then stop; for a process that is only a worker.

        Example::

            asyncio.run(worker.run())
        """
        async with self:
            await self.start()
            assert self._running is not None
            ended = self._running.loop.ended
            with stop_signals() as signalled:
                await asyncio.wait([ended, signalled], return_when=asyncio.FIRST_COMPLETED)

    async def __aenter__(self) -> Self:
        self._check_new("enter the context")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._state == "new":
            _log.warning("%r was never started, so it has done nothing: call start()", self)
        await self.stop()


class _Running(NamedTuple):
    """What a started worker holds."""

    lease: Lease
    profile: WorkerProfile
    source: WorkItemSource
    turns: TurnRunner
    activities: ActivityRunner
    loop: WorkerLoop

    async def end(self, timeout: float) -> None:
        """Drain, then release everything whatever happens."""
        try:
            await self.source.drain(timeout)
            await self.loop.close()
            self.activities.close()
            await self.turns.close()
        finally:
            await self.lease.release()
