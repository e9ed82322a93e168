"""Durable orchestrations on Redis."""

from durabletask.redis.backend import RedisBackend
from durabletask.redis.options import RedisOptions
from durabletask.redis.store import RedisStore

__all__ = ["RedisBackend", "RedisOptions", "RedisStore"]
