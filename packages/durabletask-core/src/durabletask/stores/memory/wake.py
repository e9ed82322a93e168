"""Telling the other store objects of a hub that something was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Listener"]


class Listener:
    """Calls ``wake`` once on its event loop for any number of hints that arrive meanwhile.

    ``hint`` is called from any thread, under the hub's lock; ``silence`` on the event loop.
    """

    __slots__ = ("_loop", "_pending", "_silent", "_wake")

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._pending = False
        self._silent = False

    def silence(self) -> None:
        """Never call ``wake`` again, not even for a hint that is on its way."""
        self._silent = True

    def hint(self, running: asyncio.AbstractEventLoop) -> None:
        """Have ``wake`` called soon. ``running`` is the event loop of the caller."""
        if self._pending:
            return
        self._pending = True
        if running is self._loop:
            running.call_soon(self._call)
            return
        try:
            self._loop.call_soon_threadsafe(self._call)
        except RuntimeError:
            # The loop was closed and its store was not: there is nobody left to wake.
            pass

    def _call(self) -> None:
        # Cleared first: what is written while wake runs deserves another call.
        self._pending = False
        if not self._silent:
            self._wake()
