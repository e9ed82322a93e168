"""One connection that mends itself, for one call at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durabletask.errors import BackendClosedError, BackendUnavailableError
from durabletask.postgres.faults import READ_ONLY, TROUBLE, first_line, is_answer, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from asyncpg import Connection, Record

    from durabletask.postgres.connector import Connector

__all__ = ["Call", "ConnectionLostError", "Link"]

Call = tuple[str, "Sequence[Any]"]
"""A statement and its arguments."""


class ConnectionLostError(BackendUnavailableError):
    """The connection broke in a call, which may have been carried out."""


class Link:
    """A connection to the server, made when it is first needed and again when it broke.

    Calls wait for each other. One that is cancelled takes the connection with it: an answer that
    comes late must not be taken for that of the next call.

    Args:
        greet: run on every new connection before its first call. Its errors are those of the call.
    """

    def __init__(
        self,
        connector: Connector,
        timeout: float,
        greet: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._greet = greet
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._is_closed = False

    async def call(self, statement: str, *arguments: Any) -> list[Record]:
        """The rows that one statement gives. In a transaction of its own.

        Raises:
            BackendUnavailableError: nothing was done, and it may be tried again.
            ConnectionLostError: it is not known whether it was done.
            BackendError: the server refuses these values.
        """
        async with self._lock:
            connection = await self._connected()
            try:
                if not self._connector.pooled:
                    return await connection.fetch(statement, *arguments, timeout=self._timeout)
                # Behind a pooler, a transaction is what keeps the steps of a call together.
                async with connection.transaction():
                    return await connection.fetch(statement, *arguments, timeout=self._timeout)
            except BaseException as error:
                raise self._failed(error) from error

    async def calls(self, calls: Sequence[Call]) -> list[list[Record]]:
        """The rows of several statements, in one transaction. Raises as ``call``."""
        async with self._lock:
            connection = await self._connected()
            try:
                async with connection.transaction():
                    return [
                        await connection.fetch(statement, *arguments, timeout=self._timeout)
                        for statement, arguments in calls
                    ]
            except BaseException as error:
                raise self._failed(error) from error

    async def _connected(self) -> Connection:
        if self._is_closed:
            raise BackendClosedError("the PostgreSQL store was closed during the call")
        if self._connection is not None:
            if self._connector.is_alive(self._connection):
                return self._connection
            self._drop()
        self._connection = connection = await self._connector.connect()
        if self._greet is not None:
            try:
                await self._greet(connection)
            except BaseException as error:
                raise self._failed(error) from error
        return connection

    def _failed(self, error: BaseException) -> BaseException:
        """What to raise for an error in a call; a connection that may be amiss is dropped."""
        if is_answer(error):
            if getattr(error, "sqlstate", None) == READ_ONLY:
                # Perhaps another server is the primary by now; a new connection finds it.
                self._drop()
            return refused(error, self._connector.place)
        self._drop()
        if not isinstance(error, TROUBLE):
            return error
        why = "no answer came in time" if isinstance(error, TimeoutError) else first_line(error)
        return ConnectionLostError(f"the connection to {self._connector.place} broke: {why}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connector.drop(connection)

    async def close(self) -> None:
        """Close the connection, after the call that is under way."""
        self._is_closed = True
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._connector.is_alive(connection):
                await self._connector.release(connection)
