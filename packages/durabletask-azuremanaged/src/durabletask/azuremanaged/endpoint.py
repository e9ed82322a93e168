"""The address of a scheduler."""

from __future__ import annotations

import re

from durabletask.errors import ConfigurationError
from durabletask.grpc import Target

__all__ = ["LOCAL", "parse_endpoint"]

LOCAL = "http://localhost:8080"
"""Where the emulator listens, and ``durabletask serve``."""

_ENDPOINT = re.compile(
    r"(?:(?P<scheme>[A-Za-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/*"
)

_SECURE = {"": True, "https": True, "grpcs": True, "http": False, "grpc": False}
_PORTS = {True: 443, False: 80}


def parse_endpoint(text: str) -> Target:
    """Read ``[scheme://]host[:port]``.

    ``https`` (also meant by no scheme) and ``grpcs`` are TLS, ``http`` and ``grpc`` plain text.

    Raises:
        ConfigurationError: it is none of these. The text is not repeated: it may hold a secret
            that stands in the wrong place.
    """
    match = _ENDPOINT.fullmatch(text.strip())
    scheme = (match["scheme"] or "").lower() if match else ""
    port = int(match["port"]) if match and match["port"] else None
    if match is None or scheme not in _SECURE or (port is not None and not 1 <= port <= 65535):
        raise ConfigurationError(
            "the Endpoint is malformed: it reads https://host[:port] (or http:// for a local "
            "emulator), with a port from 1 to 65535 and nothing behind it"
        )
    secure = _SECURE[scheme]
    return Target(f"{match['host'].lower()}:{port or _PORTS[secure]}", secure)
