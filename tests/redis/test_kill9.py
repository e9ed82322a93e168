"""Worker processes that are killed, or stand still for longer than their lease."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from tests.servers.redis import RedisServer

from ..integration.torture.processes import WorkerProcess
from .rig import FAST, TIMEOUT, Rig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(TIMEOUT)]


async def start_worker(rig: Rig) -> WorkerProcess:
    """Start a worker process; it may not be ready yet."""
    return await WorkerProcess.start(rig.place, **asdict(FAST))


async def test_workers_are_killed(tmp_path: Path) -> None:
    """**failure-infra** kill -9 of workers at random moments: others go on where they were."""
    with RedisServer(tmp_path / "redis") as server:

        async def kill(rig: Rig) -> None:
            crew = [await start_worker(rig) for _ in range(2)]
            try:
                for _ in range(6):
                    victim = rig.chance.randrange(2)
                    if rig.chance.random() < 0.8:
                        await crew[victim].is_ready()
                    await asyncio.sleep(rig.chance.uniform(0.1, 0.6))
                    await crew[victim].kill()
                    crew[victim] = await start_worker(rig)
                await rig.done.wait()
            finally:
                for worker in crew:
                    await worker.kill()

        rig = Rig(server.url, tmp_path)
        await rig.run(kill, workers=0, within=80)
        with server.client() as client:
            rig.audit(client)


async def test_zombies_write_nothing(tmp_path: Path) -> None:
    """**turn-single** A worker that stood still for longer than its lease is fenced."""
    with RedisServer(tmp_path / "redis") as server:

        async def freeze(rig: Rig) -> None:
            crew = [await start_worker(rig) for _ in range(2)]
            try:
                for worker in crew:
                    assert await worker.is_ready()
                for n in range(3):
                    await asyncio.sleep(0.3)
                    crew[n % 2].freeze()
                    await asyncio.sleep(FAST.lease + 0.6)
                    crew[n % 2].thaw()
                await rig.done.wait()
            finally:
                for worker in crew:
                    await worker.kill()

        rig = Rig(server.url, tmp_path)
        await rig.run(freeze, workers=0, within=80)
        assert "was lost" in rig.place.log.read_text(), "no lane was ever fenced"
        with server.client() as client:
            rig.audit(client)
