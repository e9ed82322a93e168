"""What is written down while a simulation runs, by nobody who takes part in it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from durabletask.entities import is_entity
from durabletask.history import (
    EntityOperationCalled,
    EntityOperationSignaled,
    EventRaised,
    HistoryEvent,
    TaskScheduled,
    decode_chunk,
    decode_event,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from durabletask.state import OrchestrationState
    from durabletask.store import Batch, CommitResult, NewInstance, RewoundInstance
    from durabletask.task import ActivityContext, EntityContext

__all__ = ["Evidence", "Execution", "Outcome", "Run", "TurnTaken", "run_of"]


class Run(NamedTuple):
    """An activity that began to run."""

    instance_id: str
    execution_id: str
    task_id: int
    name: str


class Outcome(NamedTuple):
    """What somebody was told about a finished instance; it may never change."""

    status: str
    output: str | None
    failure: str | None
    execution_id: str


class TurnTaken(NamedTuple):
    """A turn as the store took it.

    ``at`` is the store's time in microseconds; ``carried`` are how many of the received events
    came from the execution before; ``order`` counts the turns of all instances as they were taken.
    """

    at: int
    sequence: int
    events: list[HistoryEvent]
    carried: int
    order: int


class Execution(NamedTuple):
    """All turns of one execution, in the order in which the store took them."""

    instance_id: str
    execution_id: str
    turns: list[TurnTaken]

    @property
    def events(self) -> list[HistoryEvent]:
        """The history."""
        return [event for turn in self.turns for event in turn.events]


def run_of(execution: Execution, event: TaskScheduled) -> Run:
    """The activity that a turn of this execution has scheduled."""
    origin = event.origin or execution.execution_id
    return Run(execution.instance_id, origin, event.task_id, event.name)


class Evidence:
    """The ledger of a simulation, independent of what the store keeps.

    Attributes:
        executions: by instance id and execution id.
        created: instances that were created, in order.
        runs: how often each activity began.
        outcomes: everything that clients were told, by instance id and execution id.
        raised: events that clients have tried to raise, by instance id, name and data.
        violations: what was found wrong at once.
        turns: how many turns were taken.
        former: the execution that each rewound one goes on with, by their ids.
        asked: what entities were asked for, by the entity's id and the message; once for each
            message that the store has taken.
    """

    def __init__(self) -> None:
        self.executions: dict[tuple[str, str], Execution] = {}
        self.created: list[NewInstance] = []
        self.runs: Counter[Run] = Counter()
        self.outcomes: dict[tuple[str, str], set[Outcome]] = {}
        self.raised: Counter[tuple[str, str, str | None]] = Counter()
        self.violations: list[str] = []
        self.turns = 0
        self.former: dict[str, str] = {}
        self.asked: Counter[tuple[str, bytes]] = Counter()
        self._operations: set[tuple[str, str]] = set()
        self._scheduled: dict[Run, None] = {}  # a dict keeps their order
        self._carried: dict[str, int] = {}

    def committed(self, at: int, batch: Batch, result: CommitResult) -> None:
        """The store has taken a batch."""
        for position, new in enumerate(batch.creates):
            if position not in result.refused:
                self.created.append(new)
        for turn in batch.turns:
            self.turns += 1
            events = decode_chunk(turn.chunk)
            key = (turn.instance_id, turn.execution_id)
            execution = self.executions.get(key)
            if execution is None:
                execution = self.executions[key] = Execution(*key, [])
            carried = self._carried.pop(turn.execution_id, 0)
            execution.turns.append(TurnTaken(at, turn.sequence, events, carried, self.turns))
            for event in events:
                if isinstance(event, TaskScheduled):
                    self._scheduled[run_of(execution, event)] = None
            if turn.next is not None and turn.next.carryover is not None:
                carryover = decode_chunk(turn.next.carryover)
                self._carried[turn.next.execution_id] = sum(
                    isinstance(event, EventRaised) for event in carryover
                )

        for message in batch.messages:
            if is_entity(message.instance_id):
                self.asked[message.instance_id, message.body] += 1
                event = decode_event(message.body)
                if isinstance(event, EntityOperationCalled | EntityOperationSignaled):
                    self._operations.add((event.entity_id, event.operation))

    def operation_begins(self, process: str, ctx: EntityContext) -> None:
        """An operation of an entity begins to run; somebody has to have asked for it, durably."""
        operation = (str(ctx.entity_id), ctx.operation)
        if operation not in self._operations:
            self.violations.append(f"{process} runs {operation}, which nobody has asked for")

    def rewound(self, at: int, instances: Sequence[RewoundInstance]) -> None:
        """The store has put these in the place of what had failed."""
        for new in instances:
            row = new.row
            self.created.append(row)
            execution = Execution(row.instance_id, row.execution_id, [])
            self.executions[row.instance_id, row.execution_id] = execution
            if new.expected is not None:
                self.former[row.execution_id] = new.expected
            for sequence, chunk in enumerate(new.chunks):
                events = decode_chunk(chunk)
                heard = sum(isinstance(event, EventRaised) for event in events)
                execution.turns.append(TurnTaken(at, sequence, events, heard, 0))
            kept = (decode_event(message.body) for message in new.messages)
            self._carried[row.execution_id] = sum(isinstance(e, EventRaised) for e in kept)

    def activity_begins(self, process: str, ctx: ActivityContext) -> None:
        """An activity begins to run; rule *activity-once* is checked on the spot."""
        _, execution_id, _ = ctx.idempotency_key.rsplit(":", 2)
        run = Run(ctx.instance_id, execution_id, ctx.task_id, ctx.name)
        if run not in self._scheduled:
            self.violations.append(f"{process} runs {run}, which no durable turn has scheduled")
        self.runs[run] += 1

    def unrun(self, remaining: Collection[str]) -> list[Run]:
        """What was scheduled and never began, of the instances that remain.

        Those that were purged, or replaced by another of the same id, have taken it along.
        """
        created = Counter(new.instance_id for new in self.created)
        kept = {instance_id for instance_id in remaining if created[instance_id] == 1}
        return [run for run in self._scheduled if run.instance_id in kept and not self.runs[run]]

    def told(self, state: OrchestrationState) -> None:
        """A client has been told about an instance."""
        if state.runtime_status.is_finished:
            failure = state.failure_details
            outcome = Outcome(
                state.runtime_status.value,
                state.serialized_output,
                None if failure is None else f"{failure.error_type}: {failure.message}",
                state.execution_id,
            )
            self.outcomes.setdefault((state.instance_id, state.execution_id), set()).add(outcome)
