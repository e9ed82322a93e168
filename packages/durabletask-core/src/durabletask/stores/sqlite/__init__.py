"""The embedded backend that keeps task hubs in a SQLite file."""

from durabletask.stores.sqlite.options import SQLiteOptions
from durabletask.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteOptions", "SQLiteStore"]
