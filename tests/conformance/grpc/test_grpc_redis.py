"""The gRPC backend keeps the contract of seam 1 against the sidecar on Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.redis.conftest import server_url

from durabletask.testing.conformance import BackendSuite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory

__all__ = ["server_url"]


class TestGrpcOnRedis(BackendSuite):
    """Several backends on one sidecar, another hub beside theirs, and wires that can be cut."""

    @pytest.fixture
    def place(self, server_url: str) -> str:
        return server_url

    @pytest.fixture
    def backend_factory(
        self, open_grpc: Callable[[str], Awaitable[object]], hub_name: str
    ) -> BackendFactory:
        return lambda: open_grpc(hub_name)

    @pytest.fixture
    def neighbour_factory(
        self, open_grpc: Callable[[str], Awaitable[object]], hub_name: str
    ) -> BackendFactory:
        return lambda: open_grpc(f"{hub_name}-neighbour")

    @pytest.fixture
    def fragile_factory(self, open_fragile: FragileFactory) -> FragileFactory:
        return open_fragile
