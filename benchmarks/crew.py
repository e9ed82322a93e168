"""A second worker, in a process of its own: `python -m benchmarks.crew URL KIND`.

It says "ready" when work can flow, and works until it is killed or its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.hub import started_worker
from benchmarks.programs import stuck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["second_worker"]


@asynccontextmanager
async def second_worker(url: str, *, stands_still: bool = False) -> AsyncIterator[None]:
    """A worker beside ours, with the same programs; killed at the end, as by kill -9.

    Args:
        stands_still: its activity ``hold`` never returns.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.crew", url, "stuck" if stands_still else "free"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the second worker did not start: see what it has said above")
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _work(url: str, kind: str) -> None:
    others = {"hold": stuck} if kind == "stuck" else {}
    async with started_worker(url, "async", others):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
