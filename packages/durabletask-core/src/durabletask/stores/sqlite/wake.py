"""Bringing the writing thread's observations to the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Waker"]


class Waker:
    """Calls the subscriber on ``loop``, once for any number of changes that come meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wake: Callable[[], None] | None = None
        self._pending = False

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called from now on."""
        self._wake = wake

    def changed(self) -> None:
        """Note that another connection may have committed. Called on any thread."""
        if self._wake is None or self._pending:
            return
        self._pending = True
        try:
            self._loop.call_soon_threadsafe(self._call)
        except RuntimeError:
            # The loop was closed and the store was not: there is nobody left to wake.
            pass

    def _call(self) -> None:
        # Cleared first: what is written while wake runs deserves another call.
        self._pending = False
        if self._wake is not None:
            self._wake()
