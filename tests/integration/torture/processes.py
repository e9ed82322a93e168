"""Worker processes to be started, killed, stopped and woken."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from .place import Place

ROOT = Path(__file__).parents[3]

_PATIENCE = 30.0


class WorkerProcess:
    """One worker process of a place."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, place: Place, **options: float) -> Self:
        """Start a worker, which may not be ready yet; ``options`` are those of StoreOptions."""
        with place.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", f"{__package__}.worker"),
                *(place.url, str(place.folder), json.dumps(options)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        return cls(process)

    @classmethod
    async def ready(cls, place: Place, **options: float) -> Self:
        """Start a worker and wait until work can flow."""
        worker = await cls.start(place, **options)
        assert await worker.is_ready(), "the worker died: see worker.log"
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.returncode is None

    async def is_ready(self) -> bool:
        """Wait until work can flow; False if the process died first."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            return await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> float:
        """kill -9. Returns the instant, by the monotonic clock."""
        at = time.monotonic()
        if self.lives:
            self._process.kill()
        await self._process.wait()
        return at

    async def ended(self) -> None:
        """Wait until the process has died by itself."""
        await self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the process stands still, its locks and memory as they are."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had been."""
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Let it stop in peace."""
        if self.lives:
            self._process.terminate()
        async with asyncio.timeout(_PATIENCE):
            assert await self._process.wait() == 0, "the worker did not stop well: see worker.log"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
