"""A sidecar that is killed: `python -m tests.integration.torture.sidecar FILE PORT OPTIONS`.

It says "ready" when it listens, and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Self

from tests.servers.ports import free_port

from durabletask.grpc import Sidecar, SidecarOptions
from durabletask.store import StoreOptions

from .place import Place, backend_at
from .processes import ROOT, WorkerProcess

UNPOISONED = 1_000_000
"""Deaths that set nothing aside: they are our doing, not that of any instance."""


class SidecarProcess:
    """A sidecar on a SQLite file, always on the same port."""

    def __init__(self, place: Place, options: dict[str, float]) -> None:
        self._place = place
        self._options = options
        self._process: WorkerProcess | None = None
        self.port = free_port()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        with self._place.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", f"{__package__}.sidecar"),
                *(str(self._place.file), str(self.port), json.dumps(self._options)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._process = WorkerProcess(process)
        assert await self._process.is_ready(), "the sidecar died: see worker.log"

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            await self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.thaw()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


async def serve(file: Path, port: int, options: StoreOptions) -> None:
    """Serve for ever."""
    backend = backend_at(Place.in_file(file).url, options)
    limits = SidecarOptions(poison_after=UNPOISONED, linger=1.0)
    async with Sidecar(backend, port=port, options=limits):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("options", type=json.loads, help="of the store, as JSON")
    given = parser.parse_args()
    asyncio.run(serve(given.file, given.port, StoreOptions(**given.options)))
