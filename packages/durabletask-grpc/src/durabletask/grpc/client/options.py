"""How a backend talks to its sidecar."""

from __future__ import annotations

from dataclasses import dataclass, field

from durabletask.errors import ConfigurationError

__all__ = ["GrpcOptions"]


@dataclass(frozen=True, kw_only=True)
class GrpcOptions:
    """Limits and choices of a :class:`GrpcBackend`. Times are in seconds.

    Attributes:
        task_hub: the hub to name in every call.
        timeout: how long a call may take, the search for the server included. Waits for an
            instance have their own.
        silence: a work item stream that is silent for so long is taken for broken.
        keepalive: time between two pings of the connection.
        max_message_bytes: the largest message taken or sent.
        batches: hand many outcomes over in one message, to servers that offer it.
        token: a bearer token for every call.
        token_over_plaintext: send the token to this machine itself without TLS. Never to others.
        ca_file: PEM file of the authorities that sign the server's certificate, instead of those
            that gRPC brings.

    Raises:
        ConfigurationError: a value is unusable.
    """

    task_hub: str = "default"
    timeout: float = 10.0
    silence: float = 120.0
    keepalive: float = 20.0
    max_message_bytes: int = 64 * 1024 * 1024
    batches: bool = True
    token: str | None = field(default=None, repr=False)
    token_over_plaintext: bool = False
    ca_file: str | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "silence", "keepalive", "max_message_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be greater than zero")
