"""The calls of an execution: tasks with a number, and records of what needs no waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.actions import CreateSubOrchestration, ScheduleTask
from durabletask.errors import TaskFailedError
from durabletask.task import EntityLockTask
from durabletask.task._tasks import CompletableTask

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger
    from durabletask.engine.retry import Retry
    from durabletask.engine.target import Target
    from durabletask.history import SubOrchestrationInstanceCreated, TaskScheduled
    from durabletask.state import FailureDetails

__all__ = [
    "ActivityCall",
    "ChildCall",
    "Ended",
    "EntityCall",
    "EventTimeout",
    "LockCall",
    "RetryTimer",
    "SentEvent",
    "SentSignal",
    "SentUnlock",
]


class ActivityCall(CompletableTask[Any]):
    """A call of an activity. Its number stays the same through every retry."""

    __slots__ = ("result_type", "retry", "target", "task_id")

    def __init__(self, task_id: int, target: Target, result_type: Any) -> None:
        # Written out, not inherited: this runs once per step of every orchestration.
        self._status = 0
        self._outcome = None
        self._parents = None
        self.task_id = task_id
        self.target = target
        self.result_type = result_type
        self.retry: Retry[ScheduleTask] | None = None

    def send_again(self, ledger: Ledger, retry: Retry[ScheduleTask]) -> None:
        """Schedule the next attempt with the arguments of the first."""
        ledger.activities[self.task_id] = self
        if ledger.replaying:
            ledger.unconfirmed[self.task_id] = self
        else:
            ledger.actions[self.task_id] = retry.action

    def remember(self, retry: Retry[ScheduleTask], event: TaskScheduled) -> None:
        """Keep the arguments that history holds: replay does not serialize them anew."""
        retry.action = ScheduleTask(
            event.task_id, event.name, event.input, event.version, event.tags, event.origin
        )

    def failure(self, details: FailureDetails) -> TaskFailedError:
        """What the orchestrator gets to see of a final failure."""
        return TaskFailedError(
            f"activity {self.target.name!r} (#{self.task_id}) failed: {_readable(details)}",
            details,
        )


class ChildCall(CompletableTask[Any]):
    """A call of a sub-orchestration. Number and instance id stay through every retry."""

    __slots__ = ("instance_id", "result_type", "retry", "target", "task_id")

    def __init__(self, task_id: int, target: Target, result_type: Any, instance_id: str) -> None:
        super().__init__()
        self.task_id = task_id
        self.target = target
        self.result_type = result_type
        self.instance_id = instance_id
        self.retry: Retry[CreateSubOrchestration] | None = None

    def send_again(self, ledger: Ledger, retry: Retry[CreateSubOrchestration]) -> None:
        """Start the child anew, in the place of the one that failed."""
        ledger.children[self.task_id] = self
        if ledger.replaying:
            ledger.unconfirmed[self.task_id] = self
        else:
            first = retry.action
            ledger.actions[self.task_id] = CreateSubOrchestration(
                first.task_id,
                first.name,
                first.instance_id,
                first.input,
                first.version,
                first.tags,
                retried=True,
            )

    def remember(
        self, retry: Retry[CreateSubOrchestration], event: SubOrchestrationInstanceCreated
    ) -> None:
        """Keep the arguments that history holds: replay does not serialize them anew."""
        retry.action = CreateSubOrchestration(
            event.task_id, event.name, event.instance_id, event.input, event.version, event.tags
        )

    def failure(self, details: FailureDetails) -> TaskFailedError:
        """What the orchestrator gets to see of a final failure."""
        return TaskFailedError(
            f"sub-orchestration {self.target.name!r} with the id {self.instance_id!r} "
            f"(#{self.task_id}) failed: {_readable(details)}",
            details,
        )


class EntityCall(CompletableTask[Any]):
    """A call of an operation of an entity."""

    __slots__ = ("entity_id", "operation", "result_type", "task_id")

    def __init__(self, task_id: int, entity_id: str, operation: str, result_type: Any) -> None:
        super().__init__()
        self.task_id = task_id
        self.entity_id = entity_id
        self.operation = operation
        self.result_type = result_type

    @property
    def result_place(self) -> str:
        """How errors of serialization call the result."""
        return f"the result of operation {self.operation!r} of entity {self.entity_id!r}"

    def failure(self, details: FailureDetails) -> TaskFailedError:
        """What the orchestrator gets to see of a failure."""
        return TaskFailedError(
            f"operation {self.operation!r} of entity {self.entity_id!r} (#{self.task_id}) failed: "
            f"{_readable(details)}",
            details,
        )


class LockCall(EntityLockTask):
    """A request for the lock of several entities."""

    __slots__ = ("entities", "task_id")

    def __init__(self, task_id: int, entities: tuple[str, ...]) -> None:
        super().__init__()
        self.task_id = task_id
        self.entities = entities


class SentSignal:
    """A signal to an entity; nothing waits for it."""

    __slots__ = ("entity_id", "operation")

    def __init__(self, entity_id: str, operation: str) -> None:
        self.entity_id = entity_id
        self.operation = operation


class SentUnlock:
    """An entity of a lock that is given up."""

    __slots__ = ("entity_id",)

    def __init__(self, entity_id: str) -> None:
        self.entity_id = entity_id


class SentEvent:
    """An event sent to another instance; nothing waits for it."""

    __slots__ = ("instance_id", "name")

    def __init__(self, instance_id: str, name: str) -> None:
        self.instance_id = instance_id
        self.name = name


class RetryTimer:
    """The wait before the next attempt of a call."""

    __slots__ = ("call",)

    def __init__(self, call: ActivityCall | ChildCall) -> None:
        self.call = call


class EventTimeout:
    """The end of the patience of a wait for an event."""

    __slots__ = ("patience", "wait")

    def __init__(self, wait: Any, patience: Any) -> None:
        self.wait = wait
        self.patience = patience


class Ended:
    """The end of the execution, as replay comes to it."""

    __slots__ = ("how",)

    def __init__(self, how: str) -> None:
        self.how = how


def _readable(details: FailureDetails) -> str:
    return f"{details.error_type.removeprefix('builtins.')}: {details.message}"
