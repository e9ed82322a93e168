"""The rpcs of the services, read from their descriptors, so that no stubs need be generated."""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message_factory import GetMessageClass

from durabletask.grpc.protocol import batches_pb2, orchestrator_service_pb2

__all__ = ["BATCH_METHODS", "BATCH_SERVICE", "METHODS", "SERVICE", "Method"]


class Method(NamedTuple):
    """One rpc: its path, the classes of its messages, and whether the server streams."""

    path: str
    request: Any
    response: Any
    streams: bool


def _methods(service: Any) -> dict[str, Method]:
    return {
        method.name: Method(
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            GetMessageClass(method.output_type),
            method.server_streaming,
        )
        for method in service.methods
    }


_SERVICE = orchestrator_service_pb2.DESCRIPTOR.services_by_name["TaskHubSidecarService"]
_BATCHES = batches_pb2.DESCRIPTOR.services_by_name["Batches"]

SERVICE: str = _SERVICE.full_name
"""Full name of the service; the protocol has no package."""

METHODS = _methods(_SERVICE)
"""Every rpc of the protocol by name."""

BATCH_SERVICE: str = _BATCHES.full_name
"""Full name of our own service, which carries many messages of the protocol in one."""

BATCH_METHODS = _methods(_BATCHES)
"""Every rpc of that by name."""
