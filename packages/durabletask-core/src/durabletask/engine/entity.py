"""What an entity remembers between its turns: state, lock, and the requests that wait.

Pure: requests in, an order in which to deal with them out. Rule *entity-serial*: an entity has one
object like this, its owner's, and its requests are dealt with one after the other as ``plan`` lines
them up. That is the order of arrival, but for this: while an execution of an orchestration holds
the lock, its own requests go on and all others wait.

The state of an entity is what its history says, from where its execution began: that is its input,
written by ``snapshot``. ``recall`` takes the events of its turns just as they were recorded, and
comes to the same place.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from durabletask.errors import BackendUnavailableError
from durabletask.history import (
    EntityAdvanced,
    EntityCaller,
    EntityLockGranted,
    EntityLockHolder,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    EntityUnlockSent,
    HistoryEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENTITY_REQUESTS", "Entity", "EntityPlan", "Operation"]

ENTITY_REQUESTS = (
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityLockRequested,
    EntityUnlockSent,
)

Operation = EntityOperationCalled | EntityOperationSignaled


class _Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an execution of an entity begins."""

    state: str | None = None
    lock: EntityLockHolder | None = None
    queue: tuple[EntityRequest, ...] = ()


_write = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder(_Snapshot).decode


class EntityPlan(msgspec.Struct, eq=False):
    """What one turn of an entity deals with.

    Attributes:
        settled: the requests by number, in the order in which they are dealt with.
        operations: those of them that run code.
        answers: what others are told because of the rest: who, and what. An entity's id or an
            orchestration's with its execution.
        lock_before, arrivals_before: who held the entity before, and how many requests it had got.
        is_partial: there was more to deal with, which is left to the next turn.
    """

    settled: dict[int, EntityRequest] = {}
    operations: list[Operation] = []
    answers: list[tuple[EntityCaller | str, HistoryEvent]] = []
    lock_before: EntityLockHolder | None = None
    arrivals_before: int = 0
    is_partial: bool = False


