"""What an orchestrator asks for in a turn: plain frozen structs, one per kind.

Actions are what a completed turn hands to a backend (seam 1). ``task_id`` is the number of the
call, counted from 1 within an execution. Payloads are JSON text or None; instants are ``int``
microseconds since the Unix epoch, UTC. ``request_id`` is how a worker of another library has named
what it asks of an entity; see :mod:`durabletask.history`.
"""

from __future__ import annotations

import msgspec

from durabletask.history import EventRaised
from durabletask.state import FailureDetails, OrchestrationStatus

__all__ = [
    "Action",
    "ApplyPatch",
    "CallEntity",
    "CompleteOrchestration",
    "ContinueAsNew",
    "CreateSubOrchestration",
    "CreateTimer",
    "EntityAction",
    "LockEntities",
    "ScheduleTask",
    "SendEvent",
    "SignalEntity",
    "StartOrchestration",
    "UnlockEntity",
]


class ScheduleTask(msgspec.Struct, frozen=True, gc=False):
    """Run an activity. A retry repeats the number of the first attempt, and its origin."""

    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    origin: str | None = None


class CreateTimer(msgspec.Struct, frozen=True, gc=False):
    """Fire a durable timer at ``fire_at``, at once if that is past."""

    task_id: int
    fire_at: int


class CreateSubOrchestration(msgspec.Struct, frozen=True, gc=False):
    """Start a child.

    ``retried`` lets it replace the finished child of an earlier attempt, or of one that a rewind
    has taken back.
    """

    task_id: int
    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    retried: bool = False


class SendEvent(msgspec.Struct, frozen=True, gc=False):
    """Raise an external event on another instance; dropped if that does not exist."""

    task_id: int
    instance_id: str
    name: str
    input: str | None = None


class CallEntity(msgspec.Struct, frozen=True, gc=False):
    """Run an operation of an entity, and hear of its outcome."""

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    request_id: str | None = None


class SignalEntity(msgspec.Struct, frozen=True, gc=False):
    """Have an operation run by an entity; ``scheduled_at`` at the earliest, if that is given.

    Entities do this too; then ``task_id`` is 0.
    """

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    scheduled_at: int | None = None
    request_id: str | None = None


class LockEntities(msgspec.Struct, frozen=True, gc=False):
    """Lock these entities, sorted and each of them once, and hear when all are held."""

    task_id: int
    entities: tuple[str, ...]
    request_id: str | None = None


class UnlockEntity(msgspec.Struct, frozen=True, gc=False):
    """Give up one entity of the lock ``lock_id``; ``request_id`` is that of the lock."""

    task_id: int
    entity_id: str
    lock_id: int
    request_id: str | None = None


class StartOrchestration(msgspec.Struct, frozen=True, gc=False):
    """An entity starts an orchestration; nothing happens if there is one of this id."""

    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    start_at: int | None = None


class ApplyPatch(msgspec.Struct, frozen=True, gc=False):
    """Record that this execution takes the new path of a patch. No call, so it has no number."""

    patch_id: str


class CompleteOrchestration(msgspec.Struct, frozen=True, gc=False):
    """End the instance as COMPLETED, FAILED or TERMINATED."""

    status: OrchestrationStatus
    result: str | None = None
    failure: FailureDetails | None = None
    recurse: bool = False
    """TERMINATED only: children that have not finished are to be terminated too."""


class ContinueAsNew(msgspec.Struct, frozen=True, gc=False):
    """End this execution and go on as a new one with fresh history.

    ``carryover`` are the unconsumed external events, in arrival order; they come before any
    event that arrives later. ``version`` None keeps the version.
    """

    input: str | None = None
    carryover: tuple[EventRaised, ...] = ()
    version: str | None = None


Action = (
    ScheduleTask
    | CreateTimer
    | CreateSubOrchestration
    | SendEvent
    | CallEntity
    | SignalEntity
    | LockEntities
    | UnlockEntity
    | ApplyPatch
    | CompleteOrchestration
    | ContinueAsNew
)
"""Any action of an orchestrator."""

EntityAction = SignalEntity | StartOrchestration
"""Any action of an entity."""
