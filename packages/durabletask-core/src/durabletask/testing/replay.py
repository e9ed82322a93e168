"""The replay gate: can today's code go on with what earlier code has begun?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.engine import OrchestrationSession, Registry
from durabletask.engine.runtime_state import status_after
from durabletask.errors import InvalidRequestError
from durabletask.history import (
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestratorStarted,
)
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter
from durabletask.state import OrchestrationStatus
from durabletask.testing.saved import load_history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ReplayReport", "Replayer", "replay_history"]


class ReplayReport(msgspec.Struct, frozen=True):
    """A history that today's code repeats.

    Attributes:
        name, instance_id, execution_id: what was replayed.
        status: of the execution at the end of the history; an execution that has continued as new
            counts as RUNNING.
        turns, events: how much of it there was.
    """

    name: str
    instance_id: str
    execution_id: str
    status: OrchestrationStatus
    turns: int
    events: int


class Replayer:
    """Replays saved histories against the orchestrators registered with it. Runs no activity.

    Args:
        data_converter: the one that wrote the payloads.

    Example::

        replayer = Replayer()
        replayer.add_orchestration(process_order)
        for path in Path("tests/histories").glob("*.json"):
            replayer.replay(path)
    """

    def __init__(self, *, data_converter: DataConverter = DEFAULT_CONVERTER) -> None:
        self._registry = Registry()
        self._converter = data_converter

    def add_orchestration(
        self, orchestration: Callable[..., Any], *, name: str | None = None
    ) -> None:
        """Register an orchestrator, as with ``TaskHubWorker.add_orchestration``."""
        self._registry.add_orchestration(orchestration, name=name)

    def replay(self, history: Sequence[HistoryEvent] | str | os.PathLike[str]) -> ReplayReport:
        """Replay a history, or a file of one.

        Raises:
            NonDeterminismError: the code does something else than the history records; the text
                says at which turn and call, and shows both.
            OrchestrationNotRegisteredError: no orchestrator has the history's name.
            SerializationError: the file is no saved history.
            InvalidRequestError: the events are no history of an execution.
        """
        events = _events(history)
        started = _started(events)
        session = OrchestrationSession(self._registry.orchestration(started.name), self._converter)
        try:
            session.replay(events)
            return ReplayReport(
                started.name,
                started.instance_id,
                started.execution_id,
                _status(events),
                session.sequence,
                len(events),
            )
        finally:
            session.dispose()


def replay_history(
    orchestration: Callable[..., Any],
    history: Sequence[HistoryEvent] | str | os.PathLike[str],
    *,
    data_converter: DataConverter = DEFAULT_CONVERTER,
) -> ReplayReport:
    """Replay a history, or a file of one, against this orchestrator, whatever its name is now.

    Example::

        replay_history(process_order, "tests/histories/order-7.json")

    Raises:
        NonDeterminismError, SerializationError, InvalidRequestError: as ``Replayer.replay``.
    """
    events = _events(history)
    replayer = Replayer(data_converter=data_converter)
    replayer.add_orchestration(orchestration, name=_started(events).name)
    return replayer.replay(events)


def _events(history: Sequence[HistoryEvent] | str | os.PathLike[str]) -> Sequence[HistoryEvent]:
    return load_history(history) if isinstance(history, str | os.PathLike) else history


def _started(events: Sequence[HistoryEvent]) -> ExecutionStarted:
    """The event that says what the history is of: the second, after the first turn's start."""
    match events:
        case [OrchestratorStarted(), ExecutionStarted() as started, *_]:
            return started
    raise InvalidRequestError(
        "this is no history of an execution: it must begin with OrchestratorStarted and "
        "ExecutionStarted, as get_orchestration_history gives it"
    )


def _status(events: Sequence[HistoryEvent]) -> OrchestrationStatus:
    last = events[-1]
    if isinstance(last, ExecutionCompleted):
        return OrchestrationStatus(last.status)
    return status_after(OrchestrationStatus.PENDING, events)
