"""The suite of seam 1 against a sidecar, whatever stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.testing.conformance import BackendSuite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durabletask.testing.conformance.backend import BackendFactory, FragileFactory

__all__ = ["GrpcSuite"]


class GrpcSuite(BackendSuite):
    """Several backends on one sidecar, another hub beside theirs, and wires that can be cut.

    What stands behind it is said by the fixture ``place``.
    """

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
