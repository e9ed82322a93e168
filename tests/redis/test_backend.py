"""The backend on the Redis store keeps the contract of seam 1, on one server and on a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.store import StoreBackend, StoreOptions
from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import LEASE, FragileStore

from .hubs import fresh_hub, store_on

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory, Outage

    from .cluster import RedisCluster

FRAGILE = StoreOptions(
    lease=LEASE, poll_interval=LEASE / 4, probation_delay=LEASE / 4, poison_after=3
)


def opener(url: str, task_hub: str) -> BackendFactory:
    """Opens backends of one hub."""

    async def opened() -> Backend:
        backend = StoreBackend(store_on(url, task_hub))
        await backend.open()
        return backend

    return opened


class _OnRedis(BackendSuite):
    """Several backends on one hub, with another hub beside it."""

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def hub_name(self) -> str:
        return fresh_hub()

    @pytest.fixture
    def backend_factory(self, place: str, hub_name: str) -> BackendFactory:
        return opener(place, hub_name)

    @pytest.fixture
    def neighbour_factory(self, place: str) -> BackendFactory:
        return opener(place, fresh_hub())

    @pytest.fixture
    def fragile_factory(self, place: str, hub_name: str) -> FragileFactory:
        async def opened() -> tuple[Backend, Outage]:
            store = FragileStore(store_on(place, hub_name))
            backend = StoreBackend(store, FRAGILE)
            await backend.open()
            return backend, store

        return opened


class TestRedisBackend(_OnRedis):
    """On one server."""

    @pytest.fixture
    def place(self, server_url: str) -> str:
        return server_url


class TestRedisClusterBackend(_OnRedis):
    """On three nodes, of which the store is told one."""

    @pytest.fixture
    def place(self, cluster: RedisCluster) -> str:
        return cluster.url
