"""The backend of PostgreSQL, for those who build it by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from durabletask.errors import ConfigurationError
from durabletask.postgres.options import PostgresOptions
from durabletask.postgres.store import PostgresStore
from durabletask.store import StoreBackend

if TYPE_CHECKING:
    from asyncpg import Pool

    from durabletask.store import StoreOptions

__all__ = ["PostgresBackend"]


class PostgresBackend(StoreBackend):
    """Runs orchestrations in a PostgreSQL database.

    Args:
        source: a DSN, or an open ``asyncpg.Pool``, to be closed after the backend; see
            :class:`PostgresStore`.
        task_hub_name: the hub, if ``options`` does not name one.
        schema: the schema, if ``options`` does not name one.
        options: see :class:`PostgresOptions`.
        store_options: leases and polling; see :class:`durabletask.store.StoreOptions`.

    Raises:
        ConfigurationError: an argument is unusable, or two of them contradict each other.

    Example::

        backend = PostgresBackend("postgresql://app@db/orders", task_hub_name="eu")
        async with TaskHubWorker(backend=backend) as worker: ...
    """

    def __init__(
        self,
        source: str | Pool,
        *,
        task_hub_name: str | None = None,
        schema: str | None = None,
        options: PostgresOptions | None = None,
        store_options: StoreOptions | None = None,
    ) -> None:
        named = {"task_hub": task_hub_name, "schema": schema}
        given = {name: value for name, value in named.items() if value is not None}
        if options is not None and given:
            raise ConfigurationError(
                f"{' and '.join(given)} are given beside options: name them in one place"
            )
        options = replace(options or PostgresOptions(), **given)  # type: ignore[arg-type]
        super().__init__(PostgresStore(source, options), store_options)
