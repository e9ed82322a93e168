"""Work that is done and purged, for as long as you like: does anything grow that should not?

``python -m tests.soak.run --backend postgresql:// --minutes 60``. Each look prints a line. The exit
status is 1 if something has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.postgres import running_server
from tests.servers.redis import RedisServer

from benchmarks.place import fresh_place
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

from .gauges import Gauges, read_gauges
from .growth import ENOUGH, grown
from .load import equip, one_round

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main", "soak"]


@contextmanager
def place_for(backend: str) -> Iterator[str]:
    """The URL of an empty place: on a server of our own for a scheme alone, else on that one."""
    if backend == "postgresql://":
        # In production it looks once a minute; here there may not be many of them.
        with running_server(autovacuum_naptime="1s") as server:
            yield server.url()
    elif backend == "redis://":
        with (
            tempfile.TemporaryDirectory() as folder,
            RedisServer(Path(folder), appendfsync="always") as server,
        ):
            yield server.url
    else:
        with fresh_place(backend) as url:
            yield url


async def soak(url: str, *, minutes: float, batch: int, pause: float) -> list[Gauges]:
    """Rounds of work until the time is over and enough has been seen; what each look showed.

    Args:
        url: of an empty place.
        batch: instances per round.
        pause: seconds between a round and the look at what it has left; what cleans up behind it
            is given that time.
    """
    looks: list[Gauges] = []
    began = time.monotonic()
    async with TaskHubWorker(url) as worker, TaskHubClient(url) as client:
        equip(worker)
        await worker.start()
        done = 0
        while time.monotonic() - began < minutes * 60 or len(looks) < ENOUGH:
            until = time.monotonic() + pause
            while True:
                await one_round(client, batch)
                done += batch
                if time.monotonic() >= until:
                    break
            await asyncio.sleep(pause)
            looks.append(await read_gauges(url))
            print(line(time.monotonic() - began, done, looks[-1]), flush=True)
    return looks


def line(seconds: float, done: int, look: Gauges) -> str:
    """A look in one line, without what is zero."""
    shown = ", ".join(f"{name} {value:,}" for name, value in look.items() if value)
    return f"{seconds:7.1f} s, {done:,} instances: {shown}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, prog="nox -s soak --")
    parser.add_argument("--backend", required=True, metavar="URL", help="as for the benchmarks")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=200, help="instances per round")
    parser.add_argument(
        "--pause", type=float, default=2.0, help="seconds of work, and of rest, between two looks"
    )
    given = parser.parse_args()
    with place_for(given.backend) as url:
        looks = asyncio.run(soak(url, minutes=given.minutes, batch=given.batch, pause=given.pause))
    found = grown(looks)
    print("\n".join(f"GROWN: {text}" for text in found) or "nothing has grown")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
