"""From the outcome of a turn to what a store writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.history import (
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    encode_chunk,
    encode_event,
)
from durabletask.state import FailureDetails, OrchestrationStatus, ParentInstance
from durabletask.store.batch import (
    FINISHED_STATUSES,
    InstanceUpdate,
    Message,
    NewInstance,
    NextExecution,
    Turn,
)
from durabletask.store.identity import next_execution_id

if TYPE_CHECKING:
    from durabletask.actions import (
        CompleteOrchestration,
        ContinueAsNew,
        CreateSubOrchestration,
    )
    from durabletask.engine.runtime_state import TurnOutcome
    from durabletask.store.instance import OwnedInstance

__all__ = ["build_turn", "child_request", "outgoing", "parent_message", "refused_child"]

_encode_failure = msgspec.msgpack.Encoder().encode


def build_turn(
    instance: OwnedInstance,
    outcome: TurnOutcome,
    chunk: bytes,
    *,
    recorded_at: int,
    status: OrchestrationStatus,
    busy: bool,
    custom_status: str | msgspec.UnsetType | None,
) -> Turn:
    """The turn as one value, with only those columns that change."""
    completion, continuation = outcome.completion, outcome.continuation
    following: NextExecution | None = None
    update: InstanceUpdate | None = None
    to_children: bytes | None = None
    if continuation is not None:
        following = _next_execution(instance, continuation, recorded_at, status)
        if custom_status is not msgspec.UNSET:  # None: a new execution begins without (can-fresh)
            update = InstanceUpdate(custom_status=custom_status)
    elif completion is not None:
        update = _completed(completion, custom_status)
        if completion.recurse:
            to_children = encode_event(ExecutionTerminated(completion.result))
    elif (
        status is not instance.status or busy != instance.busy or custom_status is not msgspec.UNSET
    ):
        update = InstanceUpdate(
            status=status.value if status is not instance.status else msgspec.UNSET,
            busy=busy if busy != instance.busy else msgspec.UNSET,
            custom_status=custom_status,
        )
    # else the common case: a mid-life turn writes history and nothing else
    return Turn(
        instance_id=instance.instance_id,
        execution_id=instance.execution_id,
        sequence=instance.sequence,
        recorded_at=recorded_at,
        chunk=chunk,
        consumed=[*instance.taken] if instance.taken else (),
        timers=_timers(instance, outcome) if outcome.timers and not outcome.ended else [],
        update=update,
        next=following,
        to_children=to_children,
        crashes_cleared=instance.crashes > 0,
    )


def _timers(instance: OwnedInstance, outcome: TurnOutcome) -> list[Message]:
    return [
        Message(
            instance.instance_id,
            encode_event(timer),
            execution_id=instance.execution_id,
            visible_at=timer.fire_at,
        )
        for timer in outcome.timers
    ]


def _next_execution(
    instance: OwnedInstance, continuation: ContinueAsNew, now: int, status: OrchestrationStatus
) -> NextExecution:
    version = continuation.version
    carryover: tuple[HistoryEvent, ...] = continuation.carryover
    if status is OrchestrationStatus.SUSPENDED:
        # The suspension came in the turn that continues as new; it holds for what follows.
        carryover = (ExecutionSuspended(), *carryover)
    return NextExecution(
        execution_id=next_execution_id(now, instance.execution_id, instance.sequence, 0),
        input=continuation.input,
        version=instance.version if version is None else version,
        carryover=encode_chunk(carryover) if carryover else None,
    )


def _completed(
    completion: CompleteOrchestration, custom_status: str | msgspec.UnsetType | None
) -> InstanceUpdate:
    return InstanceUpdate(
        status=completion.status.value,
        output=completion.result,
        failure=None if completion.failure is None else _encode_failure(completion.failure),
        custom_status=custom_status,
        busy=False,
    )


def child_request(
    instance: OwnedInstance, child: CreateSubOrchestration, now: int, *, owned: bool
) -> NewInstance:
    """The child of a ``call_sub_orchestration``.

    If its id is taken the parent hears of a failed child in the same commit; a retry may replace
    the finished child of its earlier attempt (rule *retry-type*).
    """
    return NewInstance(
        instance_id=child.instance_id,
        execution_id=next_execution_id(
            now, instance.execution_id, instance.sequence, child.task_id
        ),
        name=child.name,
        version=child.version,
        input=child.input,
        tags=child.tags,
        parent=ParentInstance(
            instance.instance_id, instance.execution_id, child.task_id, instance.name
        ),
        created_at=now,
        owned=owned,
        replace=FINISHED_STATUSES if child.retried else frozenset(),
        replace_child_of=instance.instance_id if child.retried else None,
        refusal=Message(
            instance.instance_id,
            encode_event(refused_child(child)),
            execution_id=instance.execution_id,
        ),
    )


def refused_child(
    child: CreateSubOrchestration | SubOrchestrationInstanceCreated,
) -> SubOrchestrationInstanceFailed:
    """What the parent of a child hears whose id is taken."""
    return SubOrchestrationInstanceFailed(
        child.task_id,
        FailureDetails(
            "durabletask.errors.InstanceAlreadyExistsError",
            f"an orchestration instance {child.instance_id!r} already exists, so the "
            f"sub-orchestration {child.name!r} could not be started under this id",
        ),
    )


def parent_message(
    instance: OwnedInstance, parent: ParentInstance, completion: CompleteOrchestration
) -> Message:
    """The outcome of a finished child, for its parent."""
    event: HistoryEvent
    if completion.status is OrchestrationStatus.COMPLETED:
        event = SubOrchestrationInstanceCompleted(parent.task_id, completion.result)
    else:
        failure = completion.failure or FailureDetails(
            "durabletask.OrchestrationTerminated",
            f"the sub-orchestration {instance.instance_id!r} was terminated",
        )
        event = SubOrchestrationInstanceFailed(parent.task_id, failure)
    return Message(parent.instance_id, encode_event(event), execution_id=parent.execution_id)


def outgoing(outcome: TurnOutcome) -> list[Message]:
    """The events a turn sends to other instances."""
    return [Message(target, encode_event(event)) for target, event in outcome.sent]
