"""One open backend per task hub and event loop, for all clients and workers in it.

Sharing it is what lets a client and a worker of one process wake each other without the store,
and what makes ``memory://`` one place. Two sorts of users are counted: *holders*, who say when
they are done (a worker, a client in ``async with``), and *borrowers*, who come for one call (a
client that nobody closes). When the last holder leaves, the backend closes at once, so that its
files are free when the ``async with`` is left. When only borrowers came, it stays open for
``LINGER`` seconds after the last call: nobody pays for opening it on every call, and nothing
depends on when a forgotten client is collected as garbage.

What is still open when the event loop ends is closed by the loop itself: ``asyncio.run`` closes
every asynchronous generator that was left suspended, after all tasks are gone, and waits for it.
The pool leaves one such generator in each loop, and closes its backends in there. A task could not
do this as well: it would be cancelled together with the worker that still uses the backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable

    from durabletask.backend import Backend

__all__ = ["LINGER", "BackendPool", "LoopPool", "Member", "backend_pool"]

LINGER = 10.0
"""Seconds that an idle backend stays open for the next call of a client that nobody closes."""

logger = logging.getLogger(__name__)


class Member:
    """A backend of the pool: opened once, its users counted, closed once.

    All of it runs on one event loop, so nothing happens between two awaits and counting needs no
    lock. Opening and closing are tasks of their own: a user who is cancelled while waiting for
    one must not undo it for the others.

    Args:
        keep: close it with the loop only. So it must be for a backend that is not durable, which
            would forget what it acknowledged, and for one that was handed to us: its owner
            closes it, and we only see to it that it does not outlive the loop.
        forget: called when no new user may join any more.
    """

    def __init__(self, backend: Backend, *, keep: bool, forget: Callable[[Member], None]) -> None:
        self.backend = backend
        self.closing: asyncio.Task[None] | None = None
        self._keep = keep
        self._forget = forget
        self._users = 0
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._opening = self._loop.create_task(self._open())

    @property
    def is_ready(self) -> bool:
        """Whether it is open and stays so for whoever joins now."""
        return self.closing is None and self._is_open()

    async def wait_open(self) -> None:
        """Wait for the opening. Everyone who waits gets its error; call ``enter`` before."""
        try:
            await asyncio.wait([self._opening])
            self._opening.result()
        except BaseException:
            if self._opening.done() and not self._is_open():
                self._users -= 1
                self._forget(self)
            else:
                self.leave()
            raise

    def enter(self) -> None:
        """Count one more user."""
        self._users += 1

    def leave(self) -> asyncio.Task[None] | None:
        """Count a holder out. If nobody is left, start closing and return that task."""
        self._users -= 1
        return None if self._users or self._keep else self.close()

    def leave_later(self) -> None:
        """Count a borrower out. If nobody is left, close unless another comes soon."""
        self._users -= 1
        if not self._users and not self._keep:
            self._idle_since = self._loop.time()
            # One timer serves all the calls of its time: it looks again when it fires.
            if self._timer is None:
                self._timer = self._loop.call_later(LINGER, self._linger_ended)

    def close(self) -> asyncio.Task[None]:
        """Start closing, whoever uses it, or return the closing under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.closing is None:
            self.closing = self._loop.create_task(self._close())
        return self.closing

    def _is_open(self) -> bool:
        opening = self._opening
        return opening.done() and not opening.cancelled() and opening.exception() is None

    def _linger_ended(self) -> None:
        self._timer = None
        if self._users:
            return
        rest = self._idle_since + LINGER - self._loop.time()
        if rest > 0:
            self._timer = self._loop.call_later(rest, self._linger_ended)
        else:
            self.close()

    async def _open(self) -> None:
        try:
            await self.backend.open()
        except BaseException:
            # The error of the opening is the one to tell; a half-open backend may well fail again.
            with contextlib.suppress(Exception):
                await self.backend.close()
            raise

    async def _close(self) -> None:
        try:
            await self._finish()
        except asyncio.CancelledError:
            # Only the end of the loop cancels this task. It waits for cancelled tasks, and every
            # step can be repeated.
            await self._finish()
            raise
        finally:
            self._forget(self)

    async def _finish(self) -> None:
        await asyncio.wait([self._opening])
        if self._is_open():
            await self.backend.close()


class LoopPool:
    """The backends that are open in one event loop, by key."""

    def __init__(self) -> None:
        self._members: dict[Hashable, Member] = {}

    def enter_ready(self, key: Hashable) -> Member | None:
        """Join the backend of this key if that needs no waiting."""
        member = self._members.get(key)
        if member is None or not member.is_ready:
            return None
        member.enter()
        return member

    async def enter(self, key: Hashable, build: Callable[[], Backend], *, keep: bool) -> Member:
        """Join the backend of this key, and open it if it is not.

        Raises:
            DurableTaskError: whatever ``build`` or the opening raises; nothing is left behind.
        """
        while (member := self._members.get(key)) is not None and member.closing is not None:
            await asyncio.wait([member.closing])
        if member is None:
            backend = build()
            member = Member(
                backend,
                keep=keep or not backend.capabilities.durable,
                forget=functools.partial(self._forget, key),
            )
            self._members[key] = member
        member.enter()
        await member.wait_open()
        return member

    async def close(self) -> None:
        """Close every backend, whoever uses it. What goes wrong is logged."""
        closing = [member.close() for member in self._members.values()]
        for error in await asyncio.gather(*closing, return_exceptions=True):
            if error is not None:
                logger.error("closing a backend at the end of the loop failed", exc_info=error)

    def _forget(self, key: Hashable, member: Member) -> None:
        if self._members.get(key) is member:
            del self._members[key]


class BackendPool:
    """The open backends of the process: one pool for each running event loop.

    Threads may run a loop each. What they share is one dictionary, in which every thread touches
    its own loop's entry, besides those of loops that have ended.
    """

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        self._sentinels: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    def find(self) -> LoopPool | None:
        """The pool of the running loop, if it has one."""
        return self._loops.get(asyncio.get_running_loop())

    async def get(self) -> LoopPool:
        """The pool of the running loop."""
        loop = asyncio.get_running_loop()
        if (pool := self._loops.get(loop)) is None:
            self._sweep()
            pool = self._loops[loop] = LoopPool()
            sentinel = self._sentinels[loop] = self._watch(loop, pool)
            # Runs to the yield without a break, so nobody sees the pool unwatched.
            await anext(sentinel)
        return pool

    async def _watch(self, loop: asyncio.AbstractEventLoop, pool: LoopPool) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await pool.close()
            self._drop(loop)

    def _sweep(self) -> None:
        # A loop that was closed without shutdown_asyncgens has left its pool behind.
        for loop in [loop for loop in list(self._loops) if loop.is_closed()]:
            self._drop(loop)

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loops.pop(loop, None)
        self._sentinels.pop(loop, None)


@functools.cache
def backend_pool() -> BackendPool:
    """The pool of this process."""
    return BackendPool()
