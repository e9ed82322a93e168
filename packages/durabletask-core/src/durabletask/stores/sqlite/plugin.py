"""The backend of ``sqlite:///`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.errors import BackendUrlError
from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on a file; the options are those of ``SQLiteOptions``."""
    if ":memory:" in (url.authority, url.path.strip("/")):
        raise BackendUrlError(
            f"{url}: a SQLite database in memory belongs to one connection, and a backend needs "
            "several; use memory:// for a backend without a file"
        )
    path = url.local_path()
    from durabletask.store.backend import StoreBackend
    from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore

    return StoreBackend(SQLiteStore(path, url.options(SQLiteOptions)))
