"""Wakes the one who waits for something to happen."""

from __future__ import annotations

import asyncio

__all__ = ["Bell"]


class Bell:
    """One waits, many ring. A ring while nobody waits is not remembered: look before you wait.

    Like everything around it this lives on one event loop, so nothing can happen between the look
    and the wait.

    Attributes:
        waiting: what the one who waits is waiting for, or None. Most rings come while nobody
            waits; whoever rings often looks here first and saves the call.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: asyncio.Future[None] | None = None

    async def wait(self, timeout: float | None = None) -> None:
        """Wait for the next ring, but no longer than ``timeout`` seconds."""
        self.waiting = asyncio.get_running_loop().create_future()
        try:
            if timeout is None:
                await self.waiting
            else:
                await asyncio.wait([self.waiting], timeout=timeout)
        finally:
            self.waiting = None

    def ring(self) -> None:
        """Wake whoever waits."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)
