"""Hints between processes: NOTIFY, coalesced and outside of every transaction that matters.

The server serializes all transactions that notify, so a notification inside a commit would cost a
third of all commits. One sent afterwards, for everything that was written in the last milliseconds,
costs nearly nothing. It may be lost with its sender, and the slow poll of the core finds the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

from durabletask.errors import BackendUnavailableError
from durabletask.postgres.faults import TROUBLE, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncpg import Connection

    from durabletask.postgres.connector import Connector

__all__ = ["Ear"]

_log = logging.getLogger("durabletask.postgres.ear")

_WINDOW = 0.01
"""At most one notification is sent in so many seconds."""

_FIRST_RETRY = 0.05
_LAST_RETRY = 2.0

_FIRST_GUESS = 0.02
_LAST_GUESS = 0.5


class Ear:
    """Hears of what other processes write, and tells them of what this one has written.

    Behind a transaction pooler nothing can be heard. Then ``wake`` is called by guess: often after
    something was written here, seldom when nothing has been for a while.

    Args:
        channel: all processes of the hub use the same.
    """

    def __init__(self, connector: Connector, channel: str) -> None:
        self._connector = connector
        self._channel = channel
        self._wake: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()
        self._own = 0

    def start(self) -> None:
        """Begin to listen."""
        run = self._guess if self._connector.pooled else self._listen
        self._task = asyncio.create_task(run(), name="durabletask-postgres-ear")

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called after hints from now on."""
        self._wake = wake

    def ring(self) -> None:
        """Tell the others soon that something was written."""
        self._rung.set()

    async def stop(self) -> None:
        """Tell what is still to be told, and stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _heard(self, _: object, pid: int, *__: object) -> None:
        if pid != self._own:
            self._hear()

    def _hear(self) -> None:
        if self._wake is not None:
            self._wake()

    async def _listen(self) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                connection = await self._connector.connect()
            except BackendUnavailableError as error:
                _log.warning("no connection for notifications, next try soon: %s", error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(delay * 2, _LAST_RETRY)
                continue
            try:
                await self._attune(connection)
                delay = _FIRST_RETRY
                await self._attend(connection)
            except TROUBLE as error:
                _log.warning("the connection for notifications broke: %s", first_line(error))
                self._connector.drop(connection)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(delay * 2, _LAST_RETRY)
            except asyncio.CancelledError:
                with contextlib.suppress(*TROUBLE):
                    if self._connector.is_alive(connection):
                        await self._leave(connection)
                raise

    async def _attune(self, connection: Connection) -> None:
        """Begin to listen on a new connection; a replica does not allow it."""
        self._own = connection.get_server_pid()
        connection.add_termination_listener(lambda _: self._rung.set())
        await connection.add_listener(self._channel, self._heard)
        self._hear()  # there may have been hints while nobody listened

    async def _attend(self, connection: Connection) -> None:
        """Tell until the connection breaks."""
        while True:
            await self._rung.wait()
            if not self._connector.is_alive(connection):
                raise ConnectionResetError("the server has closed it")
            await self._tell(connection)
            await asyncio.sleep(_WINDOW)

    async def _leave(self, connection: Connection) -> None:
        if self._rung.is_set():
            await self._tell(connection)
        await connection.remove_listener(self._channel, self._heard)
        await self._connector.release(connection)

    async def _tell(self, connection: Connection) -> None:
        self._rung.clear()  # before the telling: what is written meanwhile deserves another
        await connection.fetchval("SELECT pg_notify($1, '')", self._channel, timeout=5.0)

    async def _guess(self) -> None:
        pause = _FIRST_GUESS
        while True:
            self._rung.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._rung.wait()
            pause = _FIRST_GUESS if self._rung.is_set() else min(pause * 2, _LAST_GUESS)
            await asyncio.sleep(_FIRST_GUESS)
            self._hear()
