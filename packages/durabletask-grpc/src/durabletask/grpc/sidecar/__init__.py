"""The sidecar: a server of the protocol over any backend."""

from durabletask.grpc.sidecar.options import SidecarOptions
from durabletask.grpc.sidecar.server import Sidecar

__all__ = ["Sidecar", "SidecarOptions"]
