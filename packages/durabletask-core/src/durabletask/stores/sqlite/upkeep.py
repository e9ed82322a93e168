"""What the writing thread does between batches: look for others' commits, and checkpoint.

SQLite has no notifications. ``PRAGMA data_version`` is the next best thing: it changes when
another connection has committed, and costs microseconds. A busy writer looks every 2 ms, or 5 ms
if the event loop would have to wait for it; an idle one as often as 2 % of the idle time allows:
every 2 ms just after some activity, every 40 ms later on.

Checkpoints never run inside a commit, where they would make one batch in some hundreds wait for
tens of milliseconds: the writer makes them when nothing waits, or when the log has grown by
4 MiB. A log that readers have kept from being reused is cut once it is larger than 32 MiB.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.stores.sqlite.database import Database

__all__ = ["Upkeep"]

PAUSE_SHORTEST = 0.002
PAUSE_LONGEST = 0.040
PAUSE_SHARE = 0.02

CHECKPOINT_BYTES = 4 * 1024 * 1024
SHORTEN_BYTES = 32 * 1024 * 1024
LOAN_SECONDS = 0.02
"""For so long after a loan the thread leaves the connection alone."""

LOAN_PAUSE = 0.005
"""Seconds between two looks for others' commits while the event loop commits by itself."""

QUIET_SECONDS = 1.0
"""Without work for so long, what the log holds is copied into the file."""


class Upkeep:
    """The chores of the writing thread.

    Args:
        path: of the database file.
        changed: called on this thread when another connection may have committed.
    """

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        self._log = f"{path}-wal"
        self._changed = changed
        self._version: int | None = None
        self._active_at = time.monotonic()
        self._lent_at = 0.0
        self._next_look_at = 0.0
        self._due = False
        self._size = 0

    @property
    def is_spared(self) -> bool:
        """Whether the event loop has just used the connection and seen to the chores itself."""
        return not self._due and time.monotonic() - self._lent_at < LOAN_SECONDS

    def after_loan(self, database: Database) -> None:
        """Look for others' commits if it is time; a checkpoint, which takes long, waits.

        What the connection is lent for is a commit. Looking takes a tenth of one, and the event
        loop waits for it; so it looks less often than the thread would.
        """
        now = self._active_at = self._lent_at = time.monotonic()
        if now >= self._next_look_at:
            self._look(database, lent=True)
            self._next_look_at = now + LOAN_PAUSE

    def after_job(self, database: Database) -> float:
        """Do the chores if they are due.

        Not after every job: the event loop is waking up to take the outcome, and this thread
        must get out of its way.
        """
        now = time.monotonic()
        if now >= self._next_look_at:
            self._look(database)
        return self._pause(now)

    def active(self) -> None:
        """A batch was committed. What a worker asks for at rest, such as polls, is no activity."""
        self._active_at = time.monotonic()

    def idle(self, database: Database) -> float:
        """Do the chores, and checkpoint after a quiet second."""
        if self._look(database):
            self._active_at = time.monotonic()
        now = time.monotonic()
        if database.written and now - self._active_at >= QUIET_SECONDS:
            self._checkpoint(database)
        return self._pause(now)

    def _pause(self, now: float) -> float:
        return min(PAUSE_LONGEST, max(PAUSE_SHORTEST, (now - self._active_at) * PAUSE_SHARE))

    def _look(self, database: Database, *, lent: bool = False) -> bool:
        """Look at the log's size and for others' commits. Returns whether there were any."""
        self._next_look_at = time.monotonic() + PAUSE_SHORTEST
        if max(database.written, self._log_size() - self._size) >= CHECKPOINT_BYTES:
            self._due = True
        if self._due and not lent:
            self._due = False
            self._checkpoint(database)
        version = database.data_version()
        if version == self._version:
            return False
        self._version = version
        self._changed()
        return True

    def _checkpoint(self, database: Database) -> None:
        if database.checkpoint(shorten=self._log_size() >= SHORTEN_BYTES):
            self._size = self._log_size()

    def _log_size(self) -> int:
        try:
            return os.stat(self._log).st_size
        except FileNotFoundError:
            return 0
