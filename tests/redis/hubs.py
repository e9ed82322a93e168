"""Fresh task hubs on a server, and what is left of them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from durabletask.plugins.url import parse_url
from durabletask.redis import RedisOptions, RedisStore
from durabletask.redis.address import address_of_url

if TYPE_CHECKING:
    import redis


def fresh_hub() -> str:
    """A name that no hub has."""
    return f"test-{secrets.token_hex(6)}"


def store_on(url: str, task_hub: str, kind: type[RedisStore] = RedisStore, **options: Any) -> Any:
    """A store, not opened."""
    chosen = RedisOptions(task_hub=task_hub, **{"durability": "relaxed", **options})
    return kind(address_of_url(parse_url(url), chosen), chosen)


def prefix_of(task_hub: str) -> str:
    """What the keys of a hub begin with."""
    return f"dt:{{{task_hub}}}:"


def keys_of(client: redis.Redis, task_hub: str) -> list[bytes]:
    """All keys of a hub on one node."""
    return sorted(client.scan_iter(match=prefix_of(task_hub) + "*", count=1000))
