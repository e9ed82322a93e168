"""The bare store is measured with the store's own settings."""

import sqlite3
from pathlib import Path

import pytest

from benchmarks.raw import commit_durations, raw_rate, sqlite_connection
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard
from durabletask.stores.sqlite.options import SQLiteOptions

SETTINGS = (
    "page_size",
    "journal_mode",
    "synchronous",
    "wal_autocheckpoint",
    "cache_size",
    "temp_store",
)


def settings_of(connection: sqlite3.Connection) -> dict[str, object]:
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in SETTINGS}


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_the_settings_are_those_of_the_store(tmp_path: Path, synchronous: str) -> None:
    path = str(tmp_path / "store.db")
    options = SQLiteOptions(synchronous="full" if synchronous == "full" else "normal")
    store = Database(path, options, CommitGuard(path))
    bare = sqlite_connection(tmp_path / "raw.db", synchronous)
    try:
        store.open()
        assert settings_of(bare) == settings_of(store.connection)
    finally:
        bare.close()
        store.close()


def test_every_commit_has_a_duration_and_its_row(tmp_path: Path) -> None:
    path = tmp_path / "raw.db"
    connection = sqlite_connection(path, "normal")
    try:
        durations = commit_durations(connection, path, seconds=0.01)
        (rows,) = connection.execute("SELECT count(*) FROM raw WHERE length(row) = 250").fetchone()
    finally:
        connection.close()
    assert len(durations) >= 1
    assert min(durations) > 0
    assert rows > len(durations), "the log was not filled before"


def test_the_bare_file_is_removed(tmp_path: Path) -> None:
    raw = raw_rate(f"sqlite:///{tmp_path / 'store.db'}?synchronous=normal", seconds=0.01)
    assert raw is not None
    assert raw.rate > 0 < raw.p50_ms
    assert list(tmp_path.iterdir()) == []


def test_memory_has_no_bare_commits() -> None:
    assert raw_rate("memory://") is None
