"""Numbers for new instances, taken from the server in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Ordinals"]

_BLOCK = 4096


class Ordinals:
    """Gives numbers that nobody else gets, each once. What is not used is lost.

    Args:
        fetch: the first number of another block of 4096.
    """

    def __init__(self, fetch: Callable[[], Awaitable[int]]) -> None:
        self._fetch = fetch
        self._next = self._end = 0

    async def take(self, count: int) -> list[int]:
        """``count`` numbers, in growing order.

        The lanes of a process share this. Between looking at what is left and taking it nothing is
        awaited, so no number is given twice.
        """
        taken: list[int] = []
        while True:
            some = min(count - len(taken), self._end - self._next)
            taken.extend(range(self._next, self._next + some))
            self._next += some
            if len(taken) == count:
                return taken
            first = await self._fetch()
            # Another task may have brought a block meanwhile, what is left of which is lost.
            self._next, self._end = first, first + _BLOCK
