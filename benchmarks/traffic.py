"""How much a store's server has been asked to do so far, by its own count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.plugins.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["calls_so_far"]


async def _postgres_transactions(url: str) -> int:
    """Of the database; the sessions report theirs once a second, and this look is one."""
    import asyncpg

    from durabletask.postgres.dsn import split

    connection = await asyncpg.connect(split(parse_url(url))[0])
    try:
        count: int = await connection.fetchval(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database "
            "WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return count


async def _redis_commands(url: str) -> int:
    from benchmarks.redis_server import client_of

    with client_of(url) as client:
        count: int = client.info("stats")["total_commands_processed"]
        return count


_COUNTS: dict[str, Callable[[str], Awaitable[int]]] = {
    "postgresql": _postgres_transactions,
    "redis": _redis_commands,
}


async def calls_so_far(url: str) -> int | None:
    """Transactions or commands that the server has counted; None if the store has no server.

    Everybody's, so nobody else may use the server meanwhile.
    """
    count = _COUNTS.get(parse_url(url).backend)
    return None if count is None else await count(url)
