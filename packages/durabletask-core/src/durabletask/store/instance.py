"""An instance this process owns, as far as its store does not know it yet."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from durabletask.engine import ENTITY_REQUESTS, Entity, EntityPlan
from durabletask.entities import is_entity
from durabletask.history import (
    EntityOperationCalled,
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    TaskCompleted,
    TaskFailed,
    TimerFired,
    decode_chunk,
    decode_event,
)
from durabletask.state import OrchestrationStatus, ParentInstance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.store.batch import NewInstance, NextExecution
    from durabletask.store.record import ClaimedInstance, InboxMessage

__all__ = ["NO_LOCKS", "NO_MESSAGES", "OwnedEntity", "OwnedInstance", "Phase"]

NO_MESSAGES: Final[Mapping[int, HistoryEvent]] = MappingProxyType({})
"""No messages. Shared, because few of very many instances have any at a time."""

NO_LOCKS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType({})
"""No locks. Shared, because most instances never have any."""

_FOR_ANY_EXECUTION = (
    EventRaised,
    ExecutionSuspended,
    ExecutionResumed,
    ExecutionTerminated,
    *ENTITY_REQUESTS,
)


class Phase(enum.Enum):
    """Where an owned instance stands. Only READY -> RUNNING -> COMMITTING -> READY or IDLE.

    LEAVING: its release is on the way to the store.
    """

    RECOVERING = enum.auto()
    IDLE = enum.auto()
    READY = enum.auto()
    RUNNING = enum.auto()
    COMMITTING = enum.auto()
    LEAVING = enum.auto()


class OwnedEntity(msgspec.Struct, eq=False):
    """What is known of an owned instance besides, if it is an entity.

    Attributes:
        memory: state, lock and queue as the next turn finds them.
        plan, received: of the turn that is out.
        weight: bytes of this execution's history.
        goes_on: the last turn left something that can be dealt with at once.
    """

    memory: Entity
    plan: EntityPlan | None = None
    received: Sequence[HistoryEvent] = ()
    weight: int = 0
    goes_on: bool = False


class OwnedInstance(msgspec.Struct, eq=False, gc=False):
    """Memory of one owned instance between its turns.

    Rule *turn-single* rests here within a process: an instance has one phase, and a turn is handed
    out only from READY. Across processes the lane's epoch holds it.

    Attributes:
        inbox: events for the next turn.
        inbox_messages: those of them that came as messages, by message id, in the same order;
            the outcomes of activities run by this lane and the start event are no messages.
        inbox_local: how many of them are outcomes of activities run by this lane.
        taken, taken_local: messages and outcomes of the turn that is out or being committed.
        outstanding: numbers of activities this lane runs whose outcome is not in the inbox yet.
        unrecorded: activities this lane ran or runs whose outcome no turn has recorded. While
            there is one the stored row must say busy, or a crash would lose it.
        continues: the last turn was made while this was owned, and is committed.
        history: what recovery has read of it, until the worker asks for it.
        since_birth: everything the client may ask about is known here (no earlier owner).
        locks: number of each lock this execution has asked for and not given up, to its entities;
            None if only the history knows.
        reopened: calls of entities that a rewind has opened anew, to be sent with the next turn.
        entity: set if this is an entity.

    ``gc=False``: nothing in it refers back to it, and there may be very many.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    input: str | None
    tags: dict[str, str] | None
    parent: ParentInstance | None
    created_at: int
    phase: Phase = Phase.IDLE
    inbox: Sequence[HistoryEvent] = ()
    inbox_messages: Mapping[int, HistoryEvent] = NO_MESSAGES
    inbox_local: int = 0
    taken: Mapping[int, HistoryEvent] = NO_MESSAGES
    taken_local: int = 0
    outstanding: set[int] = set()
    unrecorded: int = 0
    sequence: int = 0
    clock: int = 0
    status: OrchestrationStatus = OrchestrationStatus.PENDING
    busy: bool = True
    crashes: int = 0
    custom_status: str | None = None
    since_birth: bool = True
    continues: bool = False
    idle_since: float = 0.0
    history: list[HistoryEvent] | None = None
    locks: Mapping[int, tuple[str, ...]] | None = NO_LOCKS
    reopened: Sequence[EntityOperationCalled] = ()
    entity: OwnedEntity | None = None

    @classmethod
    def bare(cls, row: NewInstance | ClaimedInstance) -> OwnedInstance:
        """An instance with an empty inbox."""
        return cls(
            row.instance_id,
            row.execution_id,
            row.name,
            row.version,
            row.input,
            row.tags,
            row.parent,
            row.created_at,
        )

    @classmethod
    def created(cls, row: NewInstance) -> OwnedInstance:
        """A new instance that its lane owns from birth; its start event is in the inbox."""
        instance = cls.bare(row)
        if is_entity(row.instance_id):
            instance.entity = OwnedEntity(Entity(row.input))
        instance._put_start(row.start_at, None)
        return instance

    @classmethod
    def claimed(cls, row: ClaimedInstance) -> OwnedInstance:
        """An instance taken from the store, its messages in the inbox.

        Raises:
            BackendUnavailableError: part of it is damaged.
        """
        instance = cls.bare(row)
        if is_entity(row.instance_id):
            instance.entity = OwnedEntity(Entity(row.input))
        instance.sequence = row.sequence
        instance.clock = row.recorded_at
        instance.status = OrchestrationStatus(row.status)
        instance.busy = row.busy
        instance.crashes = row.crashes
        instance.since_birth = False
        if row.sequence == 0:
            instance._put_start(row.start_at, row.carryover)
        else:
            instance.locks = None
        instance.deliver(row.messages, ())
        return instance

    @property
    def has_turn(self) -> bool:
        """Whether there is something to make a turn of. An entity does nothing just to begin."""
        if self.entity is not None:
            return bool(self.inbox_messages) or self.entity.goes_on
        return bool(self.inbox)

    def _put_start(self, start_at: int, carryover: bytes | None) -> None:
        started = ExecutionStarted(
            self.name,
            self.instance_id,
            self.execution_id,
            self.input,
            self.version,
            self.parent,
            self.tags,
            start_at or None,
        )
        carried = decode_chunk(carryover) if carryover else ()
        self.inbox = [started, *carried, *self.inbox]

    def deliver(self, messages: Iterable[InboxMessage], handled: Iterable[int]) -> bool:
        """Put messages into the inbox that are not held yet; True if there was a new one.

        ``handled`` are ids consumed by commits that the reading of ``messages`` may not have
        seen; they must not be delivered twice.
        """
        held = {*self.inbox_messages, *self.taken, *handled}
        new = {
            message.message_id: decode_event(message.body)
            for message in messages
            if message.message_id not in held
        }
        if new:
            new = _timers_as_they_were_due(new)
            self.inbox = [*self.inbox, *new.values()]
            self.inbox_messages = {**self.inbox_messages, **new}
        return bool(new)

    def put_outcome(self, task_id: int, outcome: TaskCompleted | TaskFailed) -> bool:
        """Take the outcome of an activity this lane ran; False if it is not awaited (any more)."""
        if task_id not in self.outstanding:
            return False
        self.outstanding.remove(task_id)
        if isinstance(self.inbox, list):
            self.inbox.append(outcome)
        else:
            self.inbox = [outcome]
        self.inbox_local += 1
        return True

    def local_outcomes(self) -> list[HistoryEvent]:
        """Those in the inbox that are in this process only: of activities this lane ran."""
        messages = {id(event) for event in self.inbox_messages.values()}
        return [
            event
            for event in self.inbox
            if isinstance(event, (TaskCompleted, TaskFailed)) and id(event) not in messages
        ]

    def take(self) -> Sequence[HistoryEvent]:
        """Empty the inbox into a turn."""
        events, self.inbox = self.inbox, ()
        if self.inbox_messages:
            self.taken, self.inbox_messages = self.inbox_messages, NO_MESSAGES
        self.taken_local, self.inbox_local = self.inbox_local, 0
        self.phase = Phase.RUNNING
        return events

    def restore(self, events: list[HistoryEvent]) -> None:
        """Put the events of an abandoned turn back, ahead of what arrived since."""
        self.inbox = [*events, *self.inbox]
        self.inbox_messages = {**self.taken, **self.inbox_messages}
        self.taken = NO_MESSAGES
        self.inbox_local, self.taken_local = self.inbox_local + self.taken_local, 0
        self.phase = Phase.IDLE

    def continue_as_new(self, following: NextExecution) -> None:
        """Become the next execution.

        Events for the old execution are void. Those for any execution, which arrived after the
        last turn began, stay, behind the carried-over ones (rule *can-events*).
        """
        self.execution_id = following.execution_id
        self.input = following.input
        self.version = following.version
        self.inbox_messages = {
            message_id: event
            for message_id, event in self.inbox_messages.items()
            if isinstance(event, _FOR_ANY_EXECUTION)
        }
        self.inbox = [*self.inbox_messages.values()]
        self.inbox_local = 0
        self.sequence = 0
        self.outstanding.clear()
        self.unrecorded = 0
        self.busy = True
        self.status = OrchestrationStatus.RUNNING
        self.custom_status = None
        self.locks = NO_LOCKS
        if self.entity is not None:
            self.entity = OwnedEntity(Entity(self.input))
        self._put_start(0, following.carryover)


def _timers_as_they_were_due(messages: dict[int, HistoryEvent]) -> dict[int, HistoryEvent]:
    """Let timers fire in the order in which they were due, not in which they were created.

    Stores number a timer when it is created. Who looks late, say after all workers were away, finds
    several due at once; then the first to be due has to be the first to fire (rule *timer-time*).
    """
    timers = [entry for entry in messages.items() if isinstance(entry[1], TimerFired)]
    if len(timers) < 2:
        return messages
    due = iter(sorted(timers, key=_fire_at))
    return dict(
        next(due) if isinstance(entry[1], TimerFired) else entry for entry in messages.items()
    )


def _fire_at(entry: tuple[int, HistoryEvent]) -> int:
    assert isinstance(entry[1], TimerFired)
    return entry[1].fire_at
