"""The units of work a backend hands to a worker, and what the worker hands back.

``gc=False``: a token must not refer back to its work item, so there are no cycles to collect.
"""

from __future__ import annotations

from typing import Any

import msgspec

from durabletask.actions import Action, EntityAction
from durabletask.history import EntityOperationCalled, EntityOperationSignaled, HistoryEvent
from durabletask.state import FailureDetails
from durabletask.versions import VersionRule

__all__ = [
    "ActivityResult",
    "ActivityWorkItem",
    "EntityResult",
    "EntityWorkItem",
    "OperationResult",
    "OrchestrationResult",
    "OrchestrationWorkItem",
    "WorkItem",
    "WorkerProfile",
]


class OrchestrationWorkItem(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One turn to run.

    Attributes:
        events: what is new, in order; the first is always ``OrchestratorStarted``, whose
            timestamp is the clock of this turn. The first turn of an execution has
            ``ExecutionStarted`` second.
        sequence: turns of this execution committed before this one. Unless it is 0, the worker
            needs ``WorkItemSource.load_history``, or the session that made the last of them.
        token: the backend's own; the worker does not look at it.
        continues: the turn before this one was made by this very worker, and it is that turn which
            is committed. Then a session that is still held, of ``execution_id`` and at this very
            ``sequence``, goes on without replay. Without this promise it must not: it may have made
            a turn that was never committed, while another worker made the turn of that number.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    sequence: int
    events: list[HistoryEvent]
    token: Any
    continues: bool = False


class ActivityWorkItem(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One activity to run. Delivered at least once; only one result counts.

    ``(execution_id, task_id)`` is the same for every delivery and every retry attempt, and
    ``(origin or execution_id, task_id)`` after a rewind too.
    """

    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input: str | None
    version: str | None
    tags: dict[str, str] | None
    token: Any
    origin: str | None = None


class EntityWorkItem(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Operations of one entity to run, one after the other, in this order.

    Attributes:
        instance_id: the entity's id as text, ``@name@key``.
        name: of its code, in lower case.
        started_at: clock of this turn.
        state: JSON text before the first operation, or None if there is none.
        operations: at least one.
        execution_id, sequence: differ from turn to turn of one entity.
        token: the backend's own; the worker does not look at it.
    """

    instance_id: str
    execution_id: str
    name: str
    sequence: int
    started_at: int
    state: str | None
    operations: list[EntityOperationCalled | EntityOperationSignaled]
    token: Any


WorkItem = OrchestrationWorkItem | ActivityWorkItem | EntityWorkItem
"""Any work item."""


class OrchestrationResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one turn.

    Attributes:
        actions: what the orchestrator asked for, in order. ``CompleteOrchestration`` or
            ``ContinueAsNew`` comes last if the execution ended.
        custom_status: JSON text, None to clear it, UNSET to leave it as it is.
    """

    actions: list[Action]
    custom_status: str | msgspec.UnsetType | None = msgspec.UNSET


class ActivityResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one activity run: a result, or a failure."""

    result: str | None = None
    failure: FailureDetails | None = None


class OperationResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one operation: a result, or a failure, after which it has done nothing."""

    result: str | None = None
    failure: FailureDetails | None = None


class EntityResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome of the operations of an entity work item.

    Attributes:
        results: one per operation, in the same order.
        actions: what those operations asked for that have not failed, in order.
        state: JSON text after the last operation; None deletes it.
    """

    results: list[OperationResult]
    actions: list[EntityAction]
    state: str | None


class WorkerProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker can run and how much at a time. A backend sends it nothing else.

    Attributes:
        orchestrations: registered name to a fingerprint of its code; a parked instance is tried
            again when a worker with another fingerprint comes.
        activities: registered activity names.
        entities: registered entity name, in lower case, to a fingerprint of its code.
        any_name: orchestrations and activities of every name are taken, whatever the above says.
        any_entity: entities of every name are.
        code: with these two, the fingerprint of all its code.
        versions: which versions of orchestrations are taken; None takes all. A source need not
            hand out what the rule rejects; a worker that gets it all the same abandons it. What the
            rule fails is handed out, and the worker fails it.
        max_orchestrations, max_activities: work items handed out and not yet handed back; entities
            count as orchestrations.
        unregistered_grace: seconds after which work whose name no worker knows fails.
        name: how the worker calls itself in the store and in logs.
    """

    orchestrations: dict[str, str]
    activities: frozenset[str]
    max_orchestrations: int
    max_activities: int
    unregistered_grace: float = 60.0
    name: str = ""
    any_name: bool = False
    code: str = ""
    entities: dict[str, str] = {}
    any_entity: bool = False
    versions: VersionRule | None = None
