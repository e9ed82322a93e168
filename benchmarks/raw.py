"""How fast the bare store commits: the physical limit that a workload is judged against.

A commit here is one transaction that inserts one row of 250 bytes, in a tight loop on one thread,
with the settings and in the place of the store. It is measured just before and just after the
workload, because disks change their speed from minute to minute.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.measure import percentile
from durabletask.plugins.url import parse_url
from durabletask.stores.sqlite import SQLiteOptions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RawRate", "commit_durations", "raw_rate", "sqlite_connection"]

ROW = bytes(250)
SECONDS = 1.0
LOG_BYTES = 4 * 1024 * 1024
"""The log is used from its start again after so many bytes, as the store does it."""


class RawRate(msgspec.Struct, frozen=True):
    """Commits of the bare store.

    Attributes:
        rate: commits per second.
        p50_ms: milliseconds of the median commit.
    """

    rate: float
    p50_ms: float


def raw_rate(url: str, seconds: float = SECONDS) -> RawRate | None:
    """Measure the store of a place, or None if it has no physical limit known here."""
    commits = _COMMITS.get(parse_url(url).backend)
    if commits is None:
        return None
    durations = commits(url, seconds)
    return RawRate(len(durations) / sum(durations), percentile(durations, 0.5) * 1000)


def _sqlite_commits(url: str, seconds: float) -> list[float]:
    parsed = parse_url(url)
    path = Path(parsed.local_path()).parent / "raw.db"
    connection = sqlite_connection(path, parsed.options(SQLiteOptions).synchronous)
    try:
        return commit_durations(connection, path, seconds)
    finally:
        connection.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def sqlite_connection(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection to a new file with the settings of the SQLite store's writing connection."""
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in (
        "page_size = 4096",
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        "wal_autocheckpoint = 0",
        "cache_size = -65536",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {setting}").fetchall()
    connection.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY, row BLOB NOT NULL)")
    return connection


def commit_durations(connection: sqlite3.Connection, path: Path, seconds: float) -> list[float]:
    """Seconds of each commit, for about ``seconds`` of commits and at least one.

    The log is filled once before, because to write in a file costs less than to make it grow.
    """
    execute = connection.execute
    log = Path(f"{path}-wal")
    durations: list[float] = []
    total = 0.0
    filled = False
    while total < seconds or not durations:
        began = time.perf_counter()
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO raw (row) VALUES (?)", (ROW,))
        execute("COMMIT")
        took = time.perf_counter() - began
        if filled:
            durations.append(took)
            total += took
            if len(durations) % 256 == 0:
                execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        elif log.stat().st_size >= LOG_BYTES:
            filled = True
            execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return durations


def _postgres_commits(url: str, seconds: float) -> list[float]:
    from durabletask.postgres.dsn import split

    return asyncio.run(postgres_durations(split(parse_url(url))[0], seconds))


async def postgres_durations(dsn: str, seconds: float) -> list[float]:
    """As ``commit_durations``, on one connection to a server, with its settings."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP TABLE IF EXISTS raw_commits")
        await connection.execute(
            "CREATE TABLE raw_commits "
            "(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row bytea)"
        )
        insert = await connection.prepare("INSERT INTO raw_commits (row) VALUES ($1)")
        durations: list[float] = []
        total = 0.0
        while total < seconds or not durations:
            began = time.perf_counter()
            await insert.fetch(ROW)
            took = time.perf_counter() - began
            durations.append(took)
            total += took
        await connection.execute("DROP TABLE raw_commits")
    finally:
        await connection.close()
    return durations


def _redis_commits(url: str, seconds: float) -> list[float]:
    """A commit here is one RPUSH of the row, packed beforehand, and its answer."""
    import redis

    parsed = parse_url(url)
    server = parsed.server()
    key = f"benchmark:{{{parsed.task_hub}}}:raw"
    connection: Any = redis.Connection(  # type: ignore[no-untyped-call]
        host=server.host,
        port=server.port or 6379,
        username=server.username,
        password=server.password,
        protocol=2,
    )
    connection.connect()
    try:
        packed = connection.pack_command("RPUSH", key, ROW)
        durations: list[float] = []
        total = 0.0
        while total < seconds or not durations:
            began = time.perf_counter()
            connection.send_packed_command(packed)
            connection.read_response()
            durations.append(time.perf_counter() - began)
            total += durations[-1]
        connection.send_command("UNLINK", key)
        connection.read_response()
        return durations
    finally:
        connection.disconnect()


_COMMITS: dict[str, Callable[[str, float], list[float]]] = {
    "postgresql": _postgres_commits,
    "redis": _redis_commits,
    "sqlite": _sqlite_commits,
}
"""By backend: the durations of bare commits in a place, in seconds. Memory has none to wait for."""
