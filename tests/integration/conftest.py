"""The servers that these tests run against, and hubs that need none."""

from pathlib import Path

import pytest
from tests.servers.fixtures import postgres

__all__ = ["postgres", "url"]


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty task hub."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'hub.db'}"
