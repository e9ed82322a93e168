"""Awaits a coroutine step by step, in a context of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

__all__ = ["Steps"]


class Steps:
    """``await Steps(...)`` runs a coroutine within the awaiting task, and gives its result.

    Many coroutines can run one after another in one task this way without sharing context
    variables. ``asyncio.current_task()`` is the awaiting task.

    Args:
        coroutine: not started yet.
        context: every step of the coroutine runs in it.
        suspended: called when the coroutine really waits, for the first time; never called if it
            runs to its end at once.
    """

    __slots__ = ("_context", "_coroutine", "_suspended")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        context: Context,
        suspended: Callable[[], None],
    ) -> None:
        self._coroutine = coroutine
        self._context = context
        self._suspended = suspended

    def __await__(self) -> Generator[Any, Any, Any]:
        run, coroutine = self._context.run, self._coroutine
        try:
            awaited = run(coroutine.send, None)
        except StopIteration as stop:
            return stop.value
        self._suspended()
        while True:
            try:
                value = yield awaited
            except GeneratorExit:
                run(coroutine.close)
                raise
            except BaseException as error:
                step: Callable[[Any], Any] = coroutine.throw
                argument: Any = error
            else:
                step, argument = coroutine.send, value
            try:
                awaited = run(step, argument)
            except StopIteration as stop:
                return stop.value
