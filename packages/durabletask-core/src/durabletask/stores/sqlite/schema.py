"""The tables, and the check that a file holds ours.

``instances.lane`` is the owner, 0 for nobody. ``instances.wake_at`` is derived: the earliest
instant at which somebody has to look at the instance, NULL if nothing is due. For an owned
instance that is its first visible message; for one that nobody owns, the instant since when, or
from when on, it may be claimed. Two partial indexes over it answer every poll, so that neither
waiting instances nor due ones of other names cost anything. ``REWAKE`` is its only definition.

``history`` has one key, an integer made of the instance's ordinal and the chunk's sequence number,
so that a chunk costs one page and no index, and those of an instance lie side by side. An ordinal
has one execution at a time: the chunks of the last one go in the transaction that starts the next.
An instance's last update is the clock of its last chunk, so a turn in mid-life changes no row of
``instances``; ``instances.recorded_at`` keeps the clock of an execution that ended.
"""

from __future__ import annotations

import sqlite3

from durabletask.errors import BackendUnavailableError, SchemaVersionError

__all__ = [
    "APPLICATION_ID",
    "FIRST_MESSAGE",
    "OF_ENTITIES",
    "OF_ORCHESTRATIONS",
    "REWAKE",
    "SCHEMA_VERSION",
    "SEQUENCE_BITS",
    "THEIR_ENTRIES",
    "check",
    "create",
    "entries",
    "entry",
]

APPLICATION_ID = 0x64746B31
"""Marks a file as ours ("dtk1"), also for the ``file`` command."""

SCHEMA_VERSION = 3

OF_ENTITIES = "substr(instance_id, 1, 1) = '@'"
OF_ORCHESTRATIONS = "substr(instance_id, 1, 1) <> '@'"
"""The two halves of ``instances``. A query is for one of them and says so in these very words, from
which SQLite sees that the index of that half will do: the other half is not even read."""

TABLES = f"""
CREATE TABLE hubs (
    hub INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) {{strict}};

CREATE TABLE lanes (
    lane_id INTEGER PRIMARY KEY AUTOINCREMENT,
    hub INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    worker TEXT NOT NULL,
    lease INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    batch INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    orchestrations TEXT NOT NULL,
    activities TEXT NOT NULL
) {{strict}};

CREATE TABLE instances (
    ordinal INTEGER PRIMARY KEY,
    hub INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    lane INTEGER NOT NULL,
    wake_at INTEGER,
    freed_at INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    busy INTEGER NOT NULL DEFAULT 1,
    crashes INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    version TEXT,
    status TEXT NOT NULL DEFAULT 'PENDING',
    created_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL DEFAULT 0,
    completed_at INTEGER,
    parent_id TEXT,
    parent TEXT,
    parked TEXT,
    parked_code TEXT,
    tags TEXT,
    custom_status TEXT,
    failure BLOB,
    input TEXT,
    output TEXT,
    carryover BLOB,
    UNIQUE (hub, instance_id)
) {{strict}};
CREATE INDEX instances_claimable ON instances (hub, name, wake_at)
    WHERE lane = 0 AND wake_at IS NOT NULL;
CREATE INDEX instances_crashed ON instances (hub, name, wake_at)
    WHERE lane = 0 AND wake_at IS NOT NULL AND crashes > 0;
CREATE INDEX instances_owned ON instances (lane, wake_at) WHERE lane <> 0;
CREATE INDEX instances_parked ON instances (hub, name) WHERE parked IS NOT NULL;
CREATE INDEX instances_children ON instances (hub, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX instances_created ON instances (hub, created_at, instance_id)
    WHERE {OF_ORCHESTRATIONS};
CREATE INDEX instances_entities ON instances (hub, created_at, instance_id)
    WHERE {OF_ENTITIES};

CREATE TABLE history (
    entry INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    chunk BLOB NOT NULL
) {{strict}};

CREATE TABLE inbox (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    urgent INTEGER NOT NULL,
    body BLOB NOT NULL
) {{strict}};
CREATE INDEX inbox_instance ON inbox (instance, visible_at);
CREATE INDEX inbox_urgent ON inbox (visible_at, instance) WHERE urgent = 1;

CREATE TABLE activities (
    activity_id INTEGER PRIMARY KEY AUTOINCREMENT,
    hub INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    lane INTEGER NOT NULL DEFAULT 0,
    token INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    body BLOB NOT NULL
) {{strict}};
CREATE INDEX activities_claimable ON activities (hub, name, activity_id) WHERE lane = 0;
CREATE INDEX activities_claimed ON activities (lane) WHERE lane <> 0;
CREATE INDEX activities_instance ON activities (instance);
"""

SEQUENCE_BITS = 26
"""A key of ``history`` leaves room for so many turns of an execution, and 2**37 instances."""


def entry(ordinal: int, sequence: int) -> int:
    """The key of a chunk of history."""
    return ordinal << SEQUENCE_BITS | sequence


def entries(ordinal: str) -> str:
    """The condition for the chunks of one instance; ``ordinal`` is SQL for its ordinal."""
    return f"entry >= {ordinal} << {SEQUENCE_BITS} AND entry < ({ordinal} + 1) << {SEQUENCE_BITS}"


THEIR_ENTRIES = (
    f"entry IN (SELECT entry FROM json_each(?) CROSS JOIN history ON {entries('json_each.value')})"
)
"""The condition for the chunks of the instances whose ordinals are in a JSON array."""

FIRST_MESSAGE = "(SELECT min(visible_at) FROM inbox WHERE instance = instances.ordinal)"

REWAKE = f"""
UPDATE instances SET wake_at = CASE
    WHEN completed_at IS NOT NULL OR parked IS NOT NULL THEN NULL
    WHEN lane <> 0 THEN {FIRST_MESSAGE}
    WHEN NOT EXISTS (SELECT 1 FROM history WHERE {entries("instances.ordinal")})
        THEN max(freed_at, start_at)
    WHEN busy THEN freed_at
    ELSE max(freed_at, start_at, {FIRST_MESSAGE})
END
WHERE ordinal IN (SELECT value FROM json_each(?))
"""
"""Derives ``wake_at`` anew for the ordinals of a JSON array."""


def check(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the file holds our schema; False if it is empty. Writes nothing.

    Raises:
        BackendUnavailableError: the file belongs to another program.
        SchemaVersionError: it was written by another version of this library.
    """
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID:
        if owner or version or tables:
            raise BackendUnavailableError(
                f"the file {path!r} is a SQLite database of another program; nothing was "
                "written to it. Give the task hub a file of its own"
            )
        return False
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the file {path!r} has schema version {version}, but this library knows versions up "
            f"to {SCHEMA_VERSION}: upgrade durabletask-core in this environment"
        )
    if version < SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the file {path!r} has schema version {version}, which no release of this library "
            "has written: use a new file"
        )
    return True


def create(connection: sqlite3.Connection) -> None:
    """Create the tables. To be called inside a write transaction, on an empty file."""
    strict = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
    for statement in TABLES.format(strict=strict).split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
