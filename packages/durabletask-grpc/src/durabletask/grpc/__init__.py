"""The Durable Task gRPC protocol: a backend for any sidecar, and a sidecar for any backend."""

from durabletask.grpc.protocol import SERVICE

__all__ = ["SERVICE"]
