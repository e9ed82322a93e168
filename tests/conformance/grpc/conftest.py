"""A sidecar for each test, and a way to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from durabletask.grpc import GrpcBackend, GrpcOptions, Sidecar, SidecarOptions, Target
from durabletask.testing.conformance.backend import LEASE

if TYPE_CHECKING:
    from durabletask.backend import Backend

_names = itertools.count()

Opener = Callable[..., Awaitable[GrpcBackend]]


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


@pytest.fixture
def hub_name() -> str:
    """A task hub of the test's own."""
    return f"grpc-conformance-{next(_names)}"


@pytest.fixture
def place() -> str:
    """The URL of what the sidecar keeps its instances in."""
    return "memory://"


@pytest_asyncio.fixture
async def sidecar(place: str) -> AsyncIterator[Sidecar]:
    """A sidecar that runs for the test."""
    options = SidecarOptions(linger=LEASE, drain_timeout=5.0)
    async with Sidecar(place, port=0, options=options) as running:
        yield running


@pytest.fixture
def open_grpc(sidecar: Sidecar) -> Opener:
    """Opens backends on the sidecar: of a hub, perhaps through another port."""

    async def opened(task_hub: str, port: int | None = None) -> GrpcBackend:
        target = Target(f"127.0.0.1:{port or sidecar.port}", secure=False)
        backend = GrpcBackend(target, GrpcOptions(task_hub=task_hub))
        await backend.open()
        return backend

    return opened


@pytest_asyncio.fixture
async def open_fragile(
    sidecar: Sidecar, open_grpc: Opener, hub_name: str
) -> AsyncIterator[Callable[[], Awaitable[tuple[Backend, Wire]]]]:
    """Opens backends on the sidecar whose wire can be cut."""
    wires: list[Wire] = []

    async def opened() -> tuple[Backend, Wire]:
        wire = Wire(sidecar.port)
        wires.append(wire)
        await wire.start()
        return await open_grpc(hub_name, wire.port), wire

    yield opened
    for wire in wires:
        await wire.stop()
