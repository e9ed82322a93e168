"""Rewinding: reads what has failed, works out what is to take its place, and has it put there.

A child's outcome is addressed to one execution of its parent, and the rewound parent is another
one. So a parent and those of its children for which it waits again are rewound by one call of the
store, all or none: no parent is ever left waiting for a child that reports to its former self, and
no child runs again for a parent that stayed failed.

Between the reading and the writing anybody may do anything; the store then finds another execution
than it is told to expect, writes nothing, and all is read anew. What was read besides, the history
of a finished execution and the outcome of a finished child, cannot change without that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.engine.open_work import open_children, open_timers
from durabletask.engine.rewind import rewound
from durabletask.engine.runtime_state import status_after
from durabletask.errors import InstanceNotFoundError, OrchestrationStateError
from durabletask.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    HistoryEvent,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    decode_history,
    encode_chunk,
    encode_event,
)
from durabletask.state import OrchestrationStatus, ParentInstance
from durabletask.store.batch import FINISHED_STATUSES, Message, NewInstance, RewoundInstance
from durabletask.store.identity import new_execution_id
from durabletask.store.record import InstanceRecord
from durabletask.store.turn import refused_child

if TYPE_CHECKING:
    import random

    from durabletask.engine.rewind import RewoundHistory
    from durabletask.store.api import Store

__all__ = ["rewind_instance"]

_FAILED = OrchestrationStatus.FAILED.value
_COMPLETED = OrchestrationStatus.COMPLETED.value
_PENDING = OrchestrationStatus.PENDING

_ROUNDS = 100
"""How often a plan is made before it is given up; the second mostly succeeds."""

_FOR_ANY_EXECUTION = (EventRaised, ExecutionSuspended, ExecutionResumed)


async def rewind_instance(
    store: Store, instance_id: str, reason: str | None, chance: random.Random
) -> None:
    """Let a FAILED instance go on from before it failed, its failed descendants with it.

    Raises:
        InstanceNotFoundError: there is no such instance.
        OrchestrationStateError: it is not FAILED, a child that it would wait for still runs, or it
            held a lock of entities where it would go on.
    """
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        plan = _Plan(store, reason, chance)
        try:
            if await plan.make(instance_id, tried):
                return  # an earlier call was carried out, though its answer said otherwise
        except _GoneError:
            continue
        tried.add(plan.rewound[0].row.execution_id)
        if await store.rewind_instances(plan.rewound):
            return
    raise OrchestrationStateError(
        f"orchestration {instance_id!r} or one below it changes all the time: nothing was written"
    )


class _GoneError(Exception):
    """An execution was replaced or purged between two readings."""


class _Failed(msgspec.Struct, frozen=True):
    """An instance to be rewound: its row, and the parent execution it reports to from now on."""

    row: InstanceRecord
    parent: ParentInstance | None


class _Plan:
    """What one call of the store is to write.

    Attributes:
        rewound: the instance that was asked for first, then its descendants.
    """

    def __init__(self, store: Store, reason: str | None, chance: random.Random) -> None:
        self.rewound: list[RewoundInstance] = []
        self._store = store
        self._reason = reason
        self._chance = chance
        self._now = store.now()
        self._planned: set[str] = set()

    async def make(self, instance_id: str, tried: set[str]) -> bool:
        """Read the instance and whatever is to be rewound with it, level by level.

        Returns True, without a plan, if the instance is at one of the executions ``tried``.
        """
        rows = await self._store.get_instances([instance_id], payloads=True)
        row = rows.get(instance_id)
        if row is None:
            raise InstanceNotFoundError(instance_id)
        if row.execution_id in tried:
            return True
        if row.status != _FAILED:
            raise OrchestrationStateError(
                f"orchestration {instance_id!r} is {row.status}; only a FAILED one can be rewound"
            )
        level = [_Failed(row, None)]
        while level:
            level = await self._take_level(level)
        return False

    async def _take_level(self, level: list[_Failed]) -> list[_Failed]:
        """Rewind these; returns those of their children that are to be rewound too."""
        chunks = await self._store.read_history(
            [(failed.row.instance_id, failed.row.execution_id) for failed in level]
        )
        if not all(chunks):
            raise _GoneError
        former = [decode_history(some) for some in chunks]
        begun = [open_children(history) for history in former]
        histories = [
            rewound(history, ExecutionRewound(failed.row.execution_id, self._reason))
            for failed, history in zip(level, former, strict=True)
        ]
        awaited = [
            open_children(event for turn in (*history.turns, history.received) for event in turn)
            for history in histories
        ]
        # A dict, because the order of a set differs from process to process.
        names = {child.instance_id: None for some in (*begun, *awaited) for child in some.values()}
        found = await self._store.get_instances([*names], payloads=True) if names else {}
        deeper: list[_Failed] = []
        for failed, history, some, children in zip(level, histories, begun, awaited, strict=True):
            for child in (*some.values(), *children.values()):
                _check_finished(failed.row, found.get(child.instance_id))
            deeper += self._take(failed, history, children, found)
        return deeper

    def _take(
        self,
        failed: _Failed,
        history: RewoundHistory,
        children: dict[int, SubOrchestrationInstanceCreated],
        found: dict[str, InstanceRecord],
    ) -> list[_Failed]:
        row = failed.row
        self._planned.add(row.instance_id)
        execution_id = new_execution_id(self._now, self._chance)
        started = _started(history)
        parent = failed.parent or started.parent
        turns = [_adopted(turn, parent) for turn in history.turns]
        received: list[HistoryEvent] = [
            event for event in history.received if not isinstance(event, ExecutionStarted)
        ]
        told = [event for turn in turns for event in turn]
        timers = open_timers([*told, *received]).values()
        status = status_after(_PENDING, told)
        owners = _owners(told)
        deeper: list[_Failed] = []
        position = len(self.rewound)
        for child in children.values():
            outcome: HistoryEvent | None
            if owners[child.instance_id] != child.task_id or child.instance_id in self._planned:
                outcome = refused_child(child)  # as it was before
            else:
                link = ParentInstance(row.instance_id, execution_id, child.task_id, row.name)
                outcome = self._take_child(child, link, found.get(child.instance_id), deeper)
            if outcome is not None:
                received.append(outcome)
        self.rewound.insert(
            position,
            RewoundInstance(
                expected=row.execution_id,
                row=NewInstance(
                    instance_id=row.instance_id,
                    execution_id=execution_id,
                    name=row.name,
                    version=row.version,
                    input=row.input,
                    tags=row.tags,
                    parent=parent,
                    created_at=row.created_at,
                    start_at=started.scheduled_start_at or 0,
                ),
                status=status.value,
                custom_status=row.custom_status if turns else None,
                recorded_at=_clock(turns),
                chunks=[encode_chunk(turn) for turn in turns],
                messages=[
                    *(_message(row.instance_id, execution_id, event) for event in received),
                    *(_message(row.instance_id, execution_id, t, t.fire_at) for t in timers),
                ],
            ),
        )
        return deeper

    def _take_child(
        self,
        child: SubOrchestrationInstanceCreated,
        link: ParentInstance,
        row: InstanceRecord | None,
        deeper: list[_Failed],
    ) -> HistoryEvent | None:
        """See that a child will report to its parent; its outcome if it has one already.

        A child that failed is rewound. One that was terminated begins again, and so does one that
        was purged.
        """
        expected: str | None = None
        if row is None:
            pass
        elif row.parent_instance_id != link.instance_id:
            return refused_child(child)
        elif row.status == _COMPLETED:
            return SubOrchestrationInstanceCompleted(child.task_id, row.output)
        elif row.status == _FAILED:
            self._planned.add(row.instance_id)
            deeper.append(_Failed(row, link))
            return None
        else:
            expected = row.execution_id
        self._planned.add(child.instance_id)
        self.rewound.append(
            RewoundInstance(
                expected=expected,
                row=NewInstance(
                    instance_id=child.instance_id,
                    execution_id=new_execution_id(self._now, self._chance),
                    name=child.name,
                    version=child.version,
                    input=child.input,
                    tags=child.tags,
                    parent=link,
                    created_at=self._now,
                ),
                status=_PENDING.value,
            )
        )
        return None


def _check_finished(parent: InstanceRecord, child: InstanceRecord | None) -> None:
    """Raise if a child still runs.

    Its owner has in memory where it is to report, so it cannot be told where its parent is now;
    and one that is taken back would be in the way of the next with its id.
    """
    if (
        child is not None
        and child.parent_instance_id == parent.instance_id
        and child.status not in FINISHED_STATUSES
    ):
        raise OrchestrationStateError(
            f"sub-orchestration {child.instance_id!r} of orchestration {parent.instance_id!r} is "
            f"{child.status}: wait until it has finished or terminate it, then rewind"
        )


def _started(history: RewoundHistory) -> ExecutionStarted:
    for turn in (*history.turns, history.received):
        for event in turn:
            if isinstance(event, ExecutionStarted):
                return event
    raise AssertionError("a history begins with the start of its execution")


def _owners(told: list[HistoryEvent]) -> dict[str, int]:
    """By the id of each child the number of the first call with it: later ones were refused."""
    owners: dict[str, int] = {}
    for event in told:
        if isinstance(event, SubOrchestrationInstanceCreated):
            owners.setdefault(event.instance_id, event.task_id)
    return owners


def _adopted(turn: list[HistoryEvent], parent: ParentInstance | None) -> list[HistoryEvent]:
    return [
        msgspec.structs.replace(event, parent=parent)
        if isinstance(event, ExecutionStarted)
        else event
        for event in turn
    ]


def _clock(turns: list[list[HistoryEvent]]) -> int:
    for event in turns[-1] if turns else ():
        if isinstance(event, OrchestratorStarted):
            return event.timestamp
    return 0


def _message(
    instance_id: str, execution_id: str, event: HistoryEvent, visible_at: int = 0
) -> Message:
    bound = None if isinstance(event, _FOR_ANY_EXECUTION) else execution_id
    return Message(instance_id, encode_event(event), execution_id=bound, visible_at=visible_at)
