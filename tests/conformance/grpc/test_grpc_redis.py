"""The gRPC backend keeps the contract of seam 1 against the sidecar on Redis."""

from __future__ import annotations

import pytest
from tests.redis.conftest import server_url

from .suite import GrpcSuite

__all__ = ["server_url"]


class TestGrpcOnRedis(GrpcSuite):
    """Several backends on one sidecar, as any worker and client of ours have them."""

    @pytest.fixture
    def place(self, server_url: str) -> str:
        return server_url
