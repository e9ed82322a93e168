"""What a store weighs: everything that must not grow with the work that was done and purged."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from durabletask.plugins import parse_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Gauges", "read_gauges"]

Gauges = dict[str, int]
"""By name. Those that end in ``rows``, ``dead`` or ``keys`` are counts, the others are bytes."""

_STATM = Path("/proc/self/statm")

_TABLES = """
SELECT c.relname, pg_total_relation_size(c.oid), coalesce(n_dead_tup, 0)
FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS t ON t.relid = c.oid
WHERE relnamespace = $1::regnamespace AND relkind = 'r' ORDER BY 1
"""


async def _postgres(url: str) -> Gauges:
    """Size with indexes, dead tuples and rows of each table."""
    import asyncpg

    from durabletask.postgres import PostgresOptions
    from durabletask.postgres.dsn import split

    dsn, ours = split(parse_url(url))
    schema = ours.options(PostgresOptions).schema
    gauges: Gauges = {}
    connection = await asyncpg.connect(dsn)
    try:
        for table, size, dead in await connection.fetch(_TABLES, schema):
            gauges |= {f"{table} bytes": size, f"{table} dead": dead}
            rows = await connection.fetchval(f'SELECT count(*) FROM "{schema}"."{table}"')
            gauges[f"{table} rows"] = rows
    finally:
        await connection.close()
    return gauges


async def _sqlite(url: str) -> Gauges:
    """Size of the file and of its log, and rows of each table."""
    return await asyncio.to_thread(_sqlite_file, parse_url(url).local_path())


def _sqlite_file(path: str) -> Gauges:
    log = Path(f"{path}-wal")
    gauges = {
        "file bytes": Path(path).stat().st_size,
        "log bytes": log.stat().st_size if log.exists() else 0,
    }
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            (rows,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            gauges[f"{table} rows"] = rows
    return gauges


async def _redis(url: str) -> Gauges:
    """Memory of the server, and keys of the hub."""
    return await asyncio.to_thread(_redis_server, url)


def _redis_server(url: str) -> Gauges:
    from benchmarks.redis_server import client_of, keys_of

    with client_of(url) as client:
        memory: int = client.info("memory")["used_memory"]
        keys = sum(1 for _ in keys_of(client, url))
    return {"memory bytes": memory, "hub keys": keys}


_READERS: dict[str, Callable[[str], Awaitable[Gauges]]] = {
    "postgresql": _postgres,
    "redis": _redis,
    "sqlite": _sqlite,
}
"""By backend. Of one that is not here, our own memory says what it keeps."""


async def read_gauges(url: str) -> Gauges:
    """The gauges of a place, and the memory of this process."""
    reader = _READERS.get(parse_url(url).backend)
    return _own_memory() | ({} if reader is None else await reader(url))


def _own_memory() -> Gauges:
    if not _STATM.exists():
        return {}
    return {"process bytes": int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")}
