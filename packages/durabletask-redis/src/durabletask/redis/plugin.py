"""The backend of ``redis://``, ``rediss://``, ``unix://`` and ``redis+sentinel://`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on a Redis server; the options are those of ``RedisOptions``."""
    from durabletask.redis.address import address_of_url
    from durabletask.redis.options import RedisOptions
    from durabletask.redis.store import RedisStore
    from durabletask.store import StoreBackend

    options = url.options(RedisOptions)
    return StoreBackend(RedisStore(address_of_url(url, options), options))
