"""The messages and the rpcs of the protocol; the messages are generated from ``protos/``."""

from durabletask.grpc.protocol import orchestrator_service_pb2 as pb
from durabletask.grpc.protocol.service import METHODS, SERVICE, Method

__all__ = ["METHODS", "SERVICE", "Method", "pb"]
