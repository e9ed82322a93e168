"""The gRPC backend keeps the contract of seam 1 against the sidecar on the memory store."""

from __future__ import annotations

from .suite import GrpcSuite


class TestGrpcOnMemory(GrpcSuite):
    """Several backends on one sidecar, as any worker and client of ours have them."""

    opens_twice = True
