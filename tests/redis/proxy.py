"""A TCP proxy in front of a server, which cuts connections at any byte, stalls, or speaks TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl


class Proxy:
    """Passes on what it gets, until told otherwise.

    Attributes:
        port: where it listens.
        cuts: connections that it has cut.
    """

    port: int

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._budget: dict[bool, int | None] = {True: None, False: None}
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.cuts = 0

    def cut_after(self, count: int, *, requests: bool) -> None:
        """Cut the connection in which so many more bytes of requests (or of answers) have passed.

        All connections count together, and the first that reaches it is cut within its bytes.
        """
        self._budget[requests] = count

    def cut_no_more(self) -> None:
        """Let the next connections live."""
        self._budget = {True: None, False: None}

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in [*self._writers]:
            writer.transport.abort()

    def stall(self) -> None:
        """Pass on nothing, but keep the connections."""
        self._open.clear()

    def flow(self) -> None:
        """Pass on again."""
        self._open.set()

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

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(
                    self._pass(reader, forth, requests=True),
                    self._pass(back, writer, requests=False),
                )
        finally:
            self._writers -= {writer, forth}
            writer.transport.abort()
            forth.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, requests: bool
    ) -> None:
        while data := await source.read(65_536):
            await self._open.wait()
            budget = self._budget[requests]
            if budget is not None and len(data) >= budget:
                self._budget[requests] = None
                self.cuts += 1
                sink.write(data[:budget])
                with contextlib.suppress(OSError):
                    await sink.drain()
                raise ConnectionError("cut by the test")
            if budget is not None:
                self._budget[requests] = budget - len(data)
            sink.write(data)
            await sink.drain()
        raise ConnectionError("closed by one side")
