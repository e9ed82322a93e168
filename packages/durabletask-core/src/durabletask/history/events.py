"""History events: plain frozen structs, one per kind, in the terms of the Durable Task protocol.

A history is the concatenation of the turns of one execution. A turn is recorded as
``OrchestratorStarted``, then the events it received, then the events of what it asked for, then
perhaps ``ExecutionCompleted``. ``task_id`` is the number of the scheduling call, counted from 1
within an execution. An entity has a history too, of which only what follows its last turn matters;
its turns are ``OrchestratorStarted``, the requests received, ``EntityAdvanced``.

``request_id`` is how whoever asks an entity for something has named that, where workers of other
libraries choose a text; their answer has to say the same. Workers of this library go by the number
alone.

Instants are ``int`` microseconds since the Unix epoch, UTC. Payloads are JSON text, or None when
absent. The ``tag`` of a class is its code in storage: never reuse or change one.
"""

from __future__ import annotations

import msgspec

from durabletask.state import FailureDetails, ParentInstance

__all__ = [
    "ContinuedAsNew",
    "EntityAdvanced",
    "EntityCaller",
    "EntityLockGranted",
    "EntityLockHolder",
    "EntityLockRequested",
    "EntityOperationCalled",
    "EntityOperationCompleted",
    "EntityOperationFailed",
    "EntityOperationSignaled",
    "EntityRequest",
    "EntityUnlockSent",
    "EventRaised",
    "EventSent",
    "ExecutionCompleted",
    "ExecutionResumed",
    "ExecutionRewound",
    "ExecutionStarted",
    "ExecutionSuspended",
    "ExecutionTerminated",
    "HistoryEvent",
    "OrchestratorStarted",
    "PatchApplied",
    "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceCreated",
    "SubOrchestrationInstanceFailed",
    "TaskCompleted",
    "TaskFailed",
    "TaskScheduled",
    "TimerCreated",
    "TimerFired",
]


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """Base of all events. ``gc=False``: events hold values and no cycles, and are many."""


class OrchestratorStarted(_Event, frozen=True, tag=1):
    """A turn began at ``timestamp``, which is the orchestrator's clock for the whole turn."""

    timestamp: int


class ExecutionStarted(_Event, frozen=True, tag=2):
    """The first event of every execution."""

    name: str
    instance_id: str
    execution_id: str
    input: str | None = None
    version: str | None = None
    parent: ParentInstance | None = None
    tags: dict[str, str] | None = None
    scheduled_start_at: int | None = None


class TaskScheduled(_Event, frozen=True, tag=3):
    """An activity was scheduled. A retry repeats the number of the first attempt.

    ``origin`` is the execution that did it, if that was one from before a rewind.
    """

    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    origin: str | None = None


class TaskCompleted(_Event, frozen=True, tag=4):
    """The activity ``task_id`` returned ``result``."""

    task_id: int
    result: str | None = None


class TaskFailed(_Event, frozen=True, tag=5):
    """The activity ``task_id`` failed."""

    task_id: int
    failure: FailureDetails


class TimerCreated(_Event, frozen=True, tag=6):
    """A durable timer was created; ``fire_at`` is as asked, even if in the past."""

    task_id: int
    fire_at: int


class TimerFired(_Event, frozen=True, tag=7):
    """The timer ``task_id`` is due by the store's clock."""

    task_id: int
    fire_at: int


class SubOrchestrationInstanceCreated(_Event, frozen=True, tag=8):
    """A child was started. A retry repeats the number and the id of the first attempt."""

    task_id: int
    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None


class SubOrchestrationInstanceCompleted(_Event, frozen=True, tag=9):
    """The child of call ``task_id`` completed."""

    task_id: int
    result: str | None = None


class SubOrchestrationInstanceFailed(_Event, frozen=True, tag=10):
    """The child of call ``task_id`` failed, was terminated, or could not be created."""

    task_id: int
    failure: FailureDetails


class EventSent(_Event, frozen=True, tag=11):
    """An external event was sent to another instance."""

    task_id: int
    instance_id: str
    name: str
    input: str | None = None


class EventRaised(_Event, frozen=True, tag=12):
    """An external event arrived. ``name`` is kept as sent; matching ignores case."""

    name: str
    input: str | None = None


class ExecutionSuspended(_Event, frozen=True, tag=13):
    """The instance was suspended by an operator."""

    reason: str | None = None


class ExecutionResumed(_Event, frozen=True, tag=14):
    """The instance was resumed by an operator."""

    reason: str | None = None


