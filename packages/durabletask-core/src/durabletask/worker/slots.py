"""Runs coroutines with as few asyncio tasks as possible."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["CoroutineSlots"]

_STEPS_PER_BREATH = 64


class CoroutineSlots:
    """Runs coroutines one after another in one task, until one of them really waits.

    Most short activities never suspend; a task for each would cost more than the activity. A slot
    (a task) runs queued coroutines in turn. When one suspends, its slot stays with it, and another
    slot goes on with the queue. So there are as many tasks as coroutines that wait, plus one.

    Each coroutine runs in a context of its own, copied from the one in which the slots were made,
    so context variables do not leak from one to the next. ``asyncio.current_task()`` is the slot.

    Attributes:
        closed: a CancelledError comes from ``close``; before, from the coroutine itself.

    Invariant: while the queue is not empty, ``_sprinting`` is true and a slot is due to take from
    it. Everything runs on one event loop.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[Coroutine[Any, Any, Any], Callable[..., None]]] = deque()
        self._context = copy_context()
        self._slots: set[asyncio.Task[None]] = set()
        self._sprinting = False
        self.closed = False

    def submit(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Run the coroutine, then call ``done(result, error)``.

        ``error`` is what it raised, or CancelledError if the slots were closed first.
        """
        self._queue.append((coroutine, done))
        if not self._sprinting:
            self._start_slot()

    def _start_slot(self) -> None:
        self._sprinting = True
        slot = asyncio.get_running_loop().create_task(self._run(), name="durabletask-activity")
        self._slots.add(slot)
        slot.add_done_callback(self._slots.discard)

    def _suspended(self) -> None:
        """The running coroutine waits for something: let another slot take the queue over."""
        self._sprinting = False
        if self._queue:
            self._start_slot()

    async def _run(self) -> None:
        steps = 0
        while self._queue:
            coroutine, done = self._queue.popleft()
            try:
                result = await _Steps(coroutine, self._context.copy(), self._suspended)
            except asyncio.CancelledError as error:
                done(None, error)
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                # SystemExit too: let through, it would end the loop, and the next worker's as well.
                done(None, error)
            else:
                done(result, None)
            steps += 1
            if steps % _STEPS_PER_BREATH == 0:
                await asyncio.sleep(0)
        self._sprinting = False

    async def close(self) -> None:
        """Cancel what runs, and tell the rest that it was never run."""
        self.closed = True
        queued, self._queue = self._queue, deque()
        for coroutine, done in queued:
            coroutine.close()
            done(None, asyncio.CancelledError())
        slots = [*self._slots]
        for slot in slots:
            slot.cancel()
        await asyncio.gather(*slots, return_exceptions=True)


class _Steps:
    """Awaits a coroutine, running each of its steps in a context of its own."""

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
