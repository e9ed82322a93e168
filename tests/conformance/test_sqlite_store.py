"""The SQLite store keeps the contract of seam 2."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from durabletask.stores.sqlite import SQLiteOptions, SQLiteStore
from durabletask.stores.sqlite.database import Database
from durabletask.testing.conformance import StoreSuite

if TYPE_CHECKING:
    from pathlib import Path

    from durabletask.store import Store
    from durabletask.stores.sqlite.guard import CommitGuard
    from durabletask.testing.conformance.store import CommitBreaker, StoreFactory


class BrittleDatabase(Database):
    """Fails in a commit on request, as a disk may."""

    fail_after: bool | None = None

    def _commit(self) -> None:
        applied, self.fail_after = self.fail_after, None
        if applied is not False:
            super()._commit()
        if applied is not None:
            raise sqlite3.OperationalError("disk I/O error")


class BrittleStore(SQLiteStore):
    """A store on such a connection."""

    writer: BrittleDatabase

    def _connection(self, guard: CommitGuard | None = None) -> Database:
        if guard is None:
            return super()._connection()
        self.writer = BrittleDatabase(self._path, self._options, guard)
        return self.writer


def lose_next_commit(store: Store, applied: bool) -> None:
    """Let the next commit of the store end in UnknownCommitError."""
    assert isinstance(store, BrittleStore)
    store.writer.fail_after = applied


def opener(path: Path, task_hub: str) -> StoreFactory:
    """Opens stores of one hub in one file."""

    async def opened() -> Store:
        store = BrittleStore(path, SQLiteOptions(task_hub=task_hub, synchronous="normal"))
        await store.open()
        return store

    return opened


class TestSQLiteStore(StoreSuite):
    """Two stores on one file, with another hub beside them."""

    @pytest.fixture
    def commit_breaker(self) -> CommitBreaker:
        return lose_next_commit

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        return opener(tmp_path / "hub.db", "default")

    @pytest.fixture
    def neighbour_factory(self, tmp_path: Path) -> StoreFactory:
        return opener(tmp_path / "hub.db", "neighbour")
