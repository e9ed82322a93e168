"""The messages and the rpcs of the protocol; the messages are generated from ``protos/``."""

from durabletask.grpc.protocol import batches_pb2 as batches
from durabletask.grpc.protocol import orchestrator_service_pb2 as pb
from durabletask.grpc.protocol.service import (
    BATCH_METHODS,
    BATCH_SERVICE,
    METHODS,
    SERVICE,
    Method,
)

__all__ = [
    "BATCH_METHODS",
    "BATCH_SERVICE",
    "METHODS",
    "SERVICE",
    "Method",
    "batches",
    "pb",
]
