"""Threads for plain-function activities."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["ActivityThreads"]


class ActivityThreads:
    """Runs calls in a few threads and hands their results to the event loop in bunches.

    A future and a wake-up of the loop per call would cost many times what a short activity does.
    Here threads append results to a deque, and only the first of a bunch wakes the loop.

    The hand-over needs no lock: a thread appends before it looks at ``_woken``, the loop resets
    ``_woken`` before it takes results out. So a result is either taken by the pass that is due,
    or its thread sees False and asks for another pass.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._calls: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = (
            SimpleQueue()
        )
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._woken = False
        self._threads: list[threading.Thread] = []
        self._waiting = 0

    def submit(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run ``call()`` in a thread, then ``done(its result)`` on the loop; it must not raise."""
        self._waiting += 1
        if self._waiting > len(self._threads) < self._limit:
            thread = threading.Thread(
                target=self._work, name=f"durabletask-activity-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._calls.put((call, done))

    def _work(self) -> None:
        while (entry := self._calls.get()) is not None:
            call, done = entry
            self._results.append((done, call()))
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop is closed: nobody waits for this result any more
                    return

    def _deliver(self) -> None:
        self._woken = False
        while self._results:
            done, result = self._results.popleft()
            self._waiting -= 1
            done(result)

    def close(self, timeout: float) -> bool:
        """End the threads as they become free; False if some were still busy after ``timeout``.

        A busy thread is a daemon: it is left to finish and cannot keep the process alive.
        """
        for _ in self._threads:
            self._calls.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
