"""The backend of ``journal:///`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on the journal; each task hub has a file of its own."""
    path = url.local_path()
    from durabletask.store.backend import StoreBackend
    from durabletask_journal import JournalOptions, JournalStore

    if url.task_hub != "default":
        path = f"{path}.{url.task_hub}"
    return StoreBackend(JournalStore(path, url.options(JournalOptions)))
