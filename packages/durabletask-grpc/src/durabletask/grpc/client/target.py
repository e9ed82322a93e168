"""The address of a sidecar, and whether the way there is encrypted."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import NamedTuple

import grpc

from durabletask.errors import ConfigurationError

__all__ = ["Target"]


class Target(NamedTuple):
    """Where a sidecar listens.

    Attributes:
        address: ``host:port``.
        secure: TLS, or plain text.
    """

    address: str
    secure: bool

    def __str__(self) -> str:
        return f"{'grpcs' if self.secure else 'grpc'}://{self.address}"

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine's own."""
        host = self.address.rpartition(":")[0].strip("[]")
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def check_token_may_travel(self, *, over_plaintext: bool) -> None:
        """Raise ConfigurationError if a bearer token would be readable on its way."""
        if self.secure:
            return
        if not self.is_loopback:
            raise ConfigurationError(
                f"{self} is not encrypted, so no token is sent there: use TLS (grpcs:// or "
                "https://)"
            )
        if not over_plaintext:
            raise ConfigurationError(
                f"{self} is not encrypted: use TLS, or allow the token to travel inside this "
                "machine with token_over_plaintext=true"
            )

    def credentials(self, ca_file: str | None) -> grpc.ChannelCredentials | None:
        """What gRPC needs for TLS; None for plain text.

        Raises:
            ConfigurationError: the file of authorities cannot be read.
        """
        if not self.secure:
            return None
        if ca_file is None:
            return grpc.ssl_channel_credentials()
        try:
            return grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
        except OSError as error:
            raise ConfigurationError(
                f"the file of authorities {ca_file!r} cannot be read: {error.strerror}"
            ) from error
