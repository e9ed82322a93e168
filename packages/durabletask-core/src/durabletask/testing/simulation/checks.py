"""What must hold of the evidence, whatever went wrong.

Each check reads the evidence and yields what is wrong, as text; the guarantee it holds is named in
its docstring as ``docs/explanation/guarantees`` names it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from durabletask.history import (
    ContinuedAsNew,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    HistoryEvent,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durabletask.testing.simulation.entity_checks import check_entities
from durabletask.testing.simulation.evidence import Evidence, Execution, Run, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from durabletask.store import InstanceRecord

__all__ = ["check_evidence", "check_outcomes"]

_CAUSES: dict[type, type] = {
    TaskCompleted: TaskScheduled,
    TaskFailed: TaskScheduled,
    TimerFired: TimerCreated,
    EntityOperationCompleted: EntityOperationCalled,
    EntityOperationFailed: EntityOperationCalled,
    EntityLockGranted: EntityLockRequested,
    SubOrchestrationInstanceCompleted: SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed: SubOrchestrationInstanceCreated,
}

_ENDS = (ExecutionCompleted, ContinuedAsNew)


def check_evidence(evidence: Evidence) -> list[str]:
    """Everything that is wrong with what was committed, run and told."""
    wrong = [*evidence.violations]
    for execution in evidence.executions.values():
        where = f"{execution.instance_id} ({execution.execution_id})"
        for check in (
            _sequence_has_no_gap_or_fork,
            _one_end,
            _results_have_causes,
            _timers_are_not_early,
            _clock_is_monotonic,
        ):
            wrong += [f"{where}: {text}" for text in check(execution)]
        wrong += [f"{where}: {text}" for text in _results_come_from_runs(execution, evidence)]
    wrong += _events_count_once(evidence)
    wrong += _children_report_truly(evidence)
    wrong += _reads_agree(evidence)
    wrong += check_entities(evidence)
    return wrong


def _sequence_has_no_gap_or_fork(execution: Execution) -> Iterator[str]:
    """A history is one gap-free log."""
    numbers = [turn.sequence for turn in execution.turns]
    if numbers != [*range(len(numbers))]:
        yield f"its turns are numbered {numbers}"


def _one_end(execution: Execution) -> Iterator[str]:
    """An execution ends at most once, and with its last event."""
    events = execution.events
    ends = [n for n, event in enumerate(events) if isinstance(event, _ENDS)]
    if ends and ends != [len(events) - 1]:
        yield f"it ends at {ends} of {len(events)} events"


def _results_have_causes(execution: Execution) -> Iterator[str]:
    """Each result comes after the call it belongs to, and once."""
    waiting: Counter[tuple[type, int]] = Counter()
    for event in execution.events:
        if type(event) in _CAUSES.values():
            waiting[type(event), event.task_id] += 1  # type: ignore[union-attr]
        cause = _CAUSES.get(type(event))
        if cause is not None:
            call = (cause, event.task_id)  # type: ignore[union-attr]
            waiting[call] -= 1
            if waiting[call] < 0:
                yield f"{event} is one result too many"


def _timers_are_not_early(execution: Execution) -> Iterator[str]:
    """No timer fires before its time by the store's clock."""
    for turn in execution.turns:
        for event in turn.events:
            if isinstance(event, TimerFired) and event.fire_at > turn.at:
                yield f"{event} was handled {event.fire_at - turn.at} us early"


def _clock_is_monotonic(execution: Execution) -> Iterator[str]:
    """The clock that orchestrators see never goes back."""
    clock = 0
    for event in execution.events:
        if isinstance(event, OrchestratorStarted):
            if event.timestamp < clock:
                yield f"its clock went back by {clock - event.timestamp} us"
            clock = event.timestamp


