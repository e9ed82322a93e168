"""Real servers for every test in this folder: one that is given, or private ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.servers.redis import RedisServer

from .cluster import RedisCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

UNHURRIED = {"appendfsync": "no", "auto_aof_rewrite_percentage": 0}
"""Nobody pulls the plug in the tests that share a server, so none of them waits for the disk."""


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of `DURABLETASK_TEST_REDIS_URL`, or a private one."""
    given = os.environ.get("DURABLETASK_TEST_REDIS_URL")
    if given:
        yield given
        return
    with RedisServer(tmp_path_factory.mktemp("redis"), **UNHURRIED) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A private Cluster of three nodes."""
    with RedisCluster(tmp_path_factory.mktemp("cluster"), **UNHURRIED) as cluster:
        yield cluster
