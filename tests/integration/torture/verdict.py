"""What must hold when all is over, whatever was done to the workers."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from durabletask.history import (
    ExecutionCompleted,
    HistoryEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durabletask.state import OrchestrationQuery

from .ledger import Ledger, Run
from .programs import ROUNDS, program_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

    from .place import Place

_CAUSES = {
    TaskCompleted: TaskScheduled,
    TaskFailed: TaskScheduled,
    TimerFired: TimerCreated,
    SubOrchestrationInstanceCompleted: SubOrchestrationInstanceCreated,
}


class Outcome(NamedTuple):
    """What a client is told about a finished instance; it may never change."""

    status: str
    output: str | None
    execution_id: str
    completed_at: str

    @classmethod
    def of(cls, state: OrchestrationState) -> Outcome:
        return cls(
            state.runtime_status.value,
            state.serialized_output,
            state.execution_id,
            str(state.completed_at),
        )


def check_file(file: Path) -> None:
    """The file is sound, histories have no gaps, and nothing is left of finished instances."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        gaps = database.execute(
            "SELECT instance, count(*), min(sequence), max(sequence) FROM history "
            "GROUP BY instance HAVING min(sequence) <> 0 OR max(sequence) + 1 <> count(*)"
        ).fetchall()
        assert gaps == [], "histories have gaps"
        for table in ("inbox", "activities"):
            (left,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert left == 0, f"{left} rows are left in {table}"


def check_history(instance_id: str, history: list[HistoryEvent]) -> None:
    """It ends once, and each result comes once and after what it is the result of."""
    ends = [event for event in history if isinstance(event, ExecutionCompleted)]
    assert len(ends) == 1 and history[-1] is ends[0], f"{instance_id} ends {len(ends)} times"
    asked: set[tuple[type, int]] = set()
    answered: Counter[tuple[type, int]] = Counter()
    for event in history:
        cause = _CAUSES.get(type(event))
        if cause is not None:
            assert (cause, event.task_id) in asked, f"{instance_id}: {event} comes from nowhere"
            answered[cause, event.task_id] += 1
        elif type(event) in _CAUSES.values():
            assert (type(event), event.task_id) not in asked, f"{instance_id}: {event} comes twice"
            asked.add((type(event), event.task_id))
    assert set(answered.values()) <= {1}, f"{instance_id} has several results of one call"
    unanswered = {call for call in asked - answered.keys() if call[0] is not TimerCreated}
    assert not unanswered, f"{instance_id} ended without {unanswered}"


def check_ledger(
    runs: Counter[Run], scheduled: set[Run], numbers: Iterable[int], ids: dict[int, str]
) -> None:
    """What ran was scheduled, and what was scheduled ran.

    The histories of executions that continued as new are gone; what they ran is known all the
    same, for each of them adds one to the number.
    """
    rounds = {ids[n]: n for n in numbers if program_of(n).orchestrator.__name__ == "rounds"}
    phantoms = [
        run
        for run in runs.keys() - scheduled
        if not (run.instance_id in rounds and int(run.input) >= rounds[run.instance_id])
    ]
    assert phantoms == [], "activities ran that no history has scheduled"
    assert scheduled - runs.keys() == set(), "activities were scheduled and never ran"
    for instance_id, number in rounds.items():
        ran = {int(run.input) for run in runs if run.instance_id == instance_id}
        assert ran == set(range(number, number + ROUNDS - number % ROUNDS)), instance_id


async def check_all(
    place: Place, client: TaskHubClient, outcomes: dict[int, Outcome], ids: dict[int, str]
) -> Counter[Run]:
    """All of the above, and that every outcome is the expected one and still the same.

    Returns:
        The ledger.
    """
    scheduled: set[Run] = set()
    states: dict[str, OrchestrationState] = {}
    async for state in client.iter_orchestrations(OrchestrationQuery(page_size=1000)):
        states[state.instance_id] = state
        history = await client.get_orchestration_history(state.instance_id)
        check_history(state.instance_id, history)
        scheduled |= {
            Run(state.instance_id, state.execution_id, event.task_id, event.name, str(event.input))
            for event in history
            if isinstance(event, TaskScheduled)
        }
    assert {state.runtime_status.value for state in states.values()} == {"COMPLETED"}
    for number, instance_id in ids.items():
        state = states[instance_id]
        assert state.result == program_of(number).result(number), instance_id
        assert Outcome.of(state) == outcomes[number], f"the outcome of {instance_id} has changed"
    ledger = Ledger(place.ledger)
    try:
        runs = ledger.runs()
    finally:
        ledger.close()
    check_ledger(runs, scheduled, outcomes, ids)
    if place.url.startswith("sqlite"):
        check_file(place.file)
    return runs
