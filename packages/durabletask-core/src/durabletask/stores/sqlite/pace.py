"""When a commit is made on the event loop's own thread.

To hand a commit to the writing thread and to hear of its end costs two switches of threads, about
as much as a small commit on a fast disk. So as long as small commits are quick, they are made in
place. The event loop stands still meanwhile, for less than the switches would have cost; on a
slow disk that would not be true, and there every commit goes to the thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.store import Batch

__all__ = ["SMALL", "Pace", "is_small"]

QUICK_SECONDS = 0.001
"""A commit that takes longer had better not hold up the event loop."""

SMOOTHING = 0.125

SMALL = 4
"""Writes in a batch, or rows in a query, that are small."""


def is_small(batch: Batch) -> bool:
    """Whether a batch writes little."""
    return (
        len(batch.turns) + len(batch.creates) + len(batch.messages) <= SMALL
        and len(batch.activities) + len(batch.finished) + len(batch.released) <= SMALL
    )


class Pace:
    """How long small commits take: a moving average, fed by both threads.

    Two threads may feed it at the same time and one figure be lost, which does not matter.
    """

    def __init__(self) -> None:
        self._seconds = 2 * QUICK_SECONDS  # slow until proven quick

    @property
    def is_quick(self) -> bool:
        """Whether small commits take less time than their hand-over would."""
        return self._seconds < QUICK_SECONDS

    def took(self, seconds: float) -> None:
        """A small commit was made."""
        # One long wait for the disk says little about the next commit.
        seconds = min(seconds, 8 * QUICK_SECONDS)
        self._seconds += SMOOTHING * (seconds - self._seconds)
