"""Whether a path can hold a store: found out before SQLite touches it."""

from __future__ import annotations

import os
import threading

from durabletask.errors import BackendUnavailableError

__all__ = ["prepare"]

MOUNTS = "/proc/self/mountinfo"

NETWORK = {"afs", "cifs", "fuse.sshfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
"""File systems whose locks and shared memory do not reach other machines."""

_creation = threading.Lock()


def prepare(path: str) -> None:
    """Check that ``path`` can be a database file, and create it empty if there is none.

    The file is created here, because SQLite would let the umask choose its mode: it gets 0600,
    and the log and its index take theirs from it. Closing a descriptor of a file frees all POSIX
    locks that the process holds on it, SQLite's included, so a file that exists is never opened
    here, and two stores of a process do not create one at the same time.

    Raises:
        BackendUnavailableError: with the remedy.
    """
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise BackendUnavailableError(
            f"{path!r} is a directory: name a file in it, such as {path.rstrip('/')}/tasks.db"
        )
    if not os.path.isdir(folder):
        raise BackendUnavailableError(
            f"the directory {folder!r} of the SQLite store {path!r} does not exist: create it "
            "first, or correct the path"
        )
    kind = filesystem(path)
    if kind in NETWORK:
        raise BackendUnavailableError(
            f"the SQLite store {path!r} lies on a network file system ({kind}), where a "
            "write-ahead log loses data: put it on a local disk, or use a database server"
        )
    if not os.access(folder, os.W_OK | os.X_OK) or (
        os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK)
    ):
        raise BackendUnavailableError(
            f"the SQLite store {path!r} is not writable: make the file and its directory "
            "writable for this user (the directory holds the write-ahead log)"
        )
    with _creation:
        create(path)


def create(path: str) -> None:
    """Create an empty file unless there is one."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise BackendUnavailableError(
            f"the SQLite store {path!r} cannot be created ({error.strerror}): make its directory "
            "writable for this user, or choose another"
        ) from error


def filesystem(path: str, mounts: str = MOUNTS) -> str | None:
    """The type of the file system that holds ``path``, where the system tells (Linux)."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            entries = [line.split() for line in lines]
    except OSError:
        return None
    real = os.path.realpath(path)
    best, kind = "", None
    for fields in entries:
        # Optional fields end with a dash; the type of the file system follows it.
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind
