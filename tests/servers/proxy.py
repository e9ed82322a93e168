"""A TCP proxy in front of a server that does to connections what networks do."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    import ssl

Direction = Literal["request", "reply"]


class Pair(NamedTuple):
    """A connection of a client, and the one to the server that goes with it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def cut(self) -> None:
        """Break both at once."""
        for writer in self:
            writer.transport.abort()


@dataclass
class Armed:
    """A fault that is to happen, and how many chunks pass before it does."""

    fault: Fault
    after: int


class Proxy:
    """Passes everything on, but for the next chunks of data after ``arm``, until told otherwise.

    Args:
        port: of the server, on the loopback interface.
        chance: makes all choices.
        tls: how clients are spoken to; the server is spoken to in plain text.

    Attributes:
        port: where it listens.
        done: how many faults have happened.
    """

    port: int

    def __init__(
        self, port: int, chance: random.Random | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._target = port
        self._chance = chance or random.Random(port)
        self._tls = tls
        self._open = asyncio.Event()
        self._open.set()
        self._armed: list[Armed] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pairs: set[Pair] = set()
        self.done = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def arm(self, fault: Fault, *, after: int = 0) -> None:
        """Let the fault happen in its direction, to the next chunk but so many."""
        self._armed.append(Armed(fault, after))

    def disarm(self) -> None:
        """Forget the faults that have not happened yet."""
        self._armed.clear()

    def cut_all(self) -> None:
        """Cut every connection now."""
        for pair in self._pairs:
            pair.cut()

    def stall(self) -> None:
        """Pass on nothing, but keep the connections."""
        self._open.clear()

    def flow(self) -> None:
        """Pass on again."""
        self._open.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(writer, server)
        self._pairs.add(pair)
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(
                    self._pump("request", reader, server, pair),
                    self._pump("reply", answers, writer, pair),
                )
        finally:
            self._pairs.discard(pair)
            pair.cut()

    def _due(self, direction: Direction) -> Fault | None:
        """What happens to this chunk, if anything."""
        armed = next((armed for armed in self._armed if FAULTS[armed.fault][0] == direction), None)
        if armed is None:
            return None
        if armed.after:
            armed.after -= 1
            return None
        self._armed.remove(armed)
        return armed.fault

    async def _pump(
        self,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: Pair,
    ) -> None:
        while data := await source.read(65536):
            await self._open.wait()
            fault = self._due(direction)
            if fault is not None:
                self.done += 1
                if not await FAULTS[fault][1](self._chance, data, sink, pair):
                    return
                continue
            sink.write(data)
            await sink.drain()
        pair.cut()


Deed = Callable[[random.Random, bytes, asyncio.StreamWriter, Pair], Awaitable[bool]]
"""Does something to a chunk; False if the connection is over."""


async def cut(chance: random.Random, data: bytes, sink: asyncio.StreamWriter, pair: Pair) -> bool:
    """Some bytes of the chunk arrive, and no more."""
    sink.write(data[: chance.randrange(len(data))])
    await sink.drain()
    pair.cut()
    return False


async def delay(chance: random.Random, data: bytes, sink: asyncio.StreamWriter, pair: Pair) -> bool:
    """The chunk comes late."""
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    sink.write(data)
    await sink.drain()
    return True


async def swallow(
    chance: random.Random, data: bytes, sink: asyncio.StreamWriter, pair: Pair
) -> bool:
    """What the server has done is done, but its answer is lost with the connection."""
    await asyncio.sleep(chance.uniform(0.0, 0.3))
    pair.cut()
    return False


async def late(chance: random.Random, data: bytes, sink: asyncio.StreamWriter, pair: Pair) -> bool:
    """The client sees a broken connection; its request reaches the server long afterwards."""
    pair.client.transport.abort()
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    sink.write(data)
    await sink.drain()
    await asyncio.sleep(0.3)
    pair.cut()
    return False


Fault = Literal["cut request", "cut reply", "delay request", "delay reply", "swallow", "late"]

FAULTS: dict[Fault, tuple[Direction, Deed]] = {
    "cut request": ("request", cut),
    "cut reply": ("reply", cut),
    "delay request": ("request", delay),
    "delay reply": ("reply", delay),
    "swallow": ("reply", swallow),
    "late": ("request", late),
}
