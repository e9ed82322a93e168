"""A history keeper of a few lines, so that engine tests need no backend.

It records turns the way the engine expects to replay them, and runs each turn either on the
session it has kept or on one rebuilt by replay. A test that uses :class:`Run` through the ``run``
fixture is run both ways.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from durabletask import actions as a
from durabletask import history as h
from durabletask.engine import OrchestrationSession, Registry
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter

if TYPE_CHECKING:
    from durabletask.backend import OrchestrationResult

SECOND = 1_000_000

_RECORDED: dict[type, Callable[[Any], h.HistoryEvent]] = {
    a.ScheduleTask: lambda x: h.TaskScheduled(
        x.task_id, x.name, x.input, x.version, x.tags, x.origin
    ),
    a.CreateTimer: lambda x: h.TimerCreated(x.task_id, x.fire_at),
    a.CreateSubOrchestration: lambda x: h.SubOrchestrationInstanceCreated(
        x.task_id, x.name, x.instance_id, x.input, x.version, x.tags
    ),
    a.ApplyPatch: lambda x: h.PatchApplied(x.patch_id),
    a.SendEvent: lambda x: h.EventSent(x.task_id, x.instance_id, x.name, x.input),
    a.CallEntity: lambda x: h.EntityOperationCalled(x.task_id, x.entity_id, x.operation, x.input),
    a.SignalEntity: lambda x: h.EntityOperationSignaled(
        x.task_id, x.entity_id, x.operation, x.input, x.scheduled_at
    ),
    a.LockEntities: lambda x: h.EntityLockRequested(x.task_id, x.entities),
    a.UnlockEntity: lambda x: h.EntityUnlockSent(x.task_id, x.entity_id, x.lock_id),
    a.CompleteOrchestration: lambda x: h.ExecutionCompleted(x.status.value, x.result, x.failure),
    a.ContinueAsNew: lambda x: h.ContinuedAsNew(x.input),
}


def recorded(actions: list[a.Action]) -> list[h.HistoryEvent]:
    """The events by which history remembers what was asked for."""
    return [_RECORDED[type(action)](action) for action in actions]


class Run:
    """One execution of one orchestrator, turn by turn.

    Attributes:
        history: what is committed.
        results: of every turn so far.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        replayed: bool = False,
        instance_id: str = "order-1",
        converter: DataConverter = DEFAULT_CONVERTER,
        default_version: str | None = None,
    ) -> None:
        registry = Registry()
        registry.add_orchestration(function)
        (self.registration,) = registry.orchestrations.values()
        self.replayed = replayed
        self.instance_id = instance_id
        self.converter = converter
        self.default_version = default_version
        self.now = 0
        self.generation = 0
        self.history: list[h.HistoryEvent] = []
        self.results: list[OrchestrationResult] = []
        self.session = self.new_session()

    def new_session(self) -> OrchestrationSession:
        """A session that has seen nothing yet."""
        return OrchestrationSession(
            self.registration, self.converter, default_version=self.default_version
        )

    def start(self, input: Any = None, *events: h.HistoryEvent, **fields: Any) -> list[a.Action]:
        """Run the first turn of a new execution."""
        self.generation += 1
        self.history = []
        self.session = self.new_session()
        started = h.ExecutionStarted(
            self.registration.name,
            self.instance_id,
            f"execution-{self.generation}",
            None if input is None else json.dumps(input),
            **fields,
        )
        return self.turn(started, *events)

    def turn(self, *events: h.HistoryEvent, seconds: float = 1) -> list[a.Action]:
        """Run one turn, begun ``seconds`` after the one before, and return what it asked for."""
        self.now += round(seconds * SECOND)
        received = [h.OrchestratorStarted(self.now), *events]
        if self.replayed:
            self.session.dispose()
            self.session = self.new_session()
            self.session.replay(self.history)
        result = self.session.run_turn(received)
        self.history += received + recorded(result.actions)
        self.results.append(result)
        return result.actions

    def replay(self, function: Callable[..., Any] | None = None) -> OrchestrationSession:
        """Replay the history with ``function`` in place of the orchestrator."""
        if function is None:
            session = self.new_session()
        else:
            registry = Registry()
            registry.add_orchestration(function, name=self.registration.name)
            (registration,) = registry.orchestrations.values()
            session = OrchestrationSession(registration, self.converter)
        session.replay(self.history)
        return session

    @property
    def end(self) -> a.Action:
        """The last action of the last turn."""
        return self.results[-1].actions[-1]

    @property
    def output(self) -> Any:
        """The decoded result of the completed orchestration."""
        end = self.end
        assert isinstance(end, a.CompleteOrchestration), end
        assert end.status.value == "COMPLETED", end
        return None if end.result is None else json.loads(end.result)
