"""Sentinels, and a failover to a replica that lagged."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest
from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.redis import PATIENCE, RedisServer

from durabletask.testing.conformance.store.driver import LaneDriver, turn

from .hubs import fresh_hub, store_on
from .rig import TIMEOUT, Rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(TIMEOUT)]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about in a server."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Watched:
    """A server with a replica, watched by a Sentinel under the name ``hub``.

    ``link``: the port at which the replica finds its master, which a proxy may pass on.
    """

    def __init__(self, folder: Path, master: int, link: int) -> None:
        self.master = RedisServer(folder / "master", master)
        self.replica = RedisServer(folder / "replica", replicaof=f"127.0.0.1 {link}")
        self.sentinel = RedisServer(folder / "sentinel", free_port())
        self._config = folder / "sentinel" / "redis.conf"

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/hub"

    def start(self) -> None:
        """Start all three and wait until they know each other."""
        self.master.start()
        self.replica.start()
        with self.replica.client() as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        self._config.parent.mkdir()
        self._config.write_text(
            f"bind 127.0.0.1\nport {self.sentinel.port}\ndir {self._config.parent}\n"
            f"logfile {self._config.parent}/redis.log\n"
            f"sentinel monitor hub 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds hub 500\n"
            "sentinel failover-timeout hub 3000\n"
        )
        self.sentinel.start("--sentinel")
        with self.sentinel.client() as client:
            wait_until(lambda: client.sentinel_masters()["hub"]["num-slaves"] == 1)

    async def __aenter__(self) -> Watched:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in (self.sentinel, self.replica, self.master):
            server.kill()

    def wait_for_failover(self) -> None:
        """Wait until the replica takes writes."""

        def promoted() -> bool:
            with self.replica.client() as client:
                return client.info("replication")["role"] == "master"

        wait_until(promoted)


async def test_failover_to_a_replica_that_lagged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """**turn-single** What the replica lacks is lost, and told; no history has a gap or a fork."""
    port = free_port()
    async with Proxy(port) as proxy, Watched(tmp_path, port, proxy.port) as watched:

        async def fail(rig: Rig) -> None:
            await asyncio.sleep(1.0)
            # The replica hears nothing any more, and the master goes on for a while.
            proxy.stall()
            await asyncio.sleep(0.4)
            watched.master.kill()
            proxy.cut_all()
            await asyncio.to_thread(watched.wait_for_failover)
            with watched.replica.client() as client:
                rig.audit(client)

        rig = Rig(watched.url, tmp_path, lossy=True)
        with caplog.at_level(logging.ERROR, logger="durabletask.redis"):
            await rig.run(fail)
        assert "has lost writes that it had acknowledged" in caplog.text
        with watched.replica.client() as client:
            rig.audit(client)


async def test_replicated_survives_a_failover(tmp_path: Path) -> None:
    """``durability=replicated``: what was acknowledged is on the replica, so nothing is lost."""
    port = free_port()
    async with Watched(tmp_path, port, port) as watched:

        async def fail(rig: Rig) -> None:
            await asyncio.sleep(1.0)
            watched.master.kill()
            await asyncio.to_thread(watched.wait_for_failover)
            # One replica is wanted before anything is acknowledged again.
            await asyncio.to_thread(watched.master.start)
            with watched.master.client() as client:
                wait_until(lambda: _follows(client, watched.replica.port))

        rig = Rig(watched.url, tmp_path, durability="replicated")
        await rig.run(fail)
        with watched.replica.client() as client:
            rig.audit(client)


async def test_replicated_waits_for_its_replicas(tmp_path: Path) -> None:
    """Nothing is acknowledged that no replica has, however quick the server itself is."""
    port = free_port()
    async with Proxy(port) as proxy, Watched(tmp_path, port, proxy.port) as watched:
        store = store_on(watched.url, fresh_hub(), durability="replicated", timeout=1.0)
        await store.open()
        try:
            lane = await LaneDriver.open(store)
            await lane.run("a")
            for n in range(1, 60):
                await lane.commit(turns=[turn("a", n, update=None)])
            batch = lane.batch(turns=[turn("a", 60, update=None)])
            proxy.stall()
            assert store.commit_now(batch) is None
            commit = asyncio.create_task(store.commit(batch))
            done, _ = await asyncio.wait([commit], timeout=1.2)
            assert not done, "it was acknowledged without the replica"
            proxy.flow()
            await commit
        finally:
            await store.close()


def _follows(client: redis.Redis, port: int) -> bool:
    """Whether the server has become a replica of the one on that port; it is told to."""
    facts = client.info("replication")
    if facts["role"] == "master":
        client.slaveof("127.0.0.1", port)
        return False
    return facts.get("master_link_status") == "up"
