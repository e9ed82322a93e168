"""The backend of ``memory://`` URLs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from durabletask.errors import BackendUrlError
from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]


@dataclass(frozen=True, kw_only=True)
class _NoOptions:
    """Memory has nothing to choose."""


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on the hub in this process's memory that has the name of the task hub."""
    if url.authority or url.path.strip("/"):
        raise BackendUrlError(
            f"{url} names a place, but memory has none: write memory://, and memory://?task_hub=a "
            "for a hub of its own"
        )
    url.options(_NoOptions)
    from durabletask.store.backend import StoreBackend
    from durabletask.stores.memory.store import MemoryStore

    return StoreBackend(MemoryStore(url.task_hub))