class Entity:
    """One entity, in the memory of its owner.

    Attributes:
        state: JSON text, or None if it has none.
        lock: who holds it.
    """

    __slots__ = ("_arrivals", "_queue", "lock", "state")

    def __init__(self, input: str | None = None) -> None:
        """An entity whose execution has this input.

        Raises:
            BackendUnavailableError: it was not written by ``snapshot``.
        """
        try:
            snapshot = _Snapshot() if input is None else _read(input)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise BackendUnavailableError(
                f"the state of an entity cannot be decoded: {error}"
            ) from error
        self.state = snapshot.state
        self.lock = snapshot.lock
        self._arrivals = len(snapshot.queue)
        # By number, and so in the order of arrival: numbers only grow.
        self._queue: dict[int, EntityRequest] = dict(enumerate(snapshot.queue, 1))

    def snapshot(self) -> str:
        """The input with which a new execution goes on from here."""
        return _write(_Snapshot(self.state, self.lock, self.waiting)).decode()

    @property
    def waiting(self) -> tuple[EntityRequest, ...]:
        """The requests that have not been dealt with, in the order of arrival."""
        return tuple(self._queue.values())

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to be remembered: it may as well not exist."""
        return self.state is None and self.lock is None and not self._queue

    @property
    def can_go_on(self) -> bool:
        """Whether a request waits that can be dealt with now."""
        return bool(self._candidates())

    # --- what happens to it --------------------------------------------------------------------

    def recall(self, history: Iterable[HistoryEvent]) -> None:
        """Take in the history of earlier turns."""
        for event in history:
            if isinstance(event, EntityAdvanced):
                for number in event.settled:
                    self._queue.pop(number, None)
                self.lock = event.lock
                if event.is_changed:
                    self.state = event.state
            else:
                self._receive(event)

    def plan(self, received: Iterable[HistoryEvent], most: int) -> EntityPlan:
        """Take in new requests, and line up what can be dealt with now.

        At most ``most`` operations that run code are planned. The requests leave the queue and the
        lock changes hands as planned. If the turn comes to nothing, ``undo`` takes all of it back.
        """
        plan = EntityPlan(lock_before=self.lock, arrivals_before=self._arrivals)
        for event in received:
            self._receive(event)
        candidates = self._candidates()
        while candidates:
            number = candidates.popleft()
            request = self._queue.get(number)
            if request is None:
                continue  # a request for the lock that was given up while it waited
            runs_code = isinstance(request, (EntityOperationCalled, EntityOperationSignaled))
            if runs_code and len(plan.operations) == most:
                plan.is_partial = True
                break
            lock = self.lock
            plan.settled[number] = self._queue.pop(number)
            if isinstance(request, EntityLockRequested):
                self._grant(request, plan)
            elif isinstance(request, EntityUnlockSent):
                self._release(request, plan)
            else:
                plan.operations.append(request)
            if self.lock is not lock:  # now others have their turn
                candidates = self._candidates()
        return plan

    def undo(self, plan: EntityPlan) -> None:
        """Be as before a plan whose turn came to nothing. What it has received comes again."""
        before = {**plan.settled, **self._queue}
        self._arrivals = plan.arrivals_before
        self._queue = {n: before[n] for n in sorted(before) if n <= self._arrivals}
        self.lock = plan.lock_before

    def _receive(self, event: HistoryEvent) -> None:
        if isinstance(event, ENTITY_REQUESTS):
            self._arrivals += 1
            self._queue[self._arrivals] = event

    def advanced(self, plan: EntityPlan, state: str | None) -> EntityAdvanced:
        """The record of a turn that has dealt with ``plan`` and left ``state`` behind."""
        is_changed = state != self.state
        self.state = state
        return EntityAdvanced(
            tuple(plan.settled), self.lock, is_changed, state if is_changed else None
        )

    # --- whose turn it is ----------------------------------------------------------------------

    def _candidates(self) -> deque[int]:
        """Numbers of the requests that may be dealt with while the lock stays as it is."""
        lock = self.lock
        if lock is None:
            return deque(self._queue)
        return deque(number for number, request in self._queue.items() if _may_pass(request, lock))

    def _grant(self, request: EntityLockRequested, plan: EntityPlan) -> None:
        caller, position = request.caller, request.position + 1
        if caller is None:
            return  # nobody would ever give it up
        self.lock = EntityLockHolder(caller, request.task_id)
        if position < len(request.entities):
            onward = msgspec.structs.replace(request, position=position)
            plan.answers.append((request.entities[position], onward))
        else:
            granted = EntityLockGranted(request.task_id, request.request_id)
            plan.answers.append((caller, granted))

    def _release(self, request: EntityUnlockSent, plan: EntityPlan) -> None:
        """Unlock, or let go of a request for the lock that still waits.

        Whoever gives up a lock that may not have been granted tells the first entity only. The
        word then follows the request from entity to entity, and ends where that waits.
        """
        if request.caller is None:
            return
        holder = EntityLockHolder(request.caller, request.lock_id)
        if self.lock == holder:
            self.lock = None
            if request.following:
                onward = msgspec.structs.replace(
                    request, entity_id=request.following[0], following=request.following[1:]
                )
                plan.answers.append((request.following[0], onward))
            return
        for number, other in self._queue.items():
            if (
                isinstance(other, EntityLockRequested)
                and other.caller == holder.caller
                and other.task_id == holder.lock_id
            ):
                plan.settled[number] = other
                del self._queue[number]
                return


def _may_pass(request: EntityRequest, lock: EntityLockHolder) -> bool:
    """Whether a request need not wait for the lock to be released.

    The holder's calls and its unlocking; and whoever gives up a request of its own that waits.
    """
    if isinstance(request, EntityUnlockSent):
        return True
    return isinstance(request, EntityOperationCalled) and request.caller == lock.caller
