"""The backend on the SQLite store keeps the contract of seam 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.store import StoreOptions
from durabletask.store.backend import StoreBackend
from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore
from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import LEASE, FragileStore

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.backend import Backend
    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory, Outage

FRAGILE = StoreOptions(
    lease=LEASE, poll_interval=LEASE / 4, probation_delay=LEASE / 4, poison_after=3
)


def store_in(folder: Path, task_hub: str) -> SQLiteStore:
    """A store of one hub in the file of the test."""
    return SQLiteStore(folder / "hub.db", SQLiteOptions(task_hub=task_hub, synchronous="normal"))


def opener(folder: Path, task_hub: str) -> BackendFactory:
    """Opens backends of one hub in one file."""

    async def opened() -> Backend:
        backend = StoreBackend(store_in(folder, task_hub))
        await backend.open()
        return backend

    return opened


class TestSQLiteBackend(BackendSuite):
    """Several backends on one file, with another hub beside them."""

    @pytest.fixture
    def backend_factory(self, tmp_path: Path) -> BackendFactory:
        return opener(tmp_path, "default")

    @pytest.fixture
    def neighbour_factory(self, tmp_path: Path) -> BackendFactory:
        return opener(tmp_path, "neighbour")

    @pytest.fixture
    def fragile_factory(self, tmp_path: Path) -> FragileFactory:
        async def opened() -> tuple[Backend, Outage]:
            store = FragileStore(store_in(tmp_path, "default"))
            backend = StoreBackend(store, FRAGILE)
            await backend.open()
            return backend, store

        return opened
