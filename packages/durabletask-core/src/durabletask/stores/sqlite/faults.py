"""What SQLite's errors mean, and what to do about them."""

from __future__ import annotations

import sqlite3

from durabletask.errors import BackendUnavailableError

__all__ = ["is_busy", "is_unknown", "unavailable"]

REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process has been writing for longer than busy_timeout; "
    "try again, or raise busy_timeout",
    sqlite3.SQLITE_LOCKED: "another process has been writing for longer than busy_timeout; "
    "try again, or raise busy_timeout",
    sqlite3.SQLITE_CANTOPEN: "check that its directory exists and that this user may read and "
    "write both the directory and the file",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its directory writable for this user",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and go on",
    sqlite3.SQLITE_IOERR: "the disk or the file system reports an error; look at the system log",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; give the task hub a file of its own",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup",
    sqlite3.SQLITE_TOOBIG: "a payload is larger than SQLite can hold; make it smaller",
}

CLEAN = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CONSTRAINT,
}
"""Refusals to commit that SQLite gives before the commit record is on its way to the disk."""


def primary_code(error: sqlite3.Error) -> int:
    """The primary result code of an error; SQLITE_ERROR if Python has raised it by itself."""
    return (getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process is writing, so that a later attempt may succeed."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_unknown(error: sqlite3.Error) -> bool:
    """Whether a COMMIT that failed like this may have been applied all the same."""
    return primary_code(error) not in CLEAN


def unavailable(error: sqlite3.Error | OSError, path: str) -> BackendUnavailableError:
    """The error to raise for one of SQLite's, with the remedy."""
    code = sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else primary_code(error)
    remedy = REMEDIES.get(code, "look at the cause of this error")
    return BackendUnavailableError(f"the SQLite store {path!r} failed ({error}): {remedy}")
