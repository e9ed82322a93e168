"""Hints: telling the other stores of a hub that something was written, and hearing it from them.

A hint is a message on the hub's channel that says who sent it. Writers send one at once if the
last one is a while ago, and another a moment later for all that they write meanwhile: never more
than some hundred a second, however many commits there are. Hints may be lost; polls find what
they would have told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from durabletask.errors import BackendUnavailableError
from durabletask.redis.trouble import LinkLostError, trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from durabletask.redis.home import Home
    from durabletask.redis.line import Line

__all__ = ["Hints"]

_log = logging.getLogger("durabletask.redis")

_JOINED = (b"subscribe", b"ssubscribe")

QUIET = 0.005
"""Seconds between two hints of one store."""

_FIRST_DELAY = 0.1
_LAST_DELAY = 5.0


class Hints:
    """The hints that a store sends and receives."""

    def __init__(self, home: Home, line: Line) -> None:
        self._home = home
        self._line = line
        self._token = secrets.token_hex(8)
        self._channel = f"{home.prefix}wake"
        self._loop = asyncio.get_running_loop()
        self._last = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _name(self) -> str:
        """Who sends: s for sharded channels, p for plain ones, and a random text."""
        return ("s" if self._home.has_sharded_channels else "p") + self._token

    # --- sending -------------------------------------------------------------------------------

    def due(self) -> str:
        """What a commit that is about to be sent should publish; empty if a later hint will do."""
        now = self._loop.time()
        if now - self._last >= QUIET:
            self._last = now
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return self._name
        if self._timer is None:
            self._timer = self._loop.call_later(2 * QUIET, self._send)
        return ""

    def soon(self) -> None:
        """Something was written without a hint."""
        if self.due():
            self._send()

    def _send(self) -> None:
        self._timer = None
        self._last = self._loop.time()
        self._keep(self._loop.create_task(self._publish()))

    async def _publish(self) -> None:
        with contextlib.suppress(BackendUnavailableError, LinkLostError):
            await self._line.run("hint", self._name)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- receiving -----------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` for what other stores write, until ``close``."""
        self._keep(self._loop.create_task(self._listen(wake), name="durabletask-redis-hints"))

    async def close(self) -> None:
        """Stop sending and listening."""
        if self._timer is not None:
            self._timer.cancel()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, wake: Callable[[], None]) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                async for _ in self._heard():
                    delay = _FIRST_DELAY
                    wake()
            except (RedisError, OSError) as error:
                reason = trouble(error, self._home.address, self._home.prefix)
                _log.info("no hints for a while, polls find what there is: %s", reason)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_DELAY)
            wake()

    async def _heard(self) -> AsyncIterator[None]:
        """One item when the channel is joined, and one for each hint of somebody else."""
        connection = self._home.connection()
        try:
            async with asyncio.timeout(_LAST_DELAY):
                await connection.connect()  # type: ignore[no-untyped-call]
            sharded = self._home.has_sharded_channels
            await connection.send_command("SSUBSCRIBE" if sharded else "SUBSCRIBE", self._channel)
            while True:
                message = await connection.read_response(disable_decoding=True, timeout=math.inf)
                if message is None or message[0] == b"sunsubscribe":
                    return  # the hub has moved to another node
                # The first message is a number: the channel is joined.
                if message[0] in _JOINED or message[2][1:] != self._token.encode():
                    yield
        finally:
            await connection.disconnect(nowait=True)
