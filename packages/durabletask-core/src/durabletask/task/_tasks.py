"""Tasks: what an orchestrator yields or awaits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from durabletask.errors import OrchestrationStateError, TaskCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["CompletableTask", "EventTask", "Task", "TimerTask"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# Plain ints, because the engine compares them once per history event.
PENDING: Final = 0
COMPLETED: Final = 1
FAILED: Final = 2
CANCELLED: Final = 3


class Task(Generic[T_co]):
    """Something an orchestrator can wait for, by ``yield`` or by ``await``.

    Tasks come from the methods of :class:`OrchestrationContext` and from :func:`when_all` and
    :func:`when_any`. Two tasks are equal only if they are the same object. A finished task can be
    yielded again, any number of times, and resumes the orchestrator at once.
    """

    __slots__ = ("_outcome", "_parents", "_status")

    __not_data__ = (
        "it is a task that was not waited for",
        "Write yield or await before the call that gives it",
    )
    """Why a task has no JSON form, and what was meant."""

    def __init__(self) -> None:
        self._status: int = PENDING
        self._outcome: Any = None
        self._parents: list[Any] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the task has finished: with a result, with a failure, or cancelled."""
        return self._status != PENDING

    @property
    def is_failed(self) -> bool:
        """Whether reading the result raises: the task failed or was cancelled."""
        return self._status > COMPLETED

    @property
    def is_cancelled(self) -> bool:
        """Whether the task was cancelled."""
        return self._status == CANCELLED

    @property
    def result(self) -> T_co:
        """The result, as :meth:`get_result`."""
        return self.get_result()

    def get_result(self) -> T_co:
        """The result of the finished task.

        Raises:
            OrchestrationStateError: the task has not finished; yield or await it first.
            TaskFailedError, TaskCancelledError, ...: what made the task fail.
        """
        if self._status == COMPLETED:
            return cast("T_co", self._outcome)
        if self._status == PENDING:
            raise OrchestrationStateError(
                "the task has not finished, so it has no result yet: yield or await it first"
            )
        raise self._outcome

    def get_exception(self) -> BaseException:
        """What made the task fail.

        Raises:
            OrchestrationStateError: the task has not finished, or has not failed.
        """
        if self._status <= COMPLETED:
            raise OrchestrationStateError("the task has not failed: look at is_failed first")
        return cast("BaseException", self._outcome)

    def __await__(self) -> Generator[Any, Any, T_co]:
        # The engine sends the result in, or throws the failure, exactly as it does at a plain
        # yield; so generators and coroutines run on one engine.
        outcome: T_co = yield self
        return outcome

    def _settle(self, status: int, outcome: Any) -> None:
        """Finish the task and tell the composites that wait for it. Called once, by the engine."""
        self._status = status
        self._outcome = outcome
        parents = self._parents
        if parents is not None:
            self._parents = None
            for parent in parents:
                parent._child_settled(self)

    def _join(self, parent: Any) -> None:
        """Let ``parent`` know when this task finishes."""
        if self._parents is None:
            self._parents = [parent]
        else:
            self._parents.append(parent)

    def _leave(self, parent: Any) -> None:
        """Forget one joining of ``parent``, which no longer waits."""
        if self._parents is not None:
            self._parents.remove(parent)


class CompletableTask(Task[T_co]):
    """A single operation: an activity, a sub-orchestration, a timer or a wait for an event."""

    __slots__ = ()


class _Cancellable(CompletableTask[T_co]):
    """A task that only this orchestration waits for, so that it can stop waiting."""

    __slots__ = ("_withdraw",)

    def __init__(self, withdraw: Callable[[Any], None]) -> None:
        super().__init__()
        self._withdraw = withdraw

    def cancel(self) -> bool:
        """Stop waiting. Reading or yielding the task raises TaskCancelledError afterwards.

        Returns:
            True the first time; False if the task had finished or was cancelled before.
        """
        if self._status != PENDING:
            return False
        self._withdraw(self)
        self._settle(CANCELLED, TaskCancelledError(f"{self._label()} was cancelled"))
        return True

    def _label(self) -> str:
        return "the task"


class TimerTask(_Cancellable[None]):
    """A durable timer; its result is None."""

    __slots__ = ("task_id",)

    def __init__(self, withdraw: Callable[[Any], None], task_id: int) -> None:
        super().__init__(withdraw)
        self.task_id: Final = task_id

    def _label(self) -> str:
        return f"the timer #{self.task_id}"


class EventTask(_Cancellable[T_co]):
    """A wait for one external event; its result is the event's payload."""

    __slots__ = ("_data_type", "_timeout_id", "name")

    def __init__(self, withdraw: Callable[[Any], None], name: str, data_type: Any) -> None:
        super().__init__(withdraw)
        self.name: Final = name
        self._data_type = data_type
        self._timeout_id: int | None = None

    def _label(self) -> str:
        return f"the wait for the external event {self.name!r}"
