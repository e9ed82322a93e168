"""The backend that keeps task hubs in a PostgreSQL database."""

from durabletask.postgres.backend import PostgresBackend
from durabletask.postgres.options import PostgresOptions
from durabletask.postgres.store import PostgresStore

__all__ = ["PostgresBackend", "PostgresOptions", "PostgresStore"]
