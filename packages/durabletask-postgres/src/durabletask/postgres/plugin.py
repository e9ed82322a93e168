"""The backend of ``postgresql://`` and ``postgres://`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.plugins import hookimpl
from durabletask.postgres.dsn import split
from durabletask.postgres.options import PostgresOptions

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on a database; the options are those of ``PostgresOptions`` and of libpq."""
    dsn, ours = split(url)
    options = ours.options(PostgresOptions)
    from durabletask.postgres.backend import PostgresBackend

    return PostgresBackend(dsn, options=options)
