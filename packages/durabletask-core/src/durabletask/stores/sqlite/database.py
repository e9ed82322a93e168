"""One connection to the file: pragmas, transactions, and what to do when they fail."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from durabletask.errors import BackendUnavailableError, UnknownCommitError
from durabletask.stores.sqlite import schema
from durabletask.stores.sqlite.bulk import statements, text
from durabletask.stores.sqlite.faults import is_busy, is_unknown, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from durabletask.stores.sqlite.guard import CommitGuard
    from durabletask.stores.sqlite.options import SQLiteOptions

__all__ = ["Database"]

T = TypeVar("T")

STATEMENTS = 512
"""Size of the statement cache. Preparing one costs more than running it."""

PAGE = 4096

PAGES_PER_COMMIT = 4
"""About what a small commit writes: one for a turn in mid-life, five for an instance's first."""

SHORTEST_PAUSE = 0.0005
LONGEST_PAUSE = 0.005
"""Seconds between two attempts to begin a transaction while another process writes."""

PATIENCE_MS = 20
"""How long a checkpoint that shortens the log waits for readers, in milliseconds."""


class Database:
    """A connection that one thread uses at a time, opened on first use and after a failure.

    Args:
        path: absolute path of the file.
        options: see :class:`SQLiteOptions`.
        guard: keeps commits and checkpoints apart; None makes a connection that only reads.
    """

    def __init__(self, path: str, options: SQLiteOptions, guard: CommitGuard | None = None) -> None:
        self.path = path
        self._options = options
        self._guard = guard
        self._patience = round(options.busy_timeout * 1000)
        self._connection: sqlite3.Connection | None = None
        self._clock = 0
        self.written = 0
        """Estimate of the bytes that the log has grown by since the last checkpoint."""

    # --- life ----------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, opened if need be. Raises what ``open`` raises."""
        if self._connection is None:
            self.open()
            assert self._connection is not None
        return self._connection

    def open(self) -> None:
        """Connect, and check the schema; a writing connection creates it in an empty file.

        Raises:
            BackendUnavailableError, SchemaVersionError: nothing was written.
        """
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS,
            )
        except sqlite3.Error as error:
            raise unavailable(error, self.path) from error
        try:
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise unavailable(error, self.path) from error
            raise
        self._connection = connection

    def close(self) -> None:
        """Close the connection; what it had not committed is gone. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._guard is not None:
            self._guard.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        execute = connection.execute
        execute(f"PRAGMA busy_timeout = {self._patience}")
        execute("PRAGMA trusted_schema = OFF")
        # Automatic checkpoints run inside COMMIT and would stall it: see ``upkeep``.
        execute("PRAGMA wal_autocheckpoint = 0")
        execute("BEGIN")
        known = schema.check(connection, self.path)
        execute("COMMIT")
        if self._guard is None:
            execute("PRAGMA query_only = ON")
            execute("PRAGMA cache_size = -16384")
            return
        execute(f"PRAGMA synchronous = {self._options.synchronous}")
        execute("PRAGMA cache_size = -65536")
        execute("PRAGMA temp_store = MEMORY")
        if not known:
            execute(f"PRAGMA page_size = {PAGE}")
        self._write_ahead(connection)
        self._guard.open()
        if not known:
            self._create(connection)
        execute("PRAGMA busy_timeout = 0")  # from here on ``_begin`` waits

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch the file to a write-ahead log, which is a no-op for all but the first.

        Two processes that create a file at once get in each other's way here, and SQLite then
        fails at once, whatever the busy timeout is.
        """
        deadline = time.monotonic() + self._options.busy_timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.005)
        if mode != "wal":
            raise BackendUnavailableError(
                f"the file system of {self.path!r} cannot hold a write-ahead log (the journal "
                f"mode stays {mode!r}): put the file on a local disk"
            )

    def _create(self, connection: sqlite3.Connection) -> None:
        assert self._guard is not None
        with self._guard.writing(self._options.busy_timeout):
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have been quicker: look again now that nobody else can write.
            if not schema.check(connection, self.path):
                schema.create(connection)
            connection.execute("COMMIT")

    # --- transactions --------------------------------------------------------------------------

    def now(self) -> int:
        """The store's clock, microseconds since the epoch. Never backwards in one process."""
        self._clock = max(self._clock, time.time_ns() // 1000)
        return self._clock

    def read(self, work: Callable[[], T]) -> T:
        """Run ``work`` on one snapshot of the database.

        Raises:
            BackendUnavailableError: the file cannot be read now.
        """
        connection = self.connection
        try:
            connection.execute("BEGIN")
            result = work()
            connection.execute("COMMIT")
        except BaseException as error:
            self._abandon(error)
            raise
        return result

    def write(self, work: Callable[[], T], *, wait: bool = True) -> T:
        """Run ``work`` in a write transaction and commit it.

        Without ``wait`` it fails at once if another process writes or copies the log.

        BEGIN IMMEDIATE takes the write lock at once, and waits for it: a transaction that begins
        by reading and writes later fails without waiting when another one was quicker.

        Raises:
            BackendUnavailableError: nothing was written.
            UnknownCommitError: COMMIT failed so that only a new connection can tell its outcome.
        """
        connection = self.connection
        assert self._guard is not None
        before = connection.total_changes
        with self._guard.writing(self._options.busy_timeout if wait else 0.0):
            try:
                self._begin(wait=wait)
                result = work()
            except BaseException as error:
                self._abandon(error)
                raise
            try:
                self._commit()
            except sqlite3.Error as error:
                self._fail(error)
        self.written += PAGE * (PAGES_PER_COMMIT + (connection.total_changes - before) // 8)
        return result

    def write_one(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one writing statement as a transaction of its own, without waiting for anybody.

        Returns how many rows it changed. Raises as ``write`` does.
        """
        connection = self.connection  # opens the guard as well, if it has to be opened
        assert self._guard is not None
        with self._guard.writing(0.0):
            try:
                changed = connection.execute(sql, parameters).rowcount
            except sqlite3.Error as error:
                self._fail(error)
        self.written += PAGE * PAGES_PER_COMMIT
        return changed

    def _begin(self, *, wait: bool) -> None:
        """BEGIN IMMEDIATE, repeated while another process writes.

        SQLite could wait by itself, but then it would do so on the event loop's thread too.
        """
        execute = self.connection.execute
        if not wait:
            execute("BEGIN IMMEDIATE")
            return
        deadline = time.monotonic() + self._options.busy_timeout
        pause = SHORTEST_PAUSE
        while True:
            try:
                execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def settle(self, work: Callable[[], T]) -> T:
        """Like ``write``, for work that may be done twice: an unknown commit is repeated.

        Raises:
            BackendUnavailableError: it failed, the second time too.
        """
        try:
            return self.write(work)
        except UnknownCommitError:
            pass
        try:
            return self.write(work)
        except UnknownCommitError as error:
            raise BackendUnavailableError(str(error)) from error

    def _commit(self) -> None:
        """COMMIT. Tests override this to break it before, in the middle and afterwards."""
        self.connection.execute("COMMIT")

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        """Raise what a COMMIT that failed with ``error`` means."""
        if is_unknown(error):
            self.close()
            raise UnknownCommitError(
                f"the SQLite store {self.path!r} failed in a commit ({error}), which may or may "
                "not have been applied"
            ) from error
        self._roll_back()
        raise unavailable(error, self.path) from error

    def _abandon(self, error: BaseException) -> None:
        """Undo the open transaction. Translates ``error`` if it is SQLite's or the system's."""
        self._roll_back()
        if isinstance(error, sqlite3.Error | OSError):
            raise unavailable(error, self.path) from error

    def _roll_back(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()

    # --- upkeep --------------------------------------------------------------------------------

    def data_version(self) -> int | None:
        """A number that changes when another connection has committed; None while closed."""
        if self._connection is None:
            return None
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def checkpoint(self, *, shorten: bool) -> bool:
        """Copy the log into the file, as far as readers permit, without waiting for them.

        ``shorten`` also cuts the log file, which commits otherwise overwrite from its start.
        Returns False if nothing was done because somebody commits.
        """
        if self._connection is None or self._guard is None:
            return False
        with self._guard.checkpointing(PATIENCE_MS / 1000 if shorten else 0.0) as free:
            if not free:
                return False
            if shorten:
                self._connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
            try:
                mode = "TRUNCATE" if shorten else "PASSIVE"
                self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            finally:
                if shorten:
                    self._connection.execute("PRAGMA busy_timeout = 0")
        self.written = 0
        return True

    # --- statements ----------------------------------------------------------------------------

    def rows(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        """All rows of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Execute a statement. Returns how many rows it changed."""
        return self.connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[Any]) -> int | None:
        """Insert one row. Returns its number, or None if the statement found no reason to."""
        cursor = self.connection.execute(sql, parameters)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def spread(self, head: str, row: str, rows: Sequence[Iterable[Any]], tail: str = "") -> int:
        """Execute ``head row, row, ... tail`` for all rows. Returns how many rows it changed."""
        if not rows:
            return 0
        execute = self.connection.execute
        if len(rows) == 1:
            return execute(text(head, row, tail, 1), tuple(rows[0])).rowcount
        return sum(
            execute(sql, parameters).rowcount
            for sql, parameters in statements(head, row, tail, rows)
        )

    def gather(
        self, head: str, row: str, rows: Sequence[Iterable[Any]], tail: str = ""
    ) -> list[Any]:
        """All rows of the queries ``head row, row, ... tail``."""
        if not rows:
            return []
        execute = self.connection.execute
        return [
            found
            for sql, parameters in statements(head, row, tail, rows)
            for found in execute(sql, parameters)
        ]
