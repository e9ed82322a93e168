"""The rpcs of the service, read from its descriptor, so that no stubs need be generated."""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message_factory import GetMessageClass

from durabletask.grpc.protocol import orchestrator_service_pb2 as pb

__all__ = ["METHODS", "SERVICE", "Method"]


class Method(NamedTuple):
    """One rpc: its path, the classes of its messages, and whether the server streams."""

    path: str
    request: Any
    response: Any
    streams: bool


_SERVICE = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]

SERVICE: str = _SERVICE.full_name
"""Full name of the service; the protocol has no package."""

METHODS: dict[str, Method] = {
    method.name: Method(
        f"/{SERVICE}/{method.name}",
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        method.server_streaming,
    )
    for method in _SERVICE.methods
}
"""Every rpc by name."""
