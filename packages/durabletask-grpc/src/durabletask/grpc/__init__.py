"""The Durable Task gRPC protocol: a backend for any sidecar, and a sidecar for any backend."""

from durabletask.grpc.client import GrpcBackend, GrpcOptions, Target, TokenSource
from durabletask.grpc.sidecar import Sidecar, SidecarOptions

__all__ = [
    "GrpcBackend",
    "GrpcOptions",
    "Sidecar",
    "SidecarOptions",
    "Target",
    "TokenSource",
]
