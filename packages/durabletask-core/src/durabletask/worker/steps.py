"""Awaits a coroutine that has begun to wait, step by step, in a context of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

__all__ = ["Suspended"]


class Suspended:
    """``await`` it to run a coroutine on within the awaiting task, and to get its result.

    The first step was made by whoever makes this object, in the task that awaits it, and nothing
    else was awaited in between. Many coroutines can run one after another in one task this way
    without sharing context variables. ``asyncio.current_task()`` is the awaiting task.

    Args:
        coroutine: begun, and waiting.
        context: every step of the coroutine runs in it.
        awaited: what its first step has yielded.
    """

    __slots__ = ("_awaited", "_context", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context, awaited: Any) -> None:
        self._coroutine = coroutine
        self._context = context
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        run, coroutine, awaited = self._context.run, self._coroutine, self._awaited
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
