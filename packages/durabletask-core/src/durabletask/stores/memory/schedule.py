"""Keys ordered by an instant: the one structure behind timers, delayed starts and fair queues."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["Schedule"]

Key = TypeVar("Key")

_SLACK = 64


class Schedule(Generic[Key]):
    """A heap of keys by instant; equal instants keep the order in which they were set.

    Every operation is O(log n) amortised. Moved and discarded keys stay behind in the heap as
    stale entries; when they outnumber the live ones the heap is built anew.
    """

    __slots__ = ("_count", "_heap", "_live")

    def __init__(self) -> None:
        self._live: dict[Key, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: Key) -> bool:
        return key in self._live

    def set(self, key: Key, at: int) -> None:
        """Put ``key`` at instant ``at``, wherever it was before."""
        known = self._live.get(key)
        if known is not None and known[0] == at:
            return
        self._count += 1
        self._live[key] = (at, self._count)
        heappush(self._heap, (at, self._count, key))
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [(at, count, key) for key, (at, count) in self._live.items()]
            heapify(self._heap)

    def discard(self, key: Key) -> None:
        """Take ``key`` out if it is in."""
        self._live.pop(key, None)

    def first(self) -> int | None:
        """The earliest instant, or None if there is no key."""
        heap, live = self._heap, self._live
        while heap:
            at, count, key = heap[0]
            if live.get(key) == (at, count):
                return at
            heappop(heap)
        return None

    def pop(self) -> tuple[int, Key]:
        """Take out the earliest key, with its instant. There must be one."""
        if self.first() is None:
            raise IndexError("pop from an empty schedule")
        at, _, key = heappop(self._heap)
        del self._live[key]
        return at, key

    def pop_due(self, now: int) -> list[tuple[int, Key]]:
        """Take out all keys whose instant is not after ``now``, the earliest first."""
        due: list[tuple[int, Key]] = []
        at = self.first()
        while at is not None and at <= now:
            due.append(self.pop())
            at = self.first()
        return due

    def count_until(self, instant: int) -> int:
        """How many keys have an instant not after ``instant``."""
        return sum(at <= instant for at, _ in self._live.values())
