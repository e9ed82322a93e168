"""External events and the waits for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durabletask.history import EventRaised
    from durabletask.task._tasks import EventTask

__all__ = ["ExternalEvents"]


class ExternalEvents:
    """Matches events and waits, first in, first out per name. Names ignore case.

    For any name there are events without waits, or waits without events, never both.
    """

    __slots__ = ("_arrivals", "_kept", "_waits")

    def __init__(self) -> None:
        self._arrivals = 0
        self._kept: dict[str, deque[tuple[int, EventRaised]]] = {}
        self._waits: dict[str, deque[EventTask[Any]]] = {}

    def arrive(self, event: EventRaised) -> EventTask[Any] | None:
        """The wait that takes ``event``, now removed; None if the event is kept instead."""
        key = event.name.casefold()
        waits = self._waits.get(key)
        if waits:
            wait = waits.popleft()
            if not waits:
                del self._waits[key]
            return wait
        self._arrivals += 1
        self._kept.setdefault(key, deque()).append((self._arrivals, event))
        return None

    def take(self, name: str) -> EventRaised | None:
        """The oldest kept event of this name, now removed, or None."""
        key = name.casefold()
        kept = self._kept.get(key)
        if not kept:
            return None
        event = kept.popleft()[1]
        if not kept:
            del self._kept[key]
        return event

    def wait(self, wait: EventTask[Any]) -> None:
        """Line ``wait`` up for the next event of its name; none of them is kept now."""
        self._waits.setdefault(wait.name.casefold(), deque()).append(wait)

    def withdraw(self, wait: EventTask[Any]) -> None:
        """Take ``wait`` out of its line."""
        key = wait.name.casefold()
        waits = self._waits[key]
        waits.remove(wait)
        if not waits:
            del self._waits[key]

    def unconsumed(self) -> tuple[EventRaised, ...]:
        """The kept events of all names, in the order in which they arrived."""
        arrived = sorted(entry for kept in self._kept.values() for entry in kept)
        return tuple(event for _, event in arrived)
