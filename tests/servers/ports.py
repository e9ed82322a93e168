"""Ports for private servers."""

from __future__ import annotations

import secrets
import socket

LOWEST, HIGHEST = 10_000, 20_000
BUS = 10_000
"""A Redis Cluster's node listens so far above its port as well."""


def free_port() -> int:
    """A port that nobody listens on now, and nobody above it where a Cluster's bus would be.

    Both lie below those that the system gives to connections on their way out: one of these could
    take the port before its server does, or while its server is being restarted.
    """
    while True:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port) and is_free(port + BUS):
            return port


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        # Connections that have ended linger on a port that can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
