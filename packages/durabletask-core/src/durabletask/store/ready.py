"""The order in which instances get their turns."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from durabletask.store.instance import Phase

if TYPE_CHECKING:
    from durabletask.store.instance import OwnedInstance

__all__ = ["ReadyQueue"]

_SHARE = 8
"""One turn in so many is kept for new instances, however many others wait."""

_NEW_AT_ONCE = 128
"""New instances begun in one go when nothing else waits."""


class ReadyQueue:
    """Instances that have a turn to run. What is under way goes first, new ones get a share.

    To finish what was begun before beginning more keeps few instances in flight: they fit the
    processor's caches, and give the garbage collector less to look at. In the order of arrival, a
    thousand starts would all begin before the first of them finishes. The share makes sure that
    new instances begin however busy the others are.
    """

    def __init__(self) -> None:
        self._under_way: deque[OwnedInstance] = deque()
        self._new: deque[OwnedInstance] = deque()

    def __len__(self) -> int:
        return len(self._under_way) + len(self._new)

    def push(self, instance: OwnedInstance) -> None:
        """Add an instance, whose phase has just become READY."""
        (self._under_way if instance.sequence else self._new).append(instance)

    def pull(self, room: int, *, is_busy: bool) -> list[OwnedInstance]:
        """Up to ``room`` instances, to run their turns now.

        Args:
            is_busy: there is other work, such as activities, that had better be finished first.
        """
        under_way, new = self._under_way, self._new
        pulled: list[OwnedInstance] = []
        if room <= 0 or not (under_way or new):
            return pulled
        share = 0
        if new:
            at_ease = not (is_busy or under_way)
            share = min(len(new), room, _NEW_AT_ONCE if at_ease else max(1, room // _SHARE))
        for queue, count in ((under_way, min(len(under_way), room - share)), (new, share)):
            for _ in range(count):
                instance = queue.popleft()
                if instance.phase is Phase.READY:  # else it was lost while it waited here
                    pulled.append(instance)
        return pulled

    def clear(self) -> None:
        """Forget them all."""
        self._under_way.clear()
        self._new.clear()
