"""How a sidecar listens and whom it serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from durabletask.errors import ConfigurationError

__all__ = ["MESSAGE_LIMIT", "SidecarOptions"]

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of the largest message, either way: a turn with a few payloads of the largest size."""


@dataclass(frozen=True, kw_only=True)
class SidecarOptions:
    """Limits and choices of a sidecar. Times are in seconds.

    Attributes:
        task_hubs: the only hubs that are served; empty means any that a client names.
        certificate, private_key: PEM texts; with them the sidecar speaks TLS and nothing else.
        token: the bearer token that every call must bring, if given.
        ping_interval: a stream that was silent for so long gets a health ping. Workers take 120 s
            of silence for a broken connection.
        linger: after a lost stream its activities may still be completed for so long.
        drain_timeout: how long closing waits for work that is out, and a stream that was lost for
            its last commit.
        poison_after: streams lost with an instance's turn on them, one after the other, after
            which the instance is set aside (rule *failure-poison*).
        max_message_bytes: the largest message taken.

    Raises:
        ConfigurationError: a value is unusable.
    """

    task_hubs: frozenset[str] = frozenset()
    certificate: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ping_interval: float = 30.0
    linger: float = 3.0
    drain_timeout: float = 30.0
    poison_after: int = 5
    max_message_bytes: int = MESSAGE_LIMIT

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            raise ConfigurationError(
                "TLS takes a certificate and its private key: give both, or neither"
            )
        if self.token is not None and not self.token.strip():
            raise ConfigurationError("the bearer token must not be blank")
        for name in ("ping_interval", "linger", "drain_timeout", "poison_after"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} must be a number and not negative")
