"""The backend on the PostgreSQL store keeps the contract of seam 1."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from durabletask.postgres import PostgresBackend, PostgresOptions, PostgresStore
from durabletask.store import StoreBackend, StoreOptions
from durabletask.testing.conformance import BackendSuite
from durabletask.testing.conformance.backend import LEASE, FragileStore

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory, Outage

    from ..servers.fixtures import Postgres

FRAGILE = StoreOptions(
    lease=LEASE, poll_interval=LEASE / 4, probation_delay=LEASE / 4, poison_after=3
)


def hub_of(place: Postgres) -> PostgresOptions:
    """A new hub."""
    return PostgresOptions(task_hub=secrets.token_hex(8), schema=place.schema)


def opener(dsn: str, options: PostgresOptions) -> BackendFactory:
    """Opens backends of one hub."""

    async def opened() -> Backend:
        backend = PostgresBackend(dsn, options=options)
        await backend.open()
        return backend

    return opened


class TestPostgresBackend(BackendSuite):
    """Several backends on one schema, with another hub beside them."""

    @pytest.fixture
    def options(self, postgres: Postgres) -> PostgresOptions:
        """The hub of the test."""
        return hub_of(postgres)

    @pytest.fixture
    def backend_factory(self, postgres: Postgres, options: PostgresOptions) -> BackendFactory:
        return opener(postgres.dsn, options)

    @pytest.fixture
    def neighbour_factory(self, postgres: Postgres) -> BackendFactory:
        return opener(postgres.dsn, hub_of(postgres))

    @pytest.fixture
    def fragile_factory(self, postgres: Postgres, options: PostgresOptions) -> FragileFactory:
        async def opened() -> tuple[Backend, Outage]:
            store = FragileStore(PostgresStore(postgres.dsn, options))
            backend = StoreBackend(store, FRAGILE)
            await backend.open()
            return backend, store

        return opened
