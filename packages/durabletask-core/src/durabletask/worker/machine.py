"""What a worker takes from the machine it runs on: a clock and threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from durabletask.worker.threads import ActivityThreads

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Machine", "Threads"]


class Threads(Protocol):
    """Runs plain functions beside the event loop."""

    def submit(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run ``call()``, which must not raise, then ``done(its result)`` on the loop."""

    def close(self, timeout: float) -> bool:
        """End; False if something still ran after ``timeout`` seconds and is left behind."""
        ...


class Machine(NamedTuple):
    """Replaced as a whole where time is virtual and nothing may run beside the event loop.

    Attributes:
        clock: seconds, for measuring how long the event loop was blocked. Not the loop's own
            clock: some loops read theirs once per pass only.
        threads: makes the threads of a worker, at most so many, for this event loop.
    """

    clock: Callable[[], float] = time.perf_counter
    threads: Callable[[asyncio.AbstractEventLoop, int], Threads] = ActivityThreads