class ExecutionTerminated(_Event, frozen=True, tag=15):
    """The instance was terminated. ``output`` is JSON text, stored verbatim as its output."""

    output: str | None = None
    recurse: bool = True


class ExecutionCompleted(_Event, frozen=True, tag=16):
    """The last event of a finished execution. ``status`` is the final status's name."""

    status: str
    result: str | None = None
    failure: FailureDetails | None = None


class ContinuedAsNew(_Event, frozen=True, tag=17):
    """The last event of an execution that went on as a new one."""

    input: str | None = None


class ExecutionRewound(_Event, frozen=True, tag=18):
    """The execution, which had failed, goes on without what failed.

    What precedes it was recorded by ``execution_id``; an orchestrator does not hear of it.
    """

    execution_id: str
    reason: str | None = None


class PatchApplied(_Event, frozen=True, tag=19):
    """The orchestrator asked for the patch in a live turn, and has taken the new path since."""

    patch_id: str


# --- entities ------------------------------------------------------------------------------------


class EntityCaller(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which execution of which orchestration has asked an entity for something."""

    instance_id: str
    execution_id: str


class EntityOperationCalled(_Event, frozen=True, tag=32):
    """An operation was called: in the history of the orchestration, and as what the entity gets.

    ``caller`` is told by the backend on the way; the orchestration's own history has none.
    """

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    caller: EntityCaller | None = None
    request_id: str | None = None


class EntityOperationSignaled(_Event, frozen=True, tag=33):
    """An operation was signalled, by an orchestration, another entity or a client (``task_id`` 0).

    ``scheduled_at``: not before this instant by the store's clock.
    """

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    scheduled_at: int | None = None
    request_id: str | None = None


class EntityOperationCompleted(_Event, frozen=True, tag=34):
    """The entity has answered the call ``task_id``."""

    task_id: int
    result: str | None = None
    request_id: str | None = None


class EntityOperationFailed(_Event, frozen=True, tag=35):
    """The operation of the call ``task_id`` has failed, and changed nothing."""

    task_id: int
    failure: FailureDetails
    request_id: str | None = None


class EntityLockRequested(_Event, frozen=True, tag=36):
    """A lock of several entities was asked for. The request visits them in their sorted order.

    ``position``: of the entity that gets it, in ``entities``.
    """

    task_id: int
    entities: tuple[str, ...]
    position: int = 0
    caller: EntityCaller | None = None
    request_id: str | None = None


class EntityLockGranted(_Event, frozen=True, tag=37):
    """All entities of the lock ``task_id`` are held."""

    task_id: int
    request_id: str | None = None


class EntityUnlockSent(_Event, frozen=True, tag=38):
    """The lock ``lock_id`` of an entity was given up; ``request_id`` is that of the lock.

    ``following``: entities to be told by this one, because the request for the lock may still be
    on its way: it is sent after the request on the same path, so it never overtakes it. An entity
    that had the request waiting drops it, and tells nobody.
    """

    task_id: int
    entity_id: str
    lock_id: int
    caller: EntityCaller | None = None
    following: tuple[str, ...] = ()
    request_id: str | None = None


class EntityLockHolder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who holds an entity locked: the execution, and the number of its request."""

    caller: EntityCaller
    lock_id: int


class EntityAdvanced(_Event, frozen=True, tag=39):
    """What a turn of an entity came to; the last event of each of its turns.

    Attributes:
        settled: numbers of the requests that were dealt with, in that order. The requests of an
            execution are numbered from 1: those it began with, then those it receives.
        lock: who holds the entity afterwards.
        is_changed: the state is another afterwards, ``state``; None: it has none.
    """

    settled: tuple[int, ...] = ()
    lock: EntityLockHolder | None = None
    is_changed: bool = False
    state: str | None = None


EntityRequest = (
    EntityOperationCalled | EntityOperationSignaled | EntityLockRequested | EntityUnlockSent
)
"""What an entity is asked for."""


HistoryEvent = (
    OrchestratorStarted
    | ExecutionStarted
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | TimerCreated
    | TimerFired
    | SubOrchestrationInstanceCreated
    | SubOrchestrationInstanceCompleted
    | SubOrchestrationInstanceFailed
    | EventSent
    | EventRaised
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionTerminated
    | ExecutionCompleted
    | ContinuedAsNew
    | ExecutionRewound
    | PatchApplied
    | EntityOperationCalled
    | EntityOperationSignaled
    | EntityOperationCompleted
    | EntityOperationFailed
    | EntityLockRequested
    | EntityLockGranted
    | EntityUnlockSent
    | EntityAdvanced
)
"""Any history event."""
