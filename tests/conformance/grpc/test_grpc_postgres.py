"""The gRPC backend keeps the contract of seam 1 against the sidecar on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .suite import GrpcSuite

if TYPE_CHECKING:
    from ...servers.fixtures import Postgres


class TestGrpcOnPostgres(GrpcSuite):
    """Several backends on one sidecar, as any worker and client of ours have them."""

    @pytest.fixture
    def place(self, postgres: Postgres) -> str:
        joint = "&" if "?" in postgres.dsn else "?"
        return f"{postgres.dsn}{joint}schema={postgres.schema}"
