"""The schema: whether it is there and fits, and bringing it up to date.

Migrations are the numbered SQL files beside this module. Each runs once, in one transaction, under
an advisory lock. Code and schema may differ during a rolling deploy: code works on a schema that is
newer than itself unless a migration says that it does not, and never on an older one.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from durabletask.errors import BackendUnavailableError, SchemaVersionError
from durabletask.postgres.faults import TROUBLE, refused

if TYPE_CHECKING:
    from asyncpg import Connection

    from durabletask.postgres.connector import Connector

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "Migration", "check", "migrate", "version_of"]

_LOCK = 0x6474_6B31
"""Key of the advisory lock under which migrations run ("dtk1")."""


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    name: str
    sql: str


def _read() -> tuple[Migration, ...]:
    found = []
    for file in files("durabletask.postgres").joinpath("migrations").iterdir():
        match = re.fullmatch(r"([0-9]{4})_([a-z_]+)\.sql", file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found))


MIGRATIONS = _read()

SCHEMA_VERSION = MIGRATIONS[-1].version
"""The version that this code was written for."""


async def version_of(connection: Connection, schema: str) -> tuple[int, int] | None:
    """The schema's version and the oldest code that it still serves; None if there is no schema."""
    found = await connection.fetchval(
        "SELECT count(*) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace "
        "WHERE n.nspname = $1 AND p.proname = 'version_v1'",
        schema,
    )
    if not found:
        return None
    [[version, oldest]] = await connection.fetch(f'SELECT * FROM "{schema}".version_v1()')
    return version, oldest


async def check(connector: Connector, schema: str, *, create: bool) -> None:
    """Make sure that this code can work on the schema.

    Args:
        create: make it, in a database that has none.

    Raises:
        SchemaVersionError: it cannot, with the remedy. BackendUnavailableError: see ``migrate``.
    """
    connection = await connector.connect(prepared=False)
    try:
        async with connection.transaction():
            found = await version_of(connection, schema)
    except TROUBLE as error:
        raise refused(error, connector.place) from error
    finally:
        await connector.release(connection)
    where = f"the schema {schema!r} of {connector.place}"
    if found is None:
        if not create:
            raise SchemaVersionError(f"{where} does not exist: run `durabletask migrate URL`")
        await migrate(connector, schema)
        return
    version, oldest = found
    if version < SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{where} has version {version}, but this version of durabletask-postgres needs "
            f"{SCHEMA_VERSION}: run `durabletask migrate URL`; workers of the older version may go "
            "on running meanwhile"
        )
    if oldest > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{where} serves code for version {oldest} and later, but this version of "
            f"durabletask-postgres was written for {SCHEMA_VERSION}: upgrade it"
        )


async def migrate(connector: Connector, schema: str) -> tuple[int, int]:
    """Bring the schema up to date. Whoever comes second waits for the first.

    Returns:
        The version it had, 0 if there was none, and the one it has now.

    Raises:
        BackendUnavailableError: a right is missing, or the server cannot be used; what was not
            finished was not begun.
    """
    connection = await connector.connect(prepared=False)
    try:
        async with connection.transaction():
            return await _migrate(connection, schema)
    except TROUBLE as error:
        raise refused(error, connector.place) from error
    finally:
        await connector.release(connection)


async def _migrate(connection: Connection, schema: str) -> tuple[int, int]:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    found = await version_of(connection, schema)
    before = 0 if found is None else found[0]
    if before >= SCHEMA_VERSION:
        return before, before
    if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema):
        await connection.execute(f'CREATE SCHEMA "{schema}"')
    elif found is None and await _is_used(connection, schema):
        raise BackendUnavailableError(
            f"the schema {schema!r} holds tables of another program; nothing was written to it. "
            "Give the task hubs a schema of their own"
        )
    await connection.execute(f'SET LOCAL search_path = "{schema}", pg_temp')
    for migration in MIGRATIONS:
        if migration.version > before:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migrations (version, name) VALUES ($1, $2)",
                migration.version,
                migration.name,
            )
    # What is new is nobody's but the owner's, until it is granted.
    await connection.execute(f'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA "{schema}" FROM PUBLIC')
    await connection.execute("SELECT pin_functions(), grant_all()")
    return before, SCHEMA_VERSION


async def _is_used(connection: Connection, schema: str) -> bool:
    query = "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))"
    return bool(await connection.fetchval(query, schema))
