"""The clock of hubs that were given none."""

from __future__ import annotations

import time

__all__ = ["system_clock"]

_ORIGIN = time.time_ns() - time.monotonic_ns()


def system_clock() -> int:
    """Microseconds since the Unix epoch.

    Reads the wall clock once, at import, and counts on from there: a clock that somebody sets
    back must not hold up leases and timers.
    """
    return (_ORIGIN + time.monotonic_ns()) // 1000
