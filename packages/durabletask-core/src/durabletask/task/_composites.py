"""Tasks made of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from durabletask.errors import ArgumentTypeError, InvalidRequestError
from durabletask.task._tasks import COMPLETED, FAILED, PENDING, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WhenAllTask", "WhenAnyTask", "when_all", "when_any"]

T = TypeVar("T")


def _tasks_of(tasks: Iterable[Task[T]], caller: str) -> list[Task[T]]:
    try:
        children = list(tasks)
    except TypeError:
        raise ArgumentTypeError(
            f"{caller} takes a list of tasks, not {type(tasks).__name__}: write "
            f"{caller}([first, second])"
        ) from None
    for position, child in enumerate(children):
        if not isinstance(child, Task):
            raise ArgumentTypeError(
                f"{caller} takes tasks, but item {position} is of type {type(child).__name__}: "
                "pass what call_activity and its like return, without yield or await"
            )
    return children


class WhenAllTask(Task[list[T]]):
    """Waits for every child; its result is the list of their results, in the order given.

    If children fail, the first failure observed is raised, once all have finished.
    """

    __slots__ = ("_children", "_failure", "_remaining")

    def __init__(self, tasks: Iterable[Task[T]]) -> None:
        super().__init__()
        self._children = _tasks_of(tasks, "when_all")
        self._failure: Task[T] | None = None
        remaining = 0
        for child in self._children:
            if child._status == PENDING:
                remaining += 1
                child._join(self)
            elif child._status != COMPLETED and self._failure is None:
                self._failure = child
        self._remaining = remaining
        if not remaining:
            self._conclude()

    @property
    def pending_tasks(self) -> int:
        """How many children have not finished; one listed twice counts twice."""
        return self._remaining

    def get_completed_tasks(self) -> list[Task[T]]:
        """The children that have finished, in the order given."""
        return [child for child in self._children if child._status != PENDING]

    def _child_settled(self, child: Task[T]) -> None:
        if child._status != COMPLETED and self._failure is None:
            self._failure = child
        self._remaining -= 1
        if not self._remaining:
            self._conclude()

    def _conclude(self) -> None:
        if self._failure is not None:
            self._settle(FAILED, self._failure._outcome)
        else:
            self._settle(COMPLETED, [child._outcome for child in self._children])


class WhenAnyTask(Task[Task[T]]):
    """Waits for the first child to finish; its result is that child, failed or not.

    It never raises itself: yield or read the winner to get its result or its failure. The other
    children run on. Of several that have already finished, the first in the list wins.
    """

    __slots__ = ("_children",)

    def __init__(self, tasks: Iterable[Task[T]]) -> None:
        super().__init__()
        self._children = _tasks_of(tasks, "when_any")
        if not self._children:
            raise InvalidRequestError(
                "when_any needs at least one task: with none of them it could never finish"
            )
        for child in self._children:
            if child._status != PENDING:
                self._settle(COMPLETED, child)
                return
        for child in self._children:
            child._join(self)

    def _child_settled(self, winner: Task[T]) -> None:
        if self._status != PENDING:
            return
        # The losers forget this task, so that a long-lived one raced again and again does not
        # gather every race it has lost.
        for child in self._children:
            if child._status == PENDING:
                child._leave(self)
        self._settle(COMPLETED, winner)


def when_all(tasks: Iterable[Task[T]]) -> WhenAllTask[T]:
    """Wait for all ``tasks``; the result is the list of their results, in the same order.

    Waits for every task even if one fails, then raises the first failure observed. No tasks give
    ``[]`` at once; a task listed twice appears twice.

    Raises:
        ArgumentTypeError: something in ``tasks`` is not a task.
    """
    return WhenAllTask(tasks)


def when_any(tasks: Iterable[Task[Any]]) -> WhenAnyTask[Any]:
    """Wait for the first of ``tasks`` to finish; the result is the winning task itself.

    Raises:
        InvalidRequestError: ``tasks`` is empty (it is a ValueError).
        ArgumentTypeError: something in ``tasks`` is not a task.
    """
    return WhenAnyTask(tasks)
