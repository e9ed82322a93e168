"""What authors of orchestrations and activities import: ``from durabletask import task``."""

from durabletask.errors import (
    ArgumentTypeError,
    DurableTaskError,
    InvalidRequestError,
    NonDeterminismError,
    OrchestrationFailedError,
    OrchestrationStateError,
    SerializationError,
    TaskCancelledError,
    TaskFailedError,
)
from durabletask.state import FailureDetails, OrchestrationState, OrchestrationStatus
from durabletask.task._activity_context import ActivityContext
from durabletask.task._composites import WhenAllTask, WhenAnyTask, when_all, when_any
from durabletask.task._context import OrchestrationContext
from durabletask.task._decorators import activity, orchestration
from durabletask.task._retry import RetryPolicy
from durabletask.task._tasks import CompletableTask, EventTask, Task, TimerTask

__all__ = [
    "ActivityContext",
    "ArgumentTypeError",
    "CompletableTask",
    "DurableTaskError",
    "EventTask",
    "FailureDetails",
    "InvalidRequestError",
    "NonDeterminismError",
    "OrchestrationContext",
    "OrchestrationFailedError",
    "OrchestrationState",
    "OrchestrationStateError",
    "OrchestrationStatus",
    "RetryPolicy",
    "SerializationError",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
    "activity",
    "orchestration",
    "when_all",
    "when_any",
]
