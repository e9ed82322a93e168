"""Where a torture takes place: the hub under torture, and the files that are kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from durabletask.plugins import connect, parse_url
from durabletask.store import Store, StoreBackend, StoreOptions

if TYPE_CHECKING:
    from durabletask.backend import Backend


class Place(NamedTuple):
    """A task hub and a folder.

    Attributes:
        url: of the hub, as workers and clients of the torture reach it.
        folder: for the ledger, the log of the workers and the antidote.
    """

    url: str
    folder: Path

    @classmethod
    def in_file(cls, file: Path) -> Self:
        """A hub in a SQLite file, its folder beside it."""
        return cls(f"sqlite:///{file}", file.parent)

    @property
    def file(self) -> Path:
        """The SQLite file of the hub."""
        return Path(parse_url(self.url).local_path())

    @property
    def ledger(self) -> Path:
        """Where activity runs are noted."""
        return self.folder / "torture.ledger"

    @property
    def log(self) -> Path:
        """Where the errors of the workers go."""
        return self.folder / "worker.log"

    @property
    def antidote(self) -> Path:
        """What is deadly is harmless once this file exists."""
        return self.folder / "torture.antidote"


def store_at(url: str) -> Store:
    """A new store for a URL; its backend with other options than the default ones is ours."""
    backend = connect(url)
    assert isinstance(backend, StoreBackend), f"{url} is no storage backend"
    return backend._store


def backend_at(url: str, options: StoreOptions) -> Backend:
    """A new backend for a URL, with these options if it is a storage backend."""
    backend = connect(url)
    if isinstance(backend, StoreBackend):
        return StoreBackend(backend._store, options)
    return backend
