"""What a user can choose about a Redis store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from durabletask.errors import ConfigurationError
from durabletask.store import QUICK_SECONDS

__all__ = ["DURABILITY", "RedisOptions"]

DURABILITY = ("fsync", "replicated", "relaxed", "none")


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    """How a :class:`RedisStore` uses its server.

    Attributes:
        task_hub: name of the hub on the server; hubs never see each other.
        durability: what must be true when a commit is acknowledged. ``"fsync"``: the server keeps
            an append-only file, and with ``appendfsync always`` what was acknowledged is on its
            disk; a server set to ``everysec`` is used with a warning. ``"replicated"``: besides,
            ``replicas`` replicas have it in memory. ``"relaxed"``: an append-only file of any
            setting, without the warning; a crash of the machine may undo the last seconds.
            ``"none"``: whatever the server is set to; its restart may lose everything.
        replicas: how many replicas ``"replicated"`` waits for.
        timeout: seconds without an answer after which a connection is given up.
        connect_timeout: seconds that making a connection may take.
        spin: a small commit that usually takes less is waited for awake, which makes it quicker
            and costs processor time meanwhile; 0 is never. See ``durabletask.store.Vigil``.
        tls_ca: file with the certificates of the authorities to trust; None is the system's.
        tls_certificate, tls_key: files with this client's certificate and key, if the server
            asks for one.
        sentinel_username, sentinel_password: for the Sentinels, if they ask for it.

    Raises:
        ConfigurationError: a value is unusable.
    """

    task_hub: str = "default"
    durability: Literal["fsync", "replicated", "relaxed", "none"] = "fsync"
    replicas: int = 1
    timeout: float = 15.0
    connect_timeout: float = 5.0
    spin: float = QUICK_SECONDS
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None

    def __post_init__(self) -> None:
        if not self.task_hub.strip() or any(char in self.task_hub for char in "{}*?[]\\"):
            raise ConfigurationError(
                f"{self.task_hub!r} is no name for the task hub of a Redis store: it must not be "
                "blank, nor contain any of {}*?[]\\"
            )
        if self.durability not in DURABILITY:
            raise ConfigurationError(
                f"durability={self.durability!r} is unknown to the Redis store: use one of "
                + ", ".join(map(repr, DURABILITY))
            )
        if not 1 <= self.replicas <= 100:
            raise ConfigurationError(f"replicas={self.replicas!r} is no number from 1 to 100")
        for name in ("timeout", "connect_timeout"):
            if not 0.01 <= getattr(self, name) <= 3600:
                raise ConfigurationError(
                    f"{name}={getattr(self, name)!r} is no number of seconds from 0.01 to 3600"
                )
        if not 0 <= self.spin <= 1:
            raise ConfigurationError(f"spin={self.spin!r} is no number of seconds from 0 to 1")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ConfigurationError("tls_certificate and tls_key belong together: give both")

    def __repr__(self) -> str:
        return f"RedisOptions(task_hub={self.task_hub!r}, durability={self.durability!r})"
