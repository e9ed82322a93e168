"""The gRPC backend keeps the contract of seam 1 against the sidecar on the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .suite import GrpcSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestGrpcOnSQLite(GrpcSuite):
    """Several backends on one sidecar, as any worker and client of ours have them."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'hub.db'}?synchronous=normal"
