"""The Redis server behind a URL, asked without the store in between. Needs redis-py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

from durabletask.plugins.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["client_of", "keys_of"]


def client_of(url: str) -> redis.Redis:
    """A connection to the server that a store URL names, to be used in a ``with``."""
    server = parse_url(url).server()
    return redis.Redis(
        host=server.host,
        port=server.port or 6379,
        username=server.username,
        password=server.password,
    )


def keys_of(client: redis.Redis, url: str) -> Iterator[bytes]:
    """All keys of the task hub that a store URL names, some more than once."""
    return client.scan_iter(match=f"dt:{{{parse_url(url).task_hub}}}:*", count=1000)
