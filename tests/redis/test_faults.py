"""What is done to servers and connections, and what holds all the same: see `rig.py`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from .rig import TIMEOUT, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from .cluster import RedisCluster

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(TIMEOUT)]


async def test_in_peace(tmp_path: Path) -> None:
    """**turn-atomic** Nothing happens: the rig itself finds nothing to complain of."""
    with RedisServer(tmp_path / "redis") as server:
        rig = Rig(server.url, tmp_path)
        await rig.run()
        with server.client() as client:
            assert rig.audit(client) > rig.instances, "children count too"


async def test_connections_cut_at_any_byte(tmp_path: Path) -> None:
    """**turn-atomic** Requests and answers end within any of their bytes: nothing is lost."""
    with RedisServer(tmp_path / "redis") as server:
        async with Proxy(server.port) as proxy:

            async def cut(rig: Rig) -> None:
                for n in range(80):
                    if not rig.unfinished:
                        break
                    proxy.arm("cut request" if n % 2 == 0 else "cut reply")
                    await asyncio.sleep(rig.chance.uniform(0.01, 0.1))
                proxy.disarm()

            rig = Rig(f"redis://127.0.0.1:{proxy.port}", tmp_path)
            await rig.run(cut)
            assert proxy.done > 20
        with server.client() as client:
            rig.audit(client)


async def test_a_silent_network(tmp_path: Path) -> None:
    """**turn-single** Connections that are silent for longer than a lease are made anew."""
    with RedisServer(tmp_path / "redis") as server:
        async with Proxy(server.port) as proxy:

            async def stall(rig: Rig) -> None:
                for _ in range(2):
                    await asyncio.sleep(1.0)
                    proxy.stall()
                    await asyncio.sleep(1.6)
                    proxy.flow()

            rig = Rig(f"redis://127.0.0.1:{proxy.port}", tmp_path, instances=60)
            await rig.run(stall)
        with server.client() as client:
            rig.audit(client)


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
async def test_the_server_is_killed(tmp_path: Path, appendfsync: str) -> None:
    """**turn-atomic** kill -9 of the server loses nothing that was acknowledged."""
    with RedisServer(tmp_path / "redis", appendfsync=appendfsync) as server:

        async def kill(rig: Rig) -> None:
            for _ in range(4):
                await asyncio.sleep(rig.chance.uniform(0.3, 1.0))
                await asyncio.to_thread(server.restart)

        rig = Rig(server.url, tmp_path)
        await rig.run(kill)
        with server.client() as client:
            rig.audit(client)


async def test_the_tail_of_the_file_is_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash of the machine may cost the last writes: what is left is a prefix, and it is told."""
    with RedisServer(tmp_path / "redis", aof_load_truncated="yes") as server:

        async def cut(rig: Rig) -> None:
            for n in range(3):
                await asyncio.sleep(0.8)
                size = server.log.stat().st_size - 4000 * (n + 1) - n
                await asyncio.to_thread(server.forget, size)
                with server.client() as client:
                    rig.audit(client)

        rig = Rig(server.url, tmp_path, lossy=True)
        with caplog.at_level(logging.ERROR, logger="durabletask.redis"):
            await rig.run(cut)
        assert "has lost writes that it had acknowledged" in caplog.text
        with server.client() as client:
            rig.audit(client)


async def test_the_memory_limit_is_reached(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """**turn-atomic** A full server refuses, and what it has is whole; then all goes on."""
    with RedisServer(tmp_path / "redis") as server:

        async def fill(rig: Rig) -> None:
            with server.client() as client:
                for _ in range(3):
                    await asyncio.sleep(0.6)
                    client.config_set("maxmemory", client.info("memory")["used_memory"] + 30_000)
                    await asyncio.sleep(0.8)
                    rig.audit(client)
                    client.config_set("maxmemory", 0)

        rig = Rig(server.url, tmp_path)
        with caplog.at_level(logging.WARNING, logger="durabletask.store.lane"):
            await rig.run(fill)
        assert "(maxmemory) is reached" in caplog.text
        with server.client() as client:
            rig.audit(client)


async def test_the_disk_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """**failure-infra** A server that cannot write refuses: work waits, and nothing is lost."""
    with RedisServer(tmp_path / "redis") as server:

        async def fill(rig: Rig) -> None:
            with server.client() as client:
                for _ in range(3):
                    await asyncio.sleep(0.5)
                    server.fill()
                    await asyncio.to_thread(server.await_refusal)
                    await asyncio.sleep(0.8)
                    rig.audit(client)
                    assert rig.unfinished
                    server.make_room()

        rig = Rig(server.url, tmp_path)
        with caplog.at_level(logging.WARNING, logger="durabletask.store.lane"):
            await rig.run(fill)
        assert "it cannot write to its disk" in caplog.text
        with server.client() as client:
            rig.audit(client)


async def test_the_disk_is_full_and_the_server_ends(tmp_path: Path) -> None:
    """**failure-infra** With ``appendfsync always`` it ends itself; with room, all goes on."""
    with RedisServer(tmp_path / "redis", appendfsync="always") as server:

        async def fill(rig: Rig) -> None:
            for _ in range(3):
                await asyncio.sleep(0.5)
                server.fill()
                await asyncio.to_thread(server.await_end)
                assert rig.unfinished
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start)

        rig = Rig(server.url, tmp_path)
        await rig.run(fill)
        with server.client() as client:
            rig.audit(client)


async def test_slots_are_moved_under_load(tmp_path: Path, cluster: RedisCluster) -> None:
    """**turn-atomic** The hub's slot moves from node to node, slowly: work waits and goes on."""
    rig = Rig(cluster.url, tmp_path)

    async def move(rig: Rig) -> None:
        for _ in range(4):
            await asyncio.sleep(0.6)
            await asyncio.to_thread(cluster.move, rig.hub, pause=0.001)

    await rig.run(move)
    with cluster.holder(rig.hub).client() as client:
        rig.audit(client)
