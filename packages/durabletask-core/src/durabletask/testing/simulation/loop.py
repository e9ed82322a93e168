"""An event loop for one simulated process: asyncio without a selector and without real time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

__all__ = ["Clockwork", "SimulatedLoop"]

Ts = TypeVarTuple("Ts")


class Clockwork(Protocol):
    """Where a simulated loop gets its time from."""

    def time(self) -> float:
        """Seconds, never backwards."""
        ...

    def wake_at(self, when: float, handle: asyncio.TimerHandle) -> None:
        """Hand ``handle`` to :meth:`SimulatedLoop.timer_due` when ``time()`` reaches ``when``."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they became ready, as asyncio promises.

    It never runs by itself: whoever simulates calls ``run_one`` and may do anything between two
    callbacks, such as letting time pass, or never calling again.

    Attributes:
        ready: callbacks to be run.
        troubles: exceptions that nobody handled.
    """

    def __init__(self, clockwork: Clockwork) -> None:
        self.ready: deque[asyncio.Handle] = deque()
        self.troubles: list[str] = []
        self._clockwork = clockwork
        self._closed = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._tidy_at = 64

    def run_one(self) -> None:
        """Run the next callback."""
        handle = self.ready.popleft()
        if not handle.cancelled():
            asyncio._set_running_loop(self)
            try:
                handle._run()
            finally:
                asyncio._set_running_loop(None)

    def timer_due(self, handle: asyncio.TimerHandle) -> None:
        """The hour of a timer has come."""
        if not (self._closed or handle.cancelled()):
            self.ready.append(handle)

    def destroy(self) -> None:
        """End everything where it stands, as kill -9 does.

        What still hangs in a coroutine is thrown away here and now, in the order of creation:
        left to the garbage collector it would run its ``finally`` blocks at some later time, in
        the middle of another process. Whatever those blocks ask of this loop comes to nothing.
        """
        self._closed = True
        self.ready.clear()
        asyncio._set_running_loop(self)
        try:
            for task in self._tasks:
                coroutine = task.get_coro()
                if not task.done() and coroutine is not None:
                    try:
                        coroutine.close()
                    except (RuntimeError, ValueError):
                        pass  # it awaits in a finally block, or is what runs just now
        finally:
            asyncio._set_running_loop(None)
        self._tasks.clear()

    # --- what asyncio needs --------------------------------------------------------------------

    def time(self) -> float:
        return self._clockwork.time()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self.ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._closed:
            self._clockwork.wake_at(when, handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by every cancelled timer; they are dropped when their hour comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, **options)
        self._tasks.append(task)
        if len(self._tasks) > self._tidy_at:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tidy_at = 2 * len(self._tasks) + 64
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            error = context.get("exception")
            self.troubles.append(f"{context.get('message')}: {error!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed
