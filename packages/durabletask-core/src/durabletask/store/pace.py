"""How quick small commits are, for stores that take a shorter way as long as they are quick.

To hand a commit to a thread, or to send it and hear of its end through the event loop, costs about
as much as a small commit on a fast disk or on a server nearby. So as long as small commits are
quick, a store may make them in place. The event loop stands still meanwhile, for less than the
other way would have cost; where commits are slow that would not be true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.store.batch import Batch

__all__ = ["QUICK_SECONDS", "SMALL", "Pace", "is_small"]

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
    """How long small commits take: a moving average.

    Two threads may feed it at the same time and one figure be lost, which does not matter.

    Args:
        quick: seconds; what takes less on average is quick, and nothing is if it is 0.

    Attributes:
        seconds: the average.
    """

    __slots__ = ("_quick", "seconds")

    def __init__(self, quick: float = QUICK_SECONDS) -> None:
        self._quick = quick
        self.seconds = 2 * quick  # slow until proven quick

    @property
    def is_quick(self) -> bool:
        """Whether small commits have lately been quick."""
        return self.seconds < self._quick

    def took(self, seconds: float) -> None:
        """A small commit was made."""
        # One long wait for the disk says little about the next commit.
        self.seconds += SMOOTHING * (min(seconds, 8 * self._quick) - self.seconds)
