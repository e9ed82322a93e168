"""What must hold of entities in the evidence, whatever went wrong.

What an entity did is written in its histories. A second, plain reading of the rules is held against
them here, and what its callers were told is held against both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from durabletask.entities import is_entity
from durabletask.history import (
    EntityAdvanced,
    EntityLockHolder,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityRequest,
    EntityUnlockSent,
    encode_event,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durabletask.testing.simulation.evidence import Evidence, Execution, TurnTaken

__all__ = ["check_entities"]

_REQUESTS = (
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityLockRequested,
    EntityUnlockSent,
)

_Call = tuple[str, int]
"""An execution of an orchestration, and the number of its call."""


def check_entities(evidence: Evidence) -> Iterator[str]:
    """Everything that is wrong with the entities of a simulation that has come to its end."""
    histories: dict[str, list[Execution]] = {}
    for execution in evidence.executions.values():
        if is_entity(execution.instance_id):
            histories.setdefault(execution.instance_id, []).append(execution)
    yield from _nothing_is_lost_or_doubled(evidence, histories)
    settled: dict[_Call, int] = {}
    for instance_id, executions in histories.items():
        reader = _Reader()
        for execution in executions:
            reader.begin()
            for turn in execution.turns:
                yield from (f"{instance_id}: {text}" for text in reader.read(turn))
        settled |= reader.settled
    yield from _answers_lie_between(evidence, settled)


def _nothing_is_lost_or_doubled(
    evidence: Evidence, histories: dict[str, list[Execution]]
) -> Iterator[str]:
    """Every message to an entity is received, and once."""
    received: Counter[tuple[str, bytes]] = Counter()
    for instance_id, executions in histories.items():
        for execution in executions:
            for event in execution.events:
                if isinstance(event, _REQUESTS):
                    received[instance_id, encode_event(event)] += 1
    for what in evidence.asked.keys() | received.keys():
        if evidence.asked[what] != received[what]:
            yield f"{what} was sent {evidence.asked[what]} times, and received {received[what]}"


class _Reader:
    """Reads the turns of one entity, and finds what is against the rules.

    Attributes:
        settled: in which turn each call of an orchestration was dealt with.
    """

    def __init__(self) -> None:
        self.settled: dict[_Call, int] = {}
        self._lock: EntityLockHolder | None = None
        self._queue: list[EntityRequest] = []
        self._numbers: dict[int, EntityRequest] = {}
        self._given_up: EntityLockHolder | None = None

    def begin(self) -> None:
        """A new execution: what waits is numbered anew."""
        self._numbers = dict(enumerate(self._queue, 1))

    def read(self, turn: TurnTaken) -> Iterator[str]:
        """What is wrong with a turn."""
        *_, record = turn.events
        for event in turn.events:
            if isinstance(event, _REQUESTS):
                self._queue.append(event)
                self._numbers[len(self._numbers) + 1] = event
        if not isinstance(record, EntityAdvanced):
            yield f"turn {turn.sequence} does not tell what it came to"
            return
        for number in record.settled:
            request = self._numbers.get(number)
            if request is None or not any(request is waiting for waiting in self._queue):
                yield f"request {number} is settled in turn {turn.sequence}, but does not wait"
                continue
            if request is not self._next(request):
                yield f"{request} jumps the queue in turn {turn.sequence} under {self._lock}"
            self._queue = [waiting for waiting in self._queue if waiting is not request]
            self._settle(request, turn)
        if self._lock != record.lock:
            yield f"turn {turn.sequence} ends locked by {record.lock}, not by {self._lock}"
            self._lock = record.lock

    def _next(self, request: EntityRequest) -> EntityRequest | None:
        """The one whose turn it is, if ``request`` is of a kind whose turn it may be at all."""
        lock = self._lock
        if self._given_up is not None and isinstance(request, EntityLockRequested):
            return request if self._given_up == _holder(request) else None
        if lock is None:
            return self._queue[0]
        for waiting in self._queue:
            if isinstance(waiting, EntityUnlockSent) or (
                isinstance(waiting, EntityOperationCalled) and waiting.caller == lock.caller
            ):
                return waiting
        return None

    def _settle(self, request: EntityRequest, turn: TurnTaken) -> None:
        given_up, self._given_up = self._given_up, None
        if isinstance(request, EntityLockRequested):
            if _holder(request) != given_up:
                self._lock = _holder(request)
        elif isinstance(request, EntityUnlockSent):
            assert request.caller is not None
            holder = EntityLockHolder(request.caller, request.lock_id)
            if self._lock == holder:
                self._lock = None
            elif any(
                isinstance(waiting, EntityLockRequested) and _holder(waiting) == holder
                for waiting in self._queue
            ):
                self._given_up = holder
        elif isinstance(request, EntityOperationCalled) and request.caller is not None:
            self.settled[request.caller.execution_id, request.task_id] = turn.order


def _holder(request: EntityLockRequested) -> EntityLockHolder:
    assert request.caller is not None
    return EntityLockHolder(request.caller, request.task_id)


def _answers_lie_between(evidence: Evidence, settled: dict[_Call, int]) -> Iterator[str]:
    """Each operation that was answered took effect between its call and its answer.

    With that, the order in which an entity has dealt with its operations is one in which they might
    have come one after the other: that is what linearizable means.
    """
    for execution in evidence.executions.values():
        if is_entity(execution.instance_id):
            continue
        called: dict[int, int] = {}
        for turn in execution.turns:
            for event in turn.events:
                if isinstance(event, EntityOperationCalled):
                    called[event.task_id] = turn.order
                elif isinstance(event, EntityOperationCompleted | EntityOperationFailed):
                    at = settled.get((execution.execution_id, event.task_id))
                    if at is None or not called[event.task_id] < at < turn.order:
                        yield (
                            f"{execution.instance_id}: call {event.task_id} was made in turn "
                            f"{called[event.task_id]} and answered in {turn.order}, but its entity "
                            f"has dealt with it in {at}"
                        )
