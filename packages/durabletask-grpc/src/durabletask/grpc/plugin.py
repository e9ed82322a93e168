"""The backend of ``grpc://`` and ``grpcs://`` URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.errors import BackendUrlError
from durabletask.plugins import hookimpl

if TYPE_CHECKING:
    from durabletask.backend import Backend
    from durabletask.plugins import BackendUrl

__all__ = ["durabletask_backend"]

_PORT = 4001
"""Where SDKs of the protocol look for a sidecar unless they are told."""


@hookimpl
def durabletask_backend(url: BackendUrl) -> Backend:
    """A backend on a sidecar; the options are those of ``GrpcOptions``."""
    server = url.server()
    if server.username is not None or server.password is not None:
        raise BackendUrlError(f"{url}: a sidecar knows no users; a token goes into token=")
    if url.path.strip("/"):
        raise BackendUrlError(f"{url}: the URL of a sidecar ends after the port")
    from durabletask.grpc.client import GrpcBackend, GrpcOptions, Target

    host = f"[{server.host}]" if ":" in server.host else server.host
    target = Target(f"{host}:{server.port or _PORT}", secure=url.scheme == "grpcs")
    return GrpcBackend(target, url.options(GrpcOptions))
