"""Where tests find real servers: one PostgreSQL for a whole run."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .postgres import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES_URL = "DURABLETASK_TEST_POSTGRES_URL"
"""A database to use instead of a server of our own."""


class Postgres(NamedTuple):
    """A migrated schema in some database."""

    dsn: str
    schema: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A schema of ours on a server: the one that the environment names, or one of our own."""
    given = os.environ.get(POSTGRES_URL)
    if given is None:
        with running_server() as server:
            yield migrated(server.url(), "durabletask")
        return
    place = migrated(given, f"durabletask_test_{secrets.token_hex(4)}")
    try:
        yield place
    finally:
        asyncio.run(_drop(place))


def migrated(dsn: str, schema: str) -> Postgres:
    """The place, with its tables."""
    from durabletask.postgres import PostgresOptions, PostgresStore

    asyncio.run(PostgresStore(dsn, PostgresOptions(schema=schema)).migrate())
    return Postgres(dsn, schema)


async def _drop(place: Postgres) -> None:
    import asyncpg

    connection = await asyncpg.connect(place.dsn)
    try:
        await connection.execute(f'DROP SCHEMA "{place.schema}" CASCADE')
    finally:
        await connection.close()
