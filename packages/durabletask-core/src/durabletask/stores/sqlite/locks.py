"""Locks on small side files, which the kernel frees when their process dies.

They are ``flock`` locks: they belong to the open file, not to the process, so two stores of one
process exclude each other like two processes do, and closing an unrelated descriptor frees
nothing. Where the platform has none (Windows), every lock counts as taken: then dead lanes end by
their lease alone.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from typing import ClassVar

if sys.platform == "win32":

    def lock(file: int, *, exclusive: bool) -> bool:
        """Every lock counts as taken."""
        return True

    def unlock(file: int) -> None:
        """Nothing was locked."""

else:
    import fcntl

    def lock(file: int, *, exclusive: bool) -> bool:
        """Lock an open file without waiting; False if somebody else holds it."""
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: int) -> None:
        """Free the lock of an open file."""
        fcntl.flock(file, fcntl.LOCK_UN)


__all__ = ["SideFile"]

PAUSE = 0.0005
"""Seconds between two attempts at a lock that somebody holds."""


class SideFile:
    """An open side file. Created with mode 0600 unless ``create`` is false.

    Raises:
        FileNotFoundError: it does not exist and is not to be created.
        OSError: it cannot be opened.
    """

    _all: ClassVar[weakref.WeakSet[SideFile]] = weakref.WeakSet()

    def __init__(self, path: str, *, create: bool = True) -> None:
        self.path = path
        self._file: int | None = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        SideFile._all.add(self)

    conclusive = sys.platform != "win32"
    """Whether a lock that could be taken was really free."""

    def exclusive(self, wait: float = 0.0) -> bool:
        """Take the lock for this file alone, within ``wait`` seconds; False if it is held."""
        return self._take(exclusive=True, wait=wait)

    def shared(self, wait: float = 0.0) -> bool:
        """Take the lock together with others, within ``wait`` seconds."""
        return self._take(exclusive=False, wait=wait)

    def _take(self, *, exclusive: bool, wait: float) -> bool:
        if self._file is None:
            return False
        if lock(self._file, exclusive=exclusive):
            return True
        deadline = time.monotonic() + wait
        while not lock(self._file, exclusive=exclusive):
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE)
        return True

    def free(self) -> None:
        """Free the lock and keep the file open."""
        if self._file is not None:
            unlock(self._file)

    def close(self) -> None:
        """Close the file, which frees the lock. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @classmethod
    def forget(cls) -> None:
        """Close all of them in a forked child: its copies would outlive the parent's death.

        Closing a copy does not free the lock of the parent, which still has the file open.
        """
        for file in list(cls._all):
            file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SideFile.forget)
