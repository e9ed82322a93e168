"""The backend that talks to a sidecar."""

from durabletask.grpc.client.backend import GrpcBackend
from durabletask.grpc.client.connection import TokenSource
from durabletask.grpc.client.options import GrpcOptions
from durabletask.grpc.client.target import Target

__all__ = ["GrpcBackend", "GrpcOptions", "Target", "TokenSource"]
