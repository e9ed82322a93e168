"""What authors import: ``from durabletask import task``."""

from durabletask.entities import EntityId
from durabletask.errors import (
    ArgumentTypeError,
    DurableTaskError,
    EntityLockError,
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
from durabletask.task._decorators import activity, entity, orchestration
from durabletask.task._entities import DurableEntity, EntityContext, EntityLock, EntityLockTask
from durabletask.task._retry import RetryPolicy
from durabletask.task._tasks import CompletableTask, EventTask, Task, TimerTask

__all__ = [
    "ActivityContext",
    "ArgumentTypeError",
    "CompletableTask",
    "DurableEntity",
    "DurableTaskError",
    "EntityContext",
    "EntityId",
    "EntityLock",
    "EntityLockError",
    "EntityLockTask",
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
    "entity",
    "orchestration",
    "when_all",
    "when_any",
]
