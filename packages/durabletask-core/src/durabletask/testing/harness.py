"""Orchestrations in a test: the production engine and worker, in memory, on a virtual clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from msgspec import UNSET

from durabletask.client import TaskHubClient
from durabletask.errors import (
    ConfigurationError,
    EntityNotRegisteredError,
    InstanceNotFoundError,
    InvalidRequestError,
    NonDeterminismError,
    WorkerStateError,
)
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter
from durabletask.task._decorators import definition_of
from durabletask.testing.activities import Activities, ActivityMock, outcome_of
from durabletask.testing.calls import EntityCalls
from durabletask.testing.clock import START_TIME, VirtualClock
from durabletask.testing.hub import VirtualHub
from durabletask.worker import TaskHubWorker, WorkerOptions
from durabletask.worker.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from types import TracebackType

    from durabletask.entities import EntityId, EntityState
    from durabletask.history import HistoryEvent
    from durabletask.state import OrchestrationState

__all__ = ["OrchestrationTester"]

ResultT = TypeVar("ResultT")

_TICK = 2.0**-16
"""Seconds between two looks at the clock, 15 us; in binary, so that differences are exact."""


class _Worker(TaskHubWorker):
    """The worker, for whom a piece of work takes the same time at every run.

    By the real clock it lets others run after some milliseconds of work, which is sooner or later
    as the machine is busy or not, and so would the order be of what is ready at one instant.
    """

    def __init__(self, hub: VirtualHub, options: WorkerOptions, converter: DataConverter) -> None:
        super().__init__(backend=hub, options=options, data_converter=converter)
        self._machine = Machine(clock=count(0.0, _TICK).__next__)


class OrchestrationTester:
    """Runs orchestrations in this process, without waiting and with the same result every time.

    Everything is as in production but the clock and the threads: the clock stands still until all
    work is done and then jumps to the next timer, and activities run one after another on the
    event loop. Delays of retries, timeouts of events and ``start_at`` pass in no time. Only what
    an activity itself awaits takes the time it takes.

    Args:
        start_time: what the clock shows at first; naive means UTC.
        options: limits and choices of the worker. By default it keeps no session: each turn
            replays the ones before it, so that code which does not repeat itself is found.
        data_converter: turns payloads into JSON and back.

    Example::

        async with OrchestrationTester() as tester:
            tester.add_orchestration(approval)
            charge = tester.mock_activity("charge_card", returns="receipt-1")
            state = await tester.run(approval, input=order)
            assert state.result == "approved"
            assert charge.calls == [{"amount": 10}]
    """

    def __init__(
        self,
        *,
        start_time: datetime = START_TIME,
        options: WorkerOptions | None = None,
        data_converter: DataConverter = DEFAULT_CONVERTER,
    ) -> None:
        self._clock = VirtualClock(start_time)
        self._hub = VirtualHub(self._clock)
        self._activities = Activities()
        options = options or WorkerOptions(max_cached_sessions=0)
        self._worker = _Worker(self._hub, options, data_converter)
        self._client = TaskHubClient(backend=self._hub, data_converter=data_converter)
        self._calls = EntityCalls(data_converter)
        self._has_entities = False
        self._entered = False
        self._started = 0
        self._working = False
        self._starting = asyncio.Lock()

    # --- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        self._entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        await self._worker.stop(0)
        await self._client.close()
        await self._hub.close()

    async def _work(self) -> None:
        """Start the worker at the first need; by then everything is registered."""
        if not self._entered:
            raise WorkerStateError(
                "use the tester inside `async with OrchestrationTester() as ...`"
            )
        async with self._starting:
            if not self._working:
                await self._worker.start()
                self._working = True

    # --- what is tested ------------------------------------------------------------------------

    def add_orchestration(
        self, orchestration: Callable[..., Any], *, name: str | None = None
    ) -> None:
        """Register an orchestrator, as with ``TaskHubWorker.add_orchestration``."""
        self._worker.add_orchestration(orchestration, name=name)

    def add_activity(self, activity: Callable[..., Any], *, name: str | None = None) -> None:
        """Register an activity, as with ``TaskHubWorker.add_activity``."""
        self._worker.add_activity(self._activities.wrap(activity, name), name=name)

    def add_entity(self, entity: Callable[..., Any], *, name: str | None = None) -> None:
        """Register an entity, as with ``TaskHubWorker.add_entity``."""
        self._worker.add_entity(entity, name=name)
        if not self._has_entities:
            self._worker.add_orchestration(self._calls.orchestrator, name=self._calls.name)
            self._has_entities = True

    def mock_activity(
        self,
        activity: Callable[..., Any] | str,
        *,
        returns: Any = UNSET,
        raises: BaseException | type[BaseException] | None = None,
        sequence: Iterable[Any] | None = None,
        calls: Callable[..., Any] | None = None,
    ) -> ActivityMock:
        """Let something else answer the calls of an activity, registered or not.

        An activity that is registered can be mocked, and mocked again, at any time; another only
        before the first orchestration starts.

        Args:
            activity: the function, or the name it is called by.
            returns: every call returns this.
            raises: every call raises this.
            sequence: the outcomes of one call after another; exceptions are raised.
            calls: a function, called as the activity would be; it may be an ``async def``.

        Raises:
            ConfigurationError: not exactly one of the four is given.
            WorkerStateError: the name is new, and an orchestration has been started.
        """
        given = [returns is not UNSET, raises is not None, sequence is not None, calls is not None]
        name = activity if isinstance(activity, str) else definition_of(activity).name
        if sum(given) != 1:
            raise ConfigurationError(
                f"the mock of activity {name!r} needs exactly one of returns=, raises=, "
                "sequence= and calls="
            )
        act = calls
        if sequence is not None:
            act = self._activities.in_turn(name, sequence)
        elif act is None:
            outcome = returns if raises is None else raises
            act = (lambda *_: outcome_of(outcome)) if raises is not None else (lambda *_: outcome)
        if not self._activities.knows(name):
            self.add_activity(_unwritten if isinstance(activity, str) else activity, name=name)
        return self._activities.add_mock(name, act)

    # --- starting and signalling ---------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What the virtual clock shows, aware and in UTC."""
        return self._clock.now

    @property
    def client(self) -> TaskHubClient:
        """A client for everything else: suspend, terminate, query, purge.

        It does not move the clock: waits of its own need another coroutine that calls
        :meth:`advance`. A ``start_at`` relative to now is relative to the machine's clock; use
        :meth:`start`.
        """
        return self._client

    async def start(
        self,
        orchestration: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | timedelta | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an instance and return its id; None chooses ``NAME-1``, ``NAME-2`` and so on.

        Arguments and errors are those of ``TaskHubClient.schedule_new_orchestration``;
        ``start_at`` is by the virtual clock.
        """
        await self._work()
        self._started += 1
        if instance_id is None:
            name = (
                orchestration
                if isinstance(orchestration, str)
                else definition_of(orchestration).name
            )
            instance_id = f"{name}-{self._started}"
        return await self._client.schedule_new_orchestration(
            orchestration,
            input=input,
            instance_id=instance_id,
            start_at=self.now + start_at if isinstance(start_at, timedelta) else start_at,
            version=version,
            tags=tags,
        )

    async def raise_event(self, instance_id: str, event_name: str, data: Any = None) -> None:
        """Deliver an external event, as ``TaskHubClient.raise_event`` does."""
        await self._work()
        await self._client.raise_event(instance_id, event_name, data)

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Send an operation to an entity, as ``TaskHubClient.signal_entity`` does.

        ``signal_time`` is by the virtual clock.
        """
        await self._work()
        at = self.now + signal_time if isinstance(signal_time, timedelta) else signal_time
        await self._client.signal_entity(entity_id, operation, input, signal_time=at)

    @overload
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        return_type: type[ResultT],
        timeout: timedelta | float | None = None,
    ) -> ResultT: ...
    @overload
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        return_type: Any = None,
        timeout: timedelta | float | None = None,
    ) -> Any: ...
    async def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        return_type: Any = None,
        timeout: timedelta | float | None = None,
    ) -> Any:
        """Have an entity run an operation, as an orchestration would, and wait for the answer.

        Time passes as in :meth:`wait`: if the entity is locked, until it is not.

        Args:
            input: what the operation gets.
            return_type: the type to rebuild the answer as; without it, plain JSON data.
            timeout: virtual time, a timedelta or seconds.

        Raises:
            TaskFailedError: the operation raised, or there is none of that name.
            TimeoutError: as :meth:`wait` says. The operation runs all the same, when it can.
            EntityNotRegisteredError: there is no code for that entity.
            SerializationError: ``input`` cannot be serialized, or the answer is no ``return_type``.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """
        call = self._calls.add(entity_id, operation, input)
        if not self._has_entities:
            raise EntityNotRegisteredError(entity_id.name, [])
        await self._work()
        await self._client.schedule_new_orchestration(self._calls.name, instance_id=call)
        return self._calls.answer(await self.wait(call, timeout=timeout), return_type)

    # --- letting things happen -----------------------------------------------------------------

    async def run(
        self,
        orchestration: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | timedelta | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        timeout: timedelta | float | None = None,
    ) -> OrchestrationState:
        """Start an instance and wait until it has finished: :meth:`start`, then :meth:`wait`."""
        started = await self.start(
            orchestration,
            input=input,
            instance_id=instance_id,
            start_at=start_at,
            version=version,
            tags=tags,
        )
        return await self.wait(started, timeout=timeout)

    async def wait(
        self, instance_id: str, *, timeout: timedelta | float | None = None
    ) -> OrchestrationState:
        """Let time pass until the instance is COMPLETED, FAILED or TERMINATED.

        Args:
            timeout: virtual time, a timedelta or seconds. An orchestration that goes on for ever
                needs one.

        Raises:
            TimeoutError: that time has passed; or, at once, nothing can happen any more however
                much time passes, because the instance waits for an event or is suspended.
            InstanceNotFoundError: there is no such instance.
            NonDeterminismError: the orchestrator does not repeat itself when it is replayed.
            ActivityNotRegisteredError, OrchestrationNotRegisteredError: something is called that
                is neither registered nor mocked.
        """
        deadline = None if timeout is None else self._clock() + _micros(timeout)
        while True:
            await self.settle()
            state = await self._client.get_orchestration_state(instance_id)
            if state is None:
                raise InstanceNotFoundError(instance_id)
            if state.runtime_status.is_finished:
                return state
            _check_not_parked(state)
            await self._hub.check_names()
            if not self._hub.resting:
                continue
            # No await between here and the move: two that wait move the clock once.
            due = self._hub.next_due
            if due is not None and (deadline is None or due <= deadline):
                self._hub.move_to(due)
                continue
            async for other in self._client.iter_orchestrations():
                _check_not_parked(other)
            if deadline is not None:
                self._hub.move_to(deadline)
            raise TimeoutError(_stuck(state, timeout))

    async def advance(self, duration: timedelta | float) -> None:
        """Let this much time pass (a timedelta or seconds), stopping at every timer on the way.

        Raises:
            InvalidRequestError: the duration is negative.
        """
        target = self._clock() + _micros(duration)
        while True:
            await self.settle()
            due = self._hub.next_due
            if due is None or due > target:
                break
            self._hub.move_to(due)
        self._hub.move_to(target)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen for which no time has to pass.

        Raises:
            ConfigurationError: a mock has run out of outcomes.
        """
        await self._work()
        while not self._hub.resting:
            if self._activities.running:
                await self._activities.one_ended()
            else:
                await asyncio.sleep(0)
        fault, self._activities.fault = self._activities.fault, None
        if fault is not None:
            raise fault

    # --- looking at it -------------------------------------------------------------------------

    async def entity(self, entity_id: EntityId) -> EntityState | None:
        """The entity once everything has happened likewise; None if there is nothing of it."""
        await self.settle()
        return await self._client.get_entity(entity_id)

    async def state(self, instance_id: str) -> OrchestrationState:
        """The state once everything has happened for which no time has to pass.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        await self.settle()
        state = await self._client.get_orchestration_state(instance_id)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        return state

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """The history likewise, as ``save_history`` and ``replay_history`` take it."""
        await self.settle()
        return await self._client.get_orchestration_history(instance_id)


def _unwritten(ctx: Any, input: Any) -> None:
    """Registered for an activity that is known by its mock only."""


def _check_not_parked(state: OrchestrationState) -> None:
    if state.parked_reason is not None:
        raise NonDeterminismError(
            f"orchestration {state.instance_id!r} was set aside: {state.parked_reason}"
        )


def _micros(duration: timedelta | float) -> int:
    if not isinstance(duration, timedelta):
        duration = timedelta(seconds=duration)
    if duration < timedelta(0):
        raise InvalidRequestError(f"time does not pass backwards: {duration!r}")
    return duration // timedelta(microseconds=1)


def _stuck(state: OrchestrationState, timeout: timedelta | float | None) -> str:
    place = f"orchestration {state.instance_id!r} is {state.runtime_status.value}"
    if timeout is not None:
        return f"{place} after {timeout} of virtual time"
    return (
        f"{place} and nothing can happen any more: all activities have ended and no timer is due. "
        "It waits for an event (raise it first, or from another coroutine), for another instance, "
        "or for resume"
    )
