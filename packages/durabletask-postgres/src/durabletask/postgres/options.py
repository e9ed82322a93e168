"""What a user can choose about a PostgreSQL store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from durabletask.errors import ConfigurationError
from durabletask.store import QUICK_SECONDS

__all__ = ["PostgresOptions"]

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,40}")

CHOICES = {
    "migrate": ("auto", "never"),
    "pooling": ("auto", "session", "transaction"),
}


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """How a :class:`PostgresStore` uses its database. Times are in seconds.

    Attributes:
        task_hub: name of the hub inside the schema; hubs never see each other.
        schema: where the tables are: ``a-z``, ``0-9`` and ``_``, 41 characters at most.
        migrate: ``"auto"`` creates the schema in a database that has never seen one, and never
            changes one that is there; ``"never"`` leaves that to ``durabletask migrate`` too.
        pooling: what stands between us and the server. ``"session"``: nothing, or a pooler that
            keeps a session to a connection. ``"transaction"``: a pooler that does not, such as
            PgBouncer in transaction mode; then there are no notifications, and dead workers are
            found by their lease alone. ``"auto"`` finds out whether there is a pooler, and takes it
            for one of the latter kind.
        connect_timeout: for one attempt to connect.
        command_timeout: for one call; after that the connection counts as broken. At least what
            the largest batch may take.
        read_patience: for so long a query is tried again while the server cannot be reached.
        spin: a small commit that usually takes less is waited for awake, which makes it quicker
            and costs processor time meanwhile; 0 is never. See ``durabletask.store.Vigil``.

    Raises:
        ConfigurationError: a value is unusable.
    """

    task_hub: str = "default"
    schema: str = "durabletask"
    migrate: Literal["auto", "never"] = "auto"
    pooling: Literal["auto", "session", "transaction"] = "auto"
    connect_timeout: float = 10.0
    command_timeout: float = 30.0
    read_patience: float = 10.0
    spin: float = QUICK_SECONDS

    def __post_init__(self) -> None:
        if not self.task_hub.strip() or "\0" in self.task_hub:
            raise ConfigurationError("the task hub of a PostgreSQL store needs a name")
        if not _IDENTIFIER.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise ConfigurationError(
                f"schema={self.schema!r} is no name for our schema: it takes a lower-case letter "
                "or an underscore, then up to 40 of a-z, 0-9 and _, and does not begin with pg_"
            )
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise ConfigurationError(
                    f"{name}={value!r} is unknown to the PostgreSQL store: use "
                    + " or ".join(map(repr, known))
                )
        for name in ("connect_timeout", "command_timeout", "read_patience"):
            value = getattr(self, name)
            if not 0 < value <= 3600:
                raise ConfigurationError(
                    f"{name}={value!r} is no number of seconds above 0, up to 3600"
                )
        if not 0 <= self.spin <= 1:
            raise ConfigurationError(f"spin={self.spin!r} is no number of seconds from 0 to 1")
