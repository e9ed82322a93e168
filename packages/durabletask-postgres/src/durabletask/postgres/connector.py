"""Making connections: one at a time, with an eye on what stands between us and the server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from durabletask.errors import BackendUnavailableError
from durabletask.postgres.faults import TROUBLE, refused, unreachable

if TYPE_CHECKING:
    from asyncpg import Connection, Pool

    from durabletask.postgres.options import PostgresOptions

__all__ = ["OLDEST_SERVER", "Connector"]

OLDEST_SERVER = 140000

_BREATH = 0.05
"""After an attempt that failed, the next one is not made for so many seconds."""

_SETTLING = 2.0
"""After a connection broke, others may need so many seconds to make theirs anew."""

_PROBE = """
SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('server_version_num')::integer,
    current_setting('default_transaction_read_only')::boolean
"""


class Connector:
    """Makes connections to one server, or borrows them from a pool.

    After a restart of the server everybody wants a connection at once. They are made one after
    another, and while the server cannot be reached, one of us asks for all.

    Attributes:
        place: the server and the database, as errors call them.
        pooled: whether a session lasts no longer than a transaction; known after ``probe``.
    """

    def __init__(self, source: str | Pool, options: PostgresOptions) -> None:
        self._source = source
        self._options = options
        self.place = _place(source)
        self.pooled = options.pooling == "transaction"
        self._lock = asyncio.Lock()
        self._failure: BackendUnavailableError | None = None
        self._failed_at = 0.0
        self._broken_at: float | None = None
        self._returning: set[asyncio.Future[None]] = set()

    async def probe(self) -> None:
        """Connect once, and see whether this is a server that we can use.

        Raises:
            BackendUnavailableError: it is not, with the remedy.
        """
        connection = await self.connect(prepared=False)
        told = connection.get_server_pid()
        try:
            async with connection.transaction(readonly=True):
                [[pid, standby, version, read_only]] = await connection.fetch(_PROBE)
        except TROUBLE as error:
            raise refused(error, self.place) from error
        finally:
            await self.release(connection)
        if version < OLDEST_SERVER:
            raise BackendUnavailableError(
                f"{self.place} is PostgreSQL {version // 10000}, but {OLDEST_SERVER // 10000} is "
                "the oldest that works: upgrade the server"
            )
        if standby:
            raise BackendUnavailableError(
                f"{self.place} is a read-only replica: name the primary in the URL, or all "
                "hosts and target_session_attrs=primary"
            )
        if read_only:
            raise BackendUnavailableError(
                f"{self.place}: the server is read-only for our role or database: take "
                "default_transaction_read_only back, or name another host in the URL"
            )
        if self._options.pooling == "auto":
            # A pooler tells its clients process ids of its own.
            self.pooled = pid != told

    async def connect(self, *, prepared: bool = True) -> Connection:
        """A new connection, to be given back with ``release``.

        Args:
            prepared: statements that are used again may be kept on the server.

        Raises:
            BackendUnavailableError: with the remedy.
        """
        async with self._lock:
            if self._failure is not None and time.monotonic() - self._failed_at < _BREATH:
                raise BackendUnavailableError(str(self._failure))
            try:
                connection = await self._connect(prepared=prepared and not self.pooled)
            except TROUBLE as error:
                self._failure = unreachable(error, self.place)
                self._failed_at = time.monotonic()
                raise self._failure from error
            self._failure = None
            return connection

    async def _connect(self, *, prepared: bool) -> Connection:
        timeout = self._options.connect_timeout
        if not isinstance(self._source, str):
            # What a pool lends behaves as a connection and is called by another name.
            return cast("Connection", await self._source.acquire(timeout=timeout))
        async with asyncio.timeout(timeout):
            return await asyncpg.connect(
                self._source,
                timeout=timeout,
                statement_cache_size=100 if prepared else 0,
                max_cached_statement_lifetime=0,
            )

    async def release(self, connection: Connection) -> None:
        """Close a connection, or give it back to its pool; drop it if that cannot be done soon."""
        try:
            if isinstance(self._source, str):
                await connection.close(timeout=2.0)
            else:
                await self._source.release(cast("Any", connection), timeout=2.0)
        except TROUBLE:
            self.drop(connection)
        except asyncio.CancelledError:
            self.drop(connection)
            raise

    def drop(self, connection: Connection) -> None:
        """Be done with a connection that broke, at once."""
        self._broken_at = time.monotonic()
        connection.terminate()
        if not isinstance(self._source, str):
            task = asyncio.ensure_future(_returned(self._source, connection))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    @staticmethod
    def is_alive(connection: Connection) -> bool:
        """Whether a connection can be used; one that its pool has taken back cannot."""
        try:
            return not connection.is_closed()
        except asyncpg.InterfaceError:
            return False

    @property
    def is_settled(self) -> bool:
        """Whether all who could have lost their connections with us have had time to return."""
        return self._broken_at is None or time.monotonic() - self._broken_at > _SETTLING


async def _returned(pool: Pool, connection: Connection) -> None:
    try:
        await pool.release(cast("Any", connection))
    except TROUBLE:
        pass  # it is closed, which is what the pool had to know


def _place(source: str | Pool) -> str:
    if not isinstance(source, str):
        return "the PostgreSQL server of the given pool"
    _, _, rest = source.partition("://")
    return f"PostgreSQL at {rest.partition('?')[0].rpartition('@')[2]}"