def _results_come_from_runs(execution: Execution, evidence: Evidence) -> Iterator[str]:
    """The result of an activity is that of a run."""
    scheduled: dict[int, Run] = {}
    for event in execution.events:
        if isinstance(event, TaskScheduled):
            scheduled[event.task_id] = run_of(execution, event)
        elif isinstance(event, (TaskCompleted, TaskFailed)):
            # What a rewound execution has kept was run for one before it.
            run = scheduled.get(event.task_id)
            if run is None or not any(
                evidence.runs[run._replace(execution_id=one)]
                for one in (run.execution_id, *lineage(execution, evidence))
            ):
                yield f"{event} is the result of an activity that never ran"


def lineage(execution: Execution, evidence: Evidence) -> Iterator[str]:
    """The id of an execution, and of those that it goes on with after rewinds."""
    one: str | None = execution.execution_id
    while one is not None:
        yield one
        one = evidence.former.get(one)


def _events_count_once(evidence: Evidence) -> Iterator[str]:
    """What was sent once arrives at most once, and what arrives was sent."""
    sent = Counter(evidence.raised)
    received: Counter[tuple[str, str, str | None]] = Counter()
    for execution in evidence.executions.values():
        for event in execution.events:
            if isinstance(event, EventSent):
                sent[event.instance_id, event.name, event.input] += 1
        for turn in execution.turns:
            arrived = [event for event in turn.events if isinstance(event, EventRaised)]
            for event in arrived[turn.carried :]:
                received[execution.instance_id, event.name, event.input] += 1
    for what, number in received.items():
        if number > sent[what]:
            yield f"the event {what} was sent {sent[what]} times and arrived {number} times"


def _children_report_truly(evidence: Evidence) -> Iterator[str]:
    """A parent hears of its child what the child's history says."""
    ends: dict[tuple[str, int], list[HistoryEvent]] = {}
    parents = {new.execution_id: new.parent for new in evidence.created}
    by_instance: dict[str, list[Execution]] = {}
    for execution in evidence.executions.values():
        by_instance.setdefault(execution.instance_id, []).append(execution)
    for new in evidence.created:
        parent = parents[new.execution_id]
        if parent is None:
            continue
        for execution in by_instance.get(new.instance_id, ()):
            last = execution.events[-1]
            if isinstance(last, ExecutionCompleted):
                ends.setdefault((parent.execution_id, parent.task_id), []).append(last)
    for execution in evidence.executions.values():
        for event in execution.events:
            if isinstance(event, SubOrchestrationInstanceCompleted):
                told = [
                    end
                    for one in lineage(execution, evidence)
                    for end in ends.get((one, event.task_id), ())
                ]
                if not any(
                    isinstance(end, ExecutionCompleted)
                    and end.status == "COMPLETED"
                    and end.result == event.result
                    for end in told
                ):
                    yield f"{execution.instance_id}: no child has ended as {event} says"


def _reads_agree(evidence: Evidence) -> Iterator[str]:
    """Whoever has seen an outcome will not see another."""
    for (instance_id, _), outcomes in evidence.outcomes.items():
        if len(outcomes) > 1:
            yield f"{instance_id}: clients were told {sorted(outcomes, key=str)}"


def check_outcomes(evidence: Evidence, rows: Mapping[str, InstanceRecord]) -> list[str]:
    """Whether every instance that exists at the end agrees with its history and all reports."""
    wrong: list[str] = []
    for instance_id, row in rows.items():
        execution = evidence.executions.get((instance_id, row.execution_id))
        last = execution.events[-1] if execution is not None else None
        if not isinstance(last, ExecutionCompleted):
            wrong.append(f"{instance_id} is {row.status}, and its history does not end")
        elif (last.status, last.result) != (row.status, row.output):
            wrong.append(f"{instance_id} is {row.status} {row.output}, but its history says {last}")
        for outcome in evidence.outcomes.get((instance_id, row.execution_id), ()):
            if (outcome.status, outcome.output) != (row.status, row.output):
                wrong.append(
                    f"{instance_id} is {row.status} {row.output}, a client heard {outcome}"
                )
    return wrong
