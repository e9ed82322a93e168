"""Time that passes only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime

from durabletask.engine import from_micros, to_micros

__all__ = ["START_TIME", "VirtualClock"]

START_TIME = datetime(2030, 1, 1, tzinfo=UTC)
"""When a virtual clock begins, so that a test sees the same instants at every run."""


class VirtualClock:
    """A clock for a :class:`~durabletask.stores.memory.MemoryStore` that stands still.

    Args:
        start: what it shows at first; naive means UTC.
    """

    def __init__(self, start: datetime = START_TIME) -> None:
        self._micros = to_micros(start)

    def __call__(self) -> int:
        """Microseconds since the Unix epoch."""
        return self._micros

    @property
    def now(self) -> datetime:
        """What it shows, aware and in UTC."""
        return from_micros(self._micros)

    def move_to(self, instant: int) -> None:
        """Let time pass until ``instant``, in microseconds since the epoch. Never backwards."""
        self._micros = max(self._micros, instant)
