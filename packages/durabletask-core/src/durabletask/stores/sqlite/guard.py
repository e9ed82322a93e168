"""Keeps commits and checkpoints of different processes apart where SQLite does not.

SQLite 3.7.0 to 3.51.2 can lose or damage commits when one connection restarts the write-ahead log
while another one checkpoints it (fixed in 3.51.3, and in the branches 3.44 and 3.50 with 3.44.6
and 3.50.7). Python links whatever version the system has. A process alone with its file is safe,
because one thread both writes and checkpoints; for several processes there is a side file: every
write transaction of ours holds a lock on it that it shares with the others, and a checkpoint runs
only under the exclusive one. So no commit of ours ever overlaps a checkpoint of ours. The
checkpoint that SQLite makes when the last connection closes needs no guard: it begins with a
lock on the whole database, so nobody else is there.

With a sound version the guard does nothing.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from durabletask.errors import BackendUnavailableError
from durabletask.stores.sqlite.locks import SideFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["CommitGuard", "is_vulnerable"]

logger = logging.getLogger(__name__)

REPAIRED_BRANCHES = {(3, 44): 6, (3, 50): 7}
"""Branches that got the repair, and their first release with it."""

_warned: set[tuple[int, ...]] = set()


def is_vulnerable(version: tuple[int, int, int]) -> bool:
    """Whether this version of SQLite has the defect described above."""
    major, minor, patch = version
    if version >= (3, 51, 3):
        return False
    return patch < REPAIRED_BRANCHES.get((major, minor), patch + 1)


class Writing:
    """Holds the lock of a commit. Written out, because every commit goes through it.

    It keeps nothing of its own, so one object serves any number of commits.
    """

    __slots__ = ("_guard", "_wait")

    def __init__(self, guard: CommitGuard, wait: float) -> None:
        self._guard = guard
        self._wait = wait

    def __enter__(self) -> None:
        file = self._guard.file
        if file is not None and not file.shared(self._wait):
            raise BackendUnavailableError(
                f"the SQLite store is busy: another process has held {file.path!r} to copy the "
                f"log for {self._wait:g} seconds; try again, or raise busy_timeout"
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        file = self._guard.file
        if file is not None:
            file.free()


class CommitGuard:
    """The lock of one writing connection. Belongs to the thread of that connection.

    Args:
        path: of the database file.
        version: of the linked SQLite.

    Attributes:
        file: None if nothing need be kept apart, or while the guard is closed.
    """

    def __init__(
        self, path: str, version: tuple[int, int, int] = sqlite3.sqlite_version_info[:3]
    ) -> None:
        self._path = path
        self._version = version
        self.file: SideFile | None = None
        self._at_once = Writing(self, 0.0)

    def open(self) -> None:
        """Create the side file if the linked version needs it. Says so once per process."""
        if self.file is not None or not is_vulnerable(self._version):
            return
        self.file = SideFile(f"{self._path}.lock")
        if self._version not in _warned:
            _warned.add(self._version)
            logger.info(
                "SQLite %s can damage a file when a commit and a checkpoint of two processes "
                "meet; this library keeps its own apart, but let no other program write to %r. "
                "SQLite 3.51.3, 3.50.7 and 3.44.6 are sound",
                ".".join(map(str, self._version)),
                self._path,
            )

    def close(self) -> None:
        """Close the side file. It stays, for others may hold it open."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def writing(self, wait: float) -> Writing:
        """A context that holds off checkpoints during a write transaction.

        Entering it raises:
            BackendUnavailableError: a checkpoint has been running for ``wait`` seconds.
        """
        return Writing(self, wait) if wait else self._at_once

    @contextmanager
    def checkpointing(self, wait: float) -> Iterator[bool]:
        """Hold off commits during a checkpoint; False if one ran for all of ``wait`` seconds."""
        file = self.file
        if file is None:
            yield True
            return
        held = file.exclusive(wait)
        try:
            yield held
        finally:
            if held:
                file.free()
