"""Starting an instance inside a transaction of the user's own, on the user's own connection."""

from __future__ import annotations

import os
import sqlite3
import time

from durabletask.errors import ArgumentTypeError, InvalidRequestError
from durabletask.store import FINISHED_STATUSES, NewInstance
from durabletask.stores.sqlite.faults import unavailable
from durabletask.stores.sqlite.schema import entries
from durabletask.stores.sqlite.values import encode

__all__ = ["create_within"]

INSERT = """
INSERT INTO {place}.instances (hub, instance_id, execution_id, lane, wake_at, freed_at, start_at,
    name, version, created_at, tags, input)
VALUES (:hub, :instance_id, :execution_id, 0, max(:now, :start_at), :now, :start_at,
    :name, :version, :created_at, :tags, :input)
"""

ERASE = (
    f"DELETE FROM {{place}}.history WHERE {entries('?1')}",
    "DELETE FROM {place}.inbox WHERE instance = ?",
    "DELETE FROM {place}.activities WHERE instance = ?",
    "DELETE FROM {place}.instances WHERE ordinal = ?",
)


def create_within(connection: object, path: str, hub: int, create: NewInstance) -> bool:
    """Create an instance in the transaction open on ``connection``; False if the id is taken.

    Raises:
        ArgumentTypeError, InvalidRequestError: it is no connection to the file, or has no open
            transaction. BackendUnavailableError: the file cannot be written now.
    """
    if not isinstance(connection, sqlite3.Connection):
        raise ArgumentTypeError(
            "to start inside a transaction in SQLite, pass the sqlite3.Connection that it is open "
            f"on, not {type(connection).__name__}"
        )
    if not connection.in_transaction:
        raise InvalidRequestError(
            "the connection has no open transaction: BEGIN one, start the orchestration in it, and "
            "commit it; or leave the connection out"
        )
    try:
        return _create(connection, _place(connection, path), hub, create)
    except sqlite3.Error as error:
        raise unavailable(error, path) from error


def _place(connection: sqlite3.Connection, path: str) -> str:
    """What the connection calls our file: "main", or the name it is attached under."""
    for _, name, file in connection.execute("PRAGMA database_list").fetchall():
        if file and os.path.samefile(file, path):
            return '"{}"'.format(name.replace('"', '""'))
    raise InvalidRequestError(
        f"the connection is to another database than {path!r}: connect to that file, or ATTACH it"
    )


def _create(connection: sqlite3.Connection, place: str, hub: int, create: NewInstance) -> bool:
    found = connection.execute(
        f"SELECT ordinal, status FROM {place}.instances WHERE hub = ? AND instance_id = ?",
        (hub, create.instance_id),
    ).fetchone()
    if found is not None:
        ordinal, status = found
        if status not in create.replace & FINISHED_STATUSES:
            return False
        for statement in ERASE:
            connection.execute(statement.format(place=place), (ordinal,))
    values = {
        "hub": hub,
        "now": time.time_ns() // 1000,
        "instance_id": create.instance_id,
        "execution_id": create.execution_id,
        "start_at": create.start_at,
        "name": create.name,
        "version": create.version,
        "created_at": create.created_at,
        "tags": None if create.tags is None else encode(create.tags),
        "input": create.input,
    }
    connection.execute(INSERT.format(place=place), values)
    return True
