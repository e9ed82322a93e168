"""A file of calls: written before they are made, read to make them again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from durabletask.errors import BackendUnavailableError, SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Call", "Journal"]

VERSION = 1


class Header(msgspec.Struct):
    """The first line of every journal."""

    durabletask_journal: int


class Call(msgspec.Struct, array_like=True):
    """One call: its instant in microseconds since the epoch, its verb and its arguments."""

    at: int
    verb: str
    arguments: msgspec.Raw


class Journal:
    """An open journal. Made by ``open``, which also creates the file."""

    def __init__(self, file: BinaryIO, *, sync: bool) -> None:
        self._file = file
        self._sync = sync

    @classmethod
    def open(cls, path: str, *, sync: bool) -> Journal:
        """Open or create the file.

        Raises:
            BackendUnavailableError: it cannot be written, or is no journal.
            SchemaVersionError: a newer journal.
        """
        try:
            # Appending creates the file without emptying it.
            file = open(path, "a+b")
        except OSError as error:
            raise BackendUnavailableError(
                f"the journal {path!r} cannot be opened: {error.strerror}; choose a file in a "
                "folder that exists and may be written"
            ) from error
        journal = cls(file, sync=sync)
        try:
            journal._check_header(path)
        except BaseException:
            file.close()
            raise
        return journal

    def _check_header(self, path: str) -> None:
        self._file.seek(0)
        line = self._file.readline()
        if not line:
            self._append(msgspec.json.encode(Header(VERSION)))
            return
        try:
            version = msgspec.json.decode(line, type=Header).durabletask_journal
        except msgspec.DecodeError:
            raise BackendUnavailableError(
                f"{path!r} is no journal of durabletask: choose another file"
            ) from None
        if version > VERSION:
            raise SchemaVersionError(
                f"the journal {path!r} has version {version}, and this durabletask-journal knows "
                f"{VERSION}: upgrade it"
            )

    def calls(self) -> Iterator[Call]:
        """Every call that was written whole, in order."""
        self._file.seek(0)
        self._file.readline()
        end = self._file.tell()
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            yield msgspec.json.decode(line, type=Call)
        # A process that died while writing left half a line: the call was never made.
        self._file.truncate(end)

    def write(self, at: int, verb: str, arguments: tuple[object, ...]) -> None:
        """Write a call that is about to be made."""
        self._append(msgspec.json.encode([at, verb, arguments]))

    def _append(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        if self._sync:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()
