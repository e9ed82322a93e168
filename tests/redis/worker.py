"""The process that is killed: `python -m tests.redis.worker URL HUB LEDGER`.

It says "ready" when work can flow, and works until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from durabletask.redis import RedisBackend
from durabletask.worker import TaskHubWorker

from ..integration.torture.programs import register
from .rig import FAST


async def work(url: str, hub: str, ledger: Path) -> None:
    """Work for ever."""
    backend = RedisBackend(url, task_hub_name=hub, store_options=FAST, durability="relaxed")
    async with TaskHubWorker(backend=backend) as worker:
        register(worker, ledger)
        await worker.start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
