"""Whether the rows or keys of a hub fit together when all is over, and nothing is left behind."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import asyncpg

from durabletask.stores.sqlite.schema import SEQUENCE_BITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.servers.postgres import PostgresServer
    from tests.servers.redis import RedisServer

_PATIENCE = 60.0


async def settled(audit: Callable[[], Awaitable[None]]) -> None:
    """Wait until an audit is content: activities of instances that were terminated may still run.

    Raises:
        AssertionError: what it complains of, at the end of our patience.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return await audit()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.3)


def check_file(file: Path) -> None:
    """The file is sound, histories have no gaps, and nothing is left of finished instances."""
    with closing(sqlite3.connect(file, timeout=30.0)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        gaps = database.execute(
            f"SELECT entry >> {SEQUENCE_BITS} AS instance FROM history GROUP BY instance "
            f"HAVING min(entry) <> instance << {SEQUENCE_BITS} "
            "OR max(entry) + 1 <> min(entry) + count(*)"
        ).fetchall()
        assert gaps == [], "histories have gaps"
        for table in ("inbox", "activities"):
            (left,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert left == 0, f"{left} rows are left in {table}"


async def check_database(server: PostgresServer) -> None:
    """Histories have no gaps and belong to somebody, and nothing is left of finished instances."""
    connection = await asyncpg.connect(server.url())
    try:
        gaps = await connection.fetch(
            "SELECT instance, count(*), min(sequence), max(sequence) FROM durabletask.history "
            "GROUP BY instance HAVING min(sequence) <> 0 OR max(sequence) + 1 <> count(*)"
        )
        assert gaps == [], f"histories have gaps: {gaps}"
        orphans = await connection.fetchval(
            "SELECT count(*) FROM durabletask.history AS h WHERE NOT EXISTS "
            "(SELECT FROM durabletask.instances AS i WHERE i.ordinal = h.instance)"
        )
        assert orphans == 0, f"{orphans} turns belong to no instance"
        owned = await connection.fetchval(
            "SELECT count(*) FROM durabletask.instances "
            "WHERE completed_at IS NOT NULL AND (lane <> 0 OR wake_at IS NOT NULL)"
        )
        assert owned == 0, f"{owned} finished instances are owned or due"
        for table in ("inbox", "activities"):
            left = await connection.fetchval(f"SELECT count(*) FROM durabletask.{table}")
            assert left == 0, f"{left} rows are left in {table}"
    finally:
        await connection.close()


def check_keys(server: RedisServer, task_hub: str) -> None:
    """The keys agree with each other, and nothing is left of finished instances."""
    from tests.redis.audit import Audit
    from tests.redis.hubs import keys_of, prefix_of

    with server.client() as client:
        problems = Audit(client, task_hub).problems
        assert problems == [], "\n".join(problems[:20])
        prefix = prefix_of(task_hub)
        kinds = ("m:", "q:", "u:", "a:", "act:")
        keys = [key.decode().removeprefix(prefix) for key in keys_of(client, task_hub)]
        left = [key for key in keys if key.startswith(kinds)]
        assert left == [], f"keys are left: {left[:20]}"
