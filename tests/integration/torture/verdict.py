"""What must hold when all is over, whatever was done to workers, connections and servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from durabletask.entities import EntityQuery
from durabletask.history import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
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
from .programs import ADDITIONS, ROUNDS, is_result, program_of

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

    from .place import Place

_PATIENCE = 60.0
"""Seconds until what is told to entities has surely arrived."""

_CAUSES = {
    TaskCompleted: TaskScheduled,
    TaskFailed: TaskScheduled,
    TimerFired: TimerCreated,
    SubOrchestrationInstanceCompleted: SubOrchestrationInstanceCreated,
    EntityOperationCompleted: EntityOperationCalled,
    EntityLockGranted: EntityLockRequested,
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


@dataclass
class Heard:
    """What a client has asked for, and what it was told.

    Attributes:
        ids, outcomes: by number, what was started and what became of it.
        terminated: numbers of those that the client has begun to terminate.
        doubtful: number of an instance and place of an event that was sent again though it may
            have arrived.
        counts: of what was asked for and answered.
    """

    ids: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    terminated: set[int] = field(default_factory=set)
    doubtful: set[tuple[int, int]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    @staticmethod
    def reason(number: int) -> str:
        """Why an instance was terminated: its output then."""
        return f"number {number} has to end"


class Survey(NamedTuple):
    """All instances of a hub, with their histories, by id."""

    states: dict[str, OrchestrationState]
    histories: dict[str, list[HistoryEvent]]

    @classmethod
    async def of(cls, client: TaskHubClient) -> Survey:
        """Look at a hub in which nothing goes on."""
        survey = cls({}, {})
        async for state in client.iter_orchestrations(OrchestrationQuery(page_size=1000)):
            assert state.instance_id not in survey.states, f"{state.instance_id} is listed twice"
            survey.states[state.instance_id] = state
            history = await client.get_orchestration_history(state.instance_id)
            survey.histories[state.instance_id] = history
        return survey

    def scheduled(self, *statuses: str) -> set[Run]:
        """The activities that histories ask for, of the instances with one of these statuses."""
        return {
            Run(instance_id, state.execution_id, event.task_id, event.name, str(event.input))
            for instance_id, state in self.states.items()
            if state.runtime_status.value in statuses
            for event in self.histories[instance_id]
            if isinstance(event, TaskScheduled)
        }


def check_history(instance_id: str, history: list[HistoryEvent]) -> None:
    """It ends once, and each result comes once and after what it is the result of.

    Who completed by itself had waited for everything but timers; who was terminated had not.
    """
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
    assert not unanswered or ends[0].status == "TERMINATED", (
        f"{instance_id} completed without {unanswered}"
    )


def check_ledger(runs: Counter[Run], survey: Survey, ids: dict[int, str]) -> None:
    """What ran was scheduled, and what was scheduled ran, unless its instance was terminated.

    The histories of executions that continued as new are gone; what they ran is known all the
    same, for each of them adds one to the number.
    """
    rounds = {
        instance_id: number
        for number, instance_id in ids.items()
        if program_of(number).orchestrator.__name__ == "rounds"
    }
    phantoms = [
        run
        for run in runs.keys() - survey.scheduled("COMPLETED", "TERMINATED")
        if not (run.instance_id in rounds and int(run.input) >= rounds[run.instance_id])
    ]
    assert phantoms == [], f"activities ran that no history has scheduled: {phantoms}"
    forgotten = survey.scheduled("COMPLETED") - runs.keys()
    assert not forgotten, f"activities were scheduled and never ran: {forgotten}"
    for instance_id, number in rounds.items():
        ran = {int(run.input) for run in runs if run.instance_id == instance_id}
        wanted = ROUNDS - number % ROUNDS
        if survey.states[instance_id].runtime_status.value == "TERMINATED":
            wanted = min(wanted, len(ran))
        assert ran == set(range(number, number + wanted)), f"{instance_id} ran {sorted(ran)}"


def check_outcome(number: int, state: OrchestrationState, heard: Heard) -> None:
    """It is one that the instance may have, and the one that the client has heard."""
    instance_id = state.instance_id
    if state.runtime_status.value == "TERMINATED":
        assert number in heard.terminated, f"nobody has terminated {instance_id}"
        reason = msgspec.json.encode(heard.reason(number)).decode()
        assert state.serialized_output == reason, f"{instance_id}: {state.serialized_output}"
    else:
        assert state.runtime_status.value == "COMPLETED", f"{instance_id}: {state}"
        doubtful = {place for doubted, place in heard.doubtful if doubted == number}
        assert is_result(number, state.result, doubtful), f"{instance_id}: {state.result}"
    outcome = heard.outcomes[number]
    assert Outcome.of(state) == outcome, f"{instance_id} has changed: it was {outcome}"


def check_children(survey: Survey, ids: dict[int, str]) -> None:
    """They have added two, or been terminated with their parent."""
    for instance_id in survey.states.keys() - ids.values():
        state = survey.states[instance_id]
        status = state.runtime_status.value
        assert state.name == "child", f"nobody has started {instance_id}"
        assert status in ("COMPLETED", "TERMINATED"), f"{instance_id}: {state}"
        assert status == "TERMINATED" or state.result == state.input + 2, f"{instance_id}: {state}"


async def check_entities(client: TaskHubClient, survey: Survey) -> int:
    """Whoever holds a lock, or waits for one, has ended: no lock is left, and nobody waits.

    What an entity was told last may still be on its way. Those of one orchestration have counted
    each of its additions once.

    Returns:
        How many entities there are.
    """
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        query = EntityQuery(include_transient=True, page_size=1000)
        found = {str(e.entity_id): e async for e in client.iter_entities(query)}
        busy = {key: e for key, e in found.items() if e.locked_by is not None or e.backlog}
        if not busy:
            break
        assert asyncio.get_running_loop().time() < deadline, f"locks are left: {busy}"
        await asyncio.sleep(0.2)
    for instance_id, state in survey.states.items():
        if state.name == "tally" and state.runtime_status.value == "COMPLETED":
            total = found[f"@tally@{instance_id}"].state
            assert total == 102 * ADDITIONS, f"the tally of {instance_id} has come to {total}"
    return len(found)


async def check_all(place: Place, client: TaskHubClient, heard: Heard) -> int:
    """All of the above, of everything in a hub.

    Returns:
        How many activity runs were repetitions.
    """
    survey = await Survey.of(client)
    missing = {*heard.ids.values()} - survey.states.keys()
    assert not missing, f"acknowledged starts are gone: {missing}"
    for instance_id, history in survey.histories.items():
        check_history(instance_id, history)
    for number, instance_id in heard.ids.items():
        check_outcome(number, survey.states[instance_id], heard)
    check_children(survey, heard.ids)
    runs = runs_at(place.ledger)
    check_ledger(runs, survey, heard.ids)
    heard.counts["entities"] = await check_entities(client, survey)
    heard.counts["children"] = len(survey.states) - len(heard.ids)
    heard.counts["activity runs"] = runs.total()
    heard.counts["repetitions"] = runs.total() - len(runs)
    return heard.counts["repetitions"]


def runs_at(path: Path) -> Counter[Run]:
    """How often each activity has begun, by a ledger."""
    ledger = Ledger(path)
    try:
        return ledger.runs()
    finally:
        ledger.close()
