"""The turn of an instance that is terminated. It runs no user code and needs no registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.actions import CompleteOrchestration
from durabletask.backend.workitem import OrchestrationResult
from durabletask.history import ExecutionTerminated
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.history import HistoryEvent

__all__ = ["result_of_termination"]


def result_of_termination(events: Sequence[HistoryEvent]) -> OrchestrationResult | None:
    """The result of a turn with these new events if one of them terminates the instance.

    Works while the instance is suspended, parked, or unknown to the worker. None if nothing
    terminates it.
    """
    for event in events:
        if event.__class__ is ExecutionTerminated:
            assert isinstance(event, ExecutionTerminated)
            end = CompleteOrchestration(
                OrchestrationStatus.TERMINATED, result=event.output, recurse=event.recurse
            )
            return OrchestrationResult([end])
    return None
