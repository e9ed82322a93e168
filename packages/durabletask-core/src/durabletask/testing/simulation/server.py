"""The store model: the memory store behind a network, with everything that can go wrong in it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from durabletask.entities import EntityState, is_entity
from durabletask.errors import BackendUnavailableError, LaneFencedError, UnknownCommitError
from durabletask.store import FINISHED_STATUSES
from durabletask.store.entity_reader import state_of
from durabletask.stores.memory import MemoryStore
from durabletask.stores.memory.query import record
from durabletask.testing.simulation.faults import CallFaultKind, CommitFaultKind
from durabletask.testing.simulation.words import describe_answer, describe_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import Capabilities
    from durabletask.store import Batch, CommitResult, InstanceRecord
    from durabletask.testing.simulation.evidence import Evidence
    from durabletask.testing.simulation.world import Process, World

__all__ = ["ProcessDeath", "Server"]

_WRITERS = {
    *("commit", "open_lane", "close_lane", "take_over"),
    *("purge_instances", "purge_idle", "rewind_instances"),
}
"""Calls after which other processes are told that something was written."""

_CRASHES = {
    CommitFaultKind.CRASH_BEFORE,
    CommitFaultKind.CRASH_IN,
    CommitFaultKind.CRASH_AFTER,
}

_UNKNOWN = {CommitFaultKind.LOST, CommitFaultKind.LATE, CommitFaultKind.APPLIED}

_names = itertools.count()


class ProcessDeath(BaseException):
    """The process dies within a call that it makes without suspending."""


class _Request:
    """One call on its way."""

    __slots__ = ("answer", "arguments", "number", "options", "process", "verb")

    def __init__(
        self,
        process: Process,
        verb: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        number: int,
    ) -> None:
        self.process = process
        self.verb = verb
        self.arguments = arguments
        self.options = options
        self.number = number
        self.answer: asyncio.Future[Any] = process.loop.create_future()


class Server:
    """Carries out the calls of all processes, one at a time, when they arrive.

    Attributes:
        commit_faults, call_faults: by the number of the call.
        partitioned: how many partitions cut each process off, by name.
        slowness: how many times as long everything takes; the largest counts.
        hint_copies: how often a hint is delivered.
        calls, commits: how many were made so far.
    """

    def __init__(self, world: World, evidence: Evidence) -> None:
        self.commit_faults: dict[int, CommitFaultKind] = {}
        self.call_faults: dict[int, CallFaultKind] = {}
        self.partitioned: dict[str, int] = {}
        self.slowness: list[float] = []
        self.hint_copies = 1
        self.calls = 0
        self.commits = 0
        self._world = world
        self._evidence = evidence
        self._chance = world.stream("network")
        self._memory = MemoryStore(f"simulation-{next(_names)}", clock=lambda: world.now)
        self._own = world.new_process("store", is_mortal=False)
        self._embedded: set[Process] = set()
        self._wakes: dict[Process, Callable[[], None]] = {}
        self._do("open", (), {})

    @property
    def capabilities(self) -> Capabilities:
        return self._memory.capabilities

    @property
    def now(self) -> int:
        return self._world.now

    def join(self, process: Process, *, embedded: bool) -> None:
        """A process opens the store."""
        if embedded:
            self._embedded.add(process)

    def leave(self, process: Process) -> None:
        """A process closes the store, or is dead."""
        self._wakes.pop(process, None)
        self._embedded.discard(process)

    def subscribe(self, process: Process, wake: Callable[[], None]) -> None:
        """Tell a process when others have written something."""
        self._wakes[process] = wake

    # --- looking at it from outside ------------------------------------------------------------

    def expire_leases(self) -> None:
        """Let the leases of all lanes end now."""
        for lane in self._memory._opened().lanes.values():
            lane.until = self._world.now

    def unfinished(self) -> list[str]:
        """Ids of the instances that have not finished; entities never do."""
        instances = self._memory._opened().instances
        return [
            key
            for key, row in instances.items()
            if row.status not in FINISHED_STATUSES and not is_entity(key)
        ]

    def rows(self) -> dict[str, InstanceRecord]:
        """All instances, with payloads; no entities."""
        ids = [key for key in self._memory._opened().instances if not is_entity(key)]
        rows: dict[str, InstanceRecord] = self._do("get_instances", (ids,), {"payloads": True})
        return rows

    def entities(self) -> dict[str, EntityState]:
        """All entities that there is something of."""
        hub = self._memory._opened()
        states = {
            key: state_of(record(row, payloads=True), row.chunks)
            for key, row in hub.instances.items()
            if is_entity(key)
        }
        return {key: state for key, state in states.items() if state is not None}

    def remains(self) -> list[str]:
        """What is left to be done in the store though all instances have finished."""
        hub = self._memory._opened()
        left = [f"activity {row.row} is left in the queue" for row in hub.activities.values()]
        for row in hub.instances.values():
            if row.inbox or row.hidden:
                left.append(f"messages are left for {row.instance_id}")
        for key, state in self.entities().items():
            if state.locked_by is not None or state.backlog:
                left.append(f"{key} is locked by {state.locked_by}, {state.backlog} wait")
        return left

    def close(self) -> None:
        """Forget everything that is stored."""
        self._do("close", (), {})

    # --- calls that travel ---------------------------------------------------------------------

    async def call(
        self, process: Process, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Make a call from a process; what it raises is what the contract of Store allows."""
        self.calls += 1
        request = _Request(process, verb, arguments, options, self.calls)
        if self.partitioned.get(process.name):
            await self._elapse(process, 0.01)
            raise BackendUnavailableError("the network is partitioned")
        if verb == "commit":
            self.commits += 1
            self._send_commit(request, self._commit_fault(process))
        else:
            self._send(request, self.call_faults.get(self.calls - self.commits))
        return await request.answer

    def _commit_fault(self, process: Process) -> CommitFaultKind | None:
        fault = self.commit_faults.get(self.commits)
        return None if fault in _CRASHES and not process.is_mortal else fault

    async def _elapse(self, process: Process, seconds: float) -> None:
        elapsed = process.loop.create_future()
        self._world.after(seconds, lambda: _settle(elapsed), process)
        await elapsed

    def _send_commit(self, request: _Request, fault: CommitFaultKind | None) -> None:
        after, process = self._world.after, request.process
        if fault is None:
            after(self._latency(process), lambda: self._arrive(request, self._reply))
            return
        self._world.note(process.name, f"commit #{request.number} fails: {fault.value}")
        if fault is CommitFaultKind.REFUSED:
            after(self._latency(process), lambda: self._refuse(request), process)
        elif fault in _UNKNOWN:
            timeout = self._chance.choice((0.01, 0.5, 3.0))
            if fault is CommitFaultKind.APPLIED:
                after(self._latency(process), lambda: self._arrive(request, self._drop))
            elif fault is CommitFaultKind.LATE:
                late = timeout + self._chance.choice((0.0, 0.001, 0.003, 0.01, 5.0))
                after(late, lambda: self._arrive(request, self._drop))
            unknown = UnknownCommitError("the connection broke")
            after(timeout, lambda: _settle(request.answer, unknown), process)
        else:
            process.doomed = True  # it dies before its next callback, so it hears of no answer
            if fault is not CommitFaultKind.CRASH_BEFORE:
                after(self._latency(process), lambda: self._arrive(request, self._drop))

    def _send(self, request: _Request, fault: CallFaultKind | None) -> None:
        after, process = self._world.after, request.process
        latency = self._latency(process)
        if fault is None:
            after(latency, lambda: self._arrive(request, self._reply))
            return
        self._world.note(process.name, f"{request.verb} #{request.number} fails: {fault.value}")
        if fault is CallFaultKind.REFUSED:
            after(latency, lambda: self._refuse(request), process)
        elif fault is CallFaultKind.SLOW:
            delay = self._chance.choice((1.0, 4.0, 12.0))
            after(latency, lambda: self._arrive(request, self._reply, delay))
        else:
            after(latency, lambda: self._arrive(request, self._lose_answer))

    def _latency(self, process: Process) -> float:
        if process in self._embedded:
            return self._chance.uniform(0.000001, 0.0001)
        usual = self._chance.uniform(0.0001, 0.002)
        return usual * max(self.slowness, default=1.0) * (20 if self._chance.random() < 0.01 else 1)

    def _refuse(self, request: _Request) -> None:
        _settle(request.answer, BackendUnavailableError("the store cannot now"))

    def _arrive(
        self, request: _Request, reply: Callable[[_Request, Any, float], None], delay: float = 0.0
    ) -> None:
        answer = self._carry_out(request)
        reply(request, answer, delay)

    def _reply(self, request: _Request, answer: Any, delay: float) -> None:
        process = request.process
        self._world.after(
            delay + self._latency(process), lambda: _settle(request.answer, answer), process
        )

    def _drop(self, request: _Request, answer: Any, delay: float) -> None:
        """Nobody waits for the answer any more."""

    def _lose_answer(self, request: _Request, answer: Any, delay: float) -> None:
        """What a careful store does: it never says "nothing was written" if something was.

        A lane that may have claimed something it does not know of is ended; the other calls do no
        harm when they are repeated.
        """
        error: Exception = BackendUnavailableError("the answer was lost")
        if request.verb == "poll" and not isinstance(answer, Exception):
            self._do("close_lane", request.arguments[:1], {})
            error = LaneFencedError("the lane was ended, for the answer of a poll was lost")
        self._reply(request, error, self._chance.choice((0.01, 1.0)))

    # --- carrying them out ---------------------------------------------------------------------

    def commit_now(self, process: Process, batch: Batch) -> CommitResult | None:
        """Commit for an embedded process, without suspending.

        Raises:
            UnknownCommitError, ProcessDeath: as the plan says.
        """
        if self.partitioned.get(process.name) or self._chance.random() < 0.2:
            return None
        self.calls += 1
        self.commits += 1
        fault = self._commit_fault(process)
        if fault is CommitFaultKind.REFUSED:
            return None
        request = _Request(process, "commit", (batch,), {}, self.calls)
        if fault is not None:
            self._world.note(process.name, f"commit #{self.calls} fails: {fault.value}")
        answer: Any = None
        if fault not in (CommitFaultKind.LOST, CommitFaultKind.LATE, CommitFaultKind.CRASH_BEFORE):
            answer = self._carry_out(request)
        if fault in _CRASHES:
            process.doomed = True
            raise ProcessDeath
        if fault in _UNKNOWN:
            raise UnknownCommitError("an I/O error")
        return None if isinstance(answer, Exception) else answer

    def _carry_out(self, request: _Request) -> Any:
        """Do what is asked; the answer, or the exception that is one."""
        answer: Any
        try:
            answer = self._do(request.verb, request.arguments, request.options)
        except Exception as error:
            answer = error
        if request.verb == "commit" and not isinstance(answer, Exception):
            self._evidence.committed(self._world.now, request.arguments[0], answer)
        if request.verb == "rewind_instances" and answer is True:
            self._evidence.rewound(self._world.now, request.arguments[0])
        call = describe_call(request.verb, request.arguments)
        self._world.note(
            request.process.name, f"{call} #{request.number} -> {describe_answer(answer)}"
        )
        if request.verb in _WRITERS:
            self._hint(request.process)
        return answer

    def _do(self, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a coroutine of the memory store, which never suspends, to its end."""
        around = asyncio._get_running_loop()
        asyncio._set_running_loop(self._own.loop)
        try:
            getattr(self._memory, verb)(*arguments, **options).send(None)
        except StopIteration as stop:
            return stop.value
        finally:
            asyncio._set_running_loop(around)
        raise AssertionError(f"{verb} of the memory store has suspended")

    def _hint(self, writer: Process) -> None:
        for process, wake in self._wakes.items():
            if process is not writer:
                for _ in range(self.hint_copies):
                    self._world.after(self._latency(process), wake, process)


def _settle(answer: asyncio.Future[Any], outcome: Any = None) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
        answer.exception()  # its process may have stopped waiting
    else:
        answer.set_result(outcome)
