"""The backend on a Redis store, for those who build it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.plugins.url import parse_url
from durabletask.redis.address import address_of_client, address_of_url
from durabletask.redis.options import RedisOptions
from durabletask.redis.store import RedisStore
from durabletask.store import StoreBackend

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from durabletask.store import StoreOptions

__all__ = ["RedisBackend"]


class RedisBackend(StoreBackend):
    """Runs orchestrations on a Redis server.

    Example::

        backend = RedisBackend("redis://localhost:6379", task_hub_name="orders")
        async with TaskHubWorker(backend=backend) as worker: ...

    Args:
        place: a ``redis``, ``rediss``, ``unix`` or ``redis+sentinel`` URL, or a client of
            ``redis.asyncio``: the backend makes connections of its own as the client's are, and
            leaves those alone.
        task_hub_name: None is the one in the URL, or ``"default"``.
        store_options: leases and intervals; None is the defaults.
        options: fields of :class:`RedisOptions`, besides those in the URL.

    Raises:
        BackendUrlError, ConfigurationError: at once, before anything is connected to.
    """

    def __init__(
        self,
        place: str | Redis,
        *,
        task_hub_name: str | None = None,
        store_options: StoreOptions | None = None,
        **options: Any,
    ) -> None:
        if isinstance(place, str):
            url = parse_url(place, task_hub=task_hub_name)
            chosen = RedisOptions(
                **{"task_hub": url.task_hub, **_given(url.options(RedisOptions)), **options}
            )
            address = address_of_url(url, chosen)
        else:
            chosen = RedisOptions(task_hub=task_hub_name or "default", **options)
            address = address_of_client(place, chosen)
        super().__init__(RedisStore(address, chosen), store_options)


def _given(options: RedisOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
