"""The Redis store keeps the contract of seam 2, on one server and on a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from durabletask.redis import RedisStore
from durabletask.redis.trouble import LinkLostError
from durabletask.testing.conformance import StoreSuite

from .hubs import fresh_hub, store_on

if TYPE_CHECKING:
    from durabletask.store import Store
    from durabletask.testing.conformance.store import CommitBreaker, StoreFactory

    from .cluster import RedisCluster


class BrittleStore(RedisStore):
    """Loses the connection in a commit on request: before the server has read it, or after."""

    fail_after: bool | None = None

    async def open(self) -> None:
        await super().open()
        running = self._open
        commit = running.commit

        async def brittle(*call: Any) -> Any:
            applied, self.fail_after = self.fail_after, None
            answer = await commit(*call) if applied is not False else []
            if applied is not None:
                raise LinkLostError("cut by the test", sent=True)
            return answer

        running.commit = brittle  # type: ignore[method-assign]


def lose_next_commit(store: Store, applied: bool) -> None:
    """Let the next commit of the store end in UnknownCommitError."""
    assert isinstance(store, BrittleStore)
    store.fail_after = applied


def opener(url: str, task_hub: str) -> StoreFactory:
    """Opens stores of one hub."""

    async def opened() -> Store:
        store = store_on(url, task_hub, BrittleStore)
        await store.open()
        return store

    return opened


class _OnRedis(StoreSuite):
    """Two stores on one hub, with another hub beside it."""

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def commit_breaker(self) -> CommitBreaker:
        return lose_next_commit

    @pytest.fixture
    def store_factory(self, place: str) -> StoreFactory:
        return opener(place, fresh_hub())

    @pytest.fixture
    def neighbour_factory(self, place: str) -> StoreFactory:
        return opener(place, fresh_hub())


class TestRedisStore(_OnRedis):
    """On one server."""

    @pytest.fixture
    def place(self, server_url: str) -> str:
        return server_url


class TestRedisClusterStore(_OnRedis):
    """On three nodes, of which the store is told one."""

    @pytest.fixture
    def place(self, cluster: RedisCluster) -> str:
        return cluster.url
