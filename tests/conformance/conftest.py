"""The servers that suites run against, and a network that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest_asyncio
from tests.servers.fixtures import postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["postgres"]


class Wire:
    """A TCP proxy to a port of this machine: the network between a worker and its sidecar.

    An outage resets every connection and refuses new ones.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._is_down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    def begin(self) -> None:
        """Cut the wire."""
        self._is_down = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def end(self) -> None:
        """Mend the wire."""
        self._is_down = False

    async def stop(self) -> None:
        self.begin()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@pytest_asyncio.fixture
async def open_wire() -> AsyncIterator[Callable[[int], Awaitable[tuple[Wire, int]]]]:
    """Lays wires to a port; gives each with the port at this end."""
    wires: list[Wire] = []

    async def opened(port: int) -> tuple[Wire, int]:
        wires.append(Wire(port))
        await wires[-1].start()
        return wires[-1], wires[-1].port

    yield opened
    for wire in wires:
        await wire.stop()
