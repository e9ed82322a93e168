"""The backend on the memory store keeps the contract of seam 1."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from durabletask.store import StoreOptions
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import LEASE, FragileStore

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory, Outage

_names = itertools.count()
FRAGILE = StoreOptions(
    lease=LEASE, poll_interval=LEASE / 4, probation_delay=LEASE / 4, poison_after=3
)


def factory(name: str) -> BackendFactory:
    """Gives opened backends of the hub of this name."""

    async def opened() -> Backend:
        backend = StoreBackend(MemoryStore(name))
        await backend.open()
        return backend

    return opened


class TestMemoryBackend(BackendSuite):
    """Any number of backends may open a hub."""

    opens_twice = True

    @pytest.fixture
    def hub_name(self) -> str:
        """A hub of the test's own."""
        return f"backend-conformance-{next(_names)}"

    @pytest.fixture
    def backend_factory(self, hub_name: str) -> BackendFactory:
        return factory(hub_name)

    @pytest.fixture
    def neighbour_factory(self) -> BackendFactory:
        return factory(f"backend-neighbour-{next(_names)}")

    @pytest.fixture
    def fragile_factory(self, hub_name: str) -> FragileFactory:
        async def opened() -> tuple[Backend, Outage]:
            store = FragileStore(MemoryStore(hub_name))
            backend = StoreBackend(store, FRAGILE)
            await backend.open()
            return backend, store

        return opened
