"""The PostgreSQL store keeps the contract of seam 2."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from durabletask.postgres import PostgresOptions, PostgresStore
from durabletask.postgres.link import ConnectionLostError, Link
from durabletask.testing.conformance import StoreSuite

if TYPE_CHECKING:
    from durabletask.store import Batch, CommitResult, Store
    from durabletask.testing.conformance.store import Advance, CommitBreaker, StoreFactory

    from ..servers.fixtures import Postgres


class BrittleStore(PostgresStore):
    """Loses the connection in a commit on request, before or after the server has done it."""

    fail_after: bool | None = None

    async def commit(self, batch: Batch) -> CommitResult:
        applied, self.fail_after = self.fail_after, None
        if applied is not None:
            break_next_write(self._open.session(batch.lane).link, applied)
        return await super().commit(batch)


def break_next_write(link: Link, applied: bool) -> None:
    """Let the next call of a connection that writes a batch lose its answer."""

    async def call(statement: str, *arguments: Any) -> Any:
        if "owned_v1" in statement:
            return await Link.call(link, statement, *arguments)
        del link.call  # type: ignore[method-assign]
        if applied:
            await link.call(statement, *arguments)
        raise ConnectionLostError("the test has cut the connection")

    link.call = call  # type: ignore[method-assign]


def lose_next_commit(store: Store, applied: bool) -> None:
    """Let the next commit of the store end in UnknownCommitError."""
    assert isinstance(store, BrittleStore)
    store.fail_after = applied


def opener(place: Postgres) -> StoreFactory:
    """Opens stores of one new hub."""
    options = PostgresOptions(task_hub=secrets.token_hex(8), schema=place.schema)

    async def opened() -> Store:
        store = BrittleStore(place.dsn, options)
        await store.open()
        return store

    return opened


class TestPostgresStore(StoreSuite):
    """Several stores on one schema, with another hub beside them."""

    @pytest.fixture
    def commit_breaker(self) -> CommitBreaker:
        return lose_next_commit

    @pytest.fixture
    def store_factory(self, postgres: Postgres) -> StoreFactory:
        return opener(postgres)

    @pytest.fixture
    def neighbour_factory(self, postgres: Postgres) -> StoreFactory:
        return opener(postgres)

    @pytest.mark.timeout(240)
    async def test_random_histories(self, store: Store, advance: Advance) -> None:
        """As on every store; here each of the thousand lanes has a session of its own."""
        await super().test_random_histories(store, advance)
