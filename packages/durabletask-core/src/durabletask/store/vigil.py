"""Waiting awake for an answer that comes soon.

A processor without work goes to sleep, and takes a while to wake: on virtual machines 50 to 100
microseconds, a quarter of what a small commit on a server nearby takes. The server sleeps as well,
and the longer this process takes to wake, the deeper. So while such an answer is under way the
event loop goes round instead of sleeping. Whatever else becomes ready runs as ever, and whoever
else wants the processor gets it first. The price is processor time: as much as the commits take,
while nothing but small commits one after another is done, and none when the work is idle or busy.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from durabletask.store.pace import QUICK_SECONDS, Pace

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Vigil", "give_way"]

give_way: Callable[[], object] = getattr(os, "sched_yield", partial(time.sleep, 0))
"""Let another thread or process that wants this processor run first."""


class Vigil:
    """Keeps the event loop awake during one call after another, as long as they are short.

    Args:
        longest: seconds; calls that have lately taken longer are not waited for awake, and no
            single one for longer than that. 0 is never.

    Example::

        with self._vigil:
            rows = await connection.fetch(statement)
    """

    __slots__ = ("_began", "_is_going_round", "_is_over", "_longest", "_loop", "_pace")

    def __init__(self, longest: float = QUICK_SECONDS) -> None:
        self._longest = longest
        self._pace = Pace(longest)
        self._began = 0.0
        self._is_over = True
        self._is_going_round = False
        self._loop: asyncio.AbstractEventLoop

    def __enter__(self) -> None:
        self._began = time.perf_counter()
        if self._pace.is_quick:
            self._is_over = False
            if not self._is_going_round:  # else what the last call has left goes on for this one
                self._is_going_round = True
                self._loop = asyncio.get_running_loop()
                self._loop.call_soon(self._go_round)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._pace.took(time.perf_counter() - self._began)

    def _go_round(self) -> None:
        """Run in every pass of the loop: a loop with something to run does not sleep."""
        if self._is_over or time.perf_counter() - self._began >= self._longest:
            self._is_going_round = False
        else:
            give_way()
            self._loop.call_soon(self._go_round)
