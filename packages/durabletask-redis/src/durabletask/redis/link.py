"""One connection to the server, for any number of requests at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.exceptions import RedisError, ResponseError

from durabletask.redis.trouble import LinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import AbstractConnection

__all__ = ["Argument", "Link", "packed"]

Argument = bytes | str | int | float


class Link:
    """Requests go out at once, answers come back in the same order.

    The server works them off one by one, so whoever asks first is served first, and a commit and
    a query on their way together cost one wait. A link that breaks fails all that wait and is not
    used again. All of it runs on one event loop.

    Args:
        connection: made already.
        timeout: seconds after which the oldest request without an answer breaks the link.
    """

    def __init__(self, connection: AbstractConnection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._lost: str | None = None
        self._reader = self._loop.create_task(self._read(), name="durabletask-redis-link")
        self._watch = self._loop.call_later(timeout, self._look)

    @property
    def is_lost(self) -> bool:
        """Whether it is broken or closed."""
        return self._lost is not None

    async def call(self, *arguments: Argument) -> Any:
        """Send one command and wait for its answer.

        Raises:
            ResponseError: the server's answer is an error.
            LinkLostError: there is none.
        """
        future = self._expect(1)[0]
        await self._send(packed(arguments))
        return await future

    async def call_all(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send some commands together and wait for all their answers.

        Raises: as ``call``, for the first that fails.
        """
        futures = self._expect(len(commands))
        await self._send(b"".join(packed(tuple(command)) for command in commands))
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def close(self) -> None:
        """Close the connection; what waits fails."""
        self._break("it was closed")
        await asyncio.gather(self._reader, return_exceptions=True)

    # --- sending and receiving -----------------------------------------------------------------

    def _expect(self, count: int) -> list[asyncio.Future[Any]]:
        """Futures of the next answers. What is sent without an await in between gets them."""
        if self._lost is not None:
            raise LinkLostError(self._lost, sent=False)
        now = self._loop.time()
        futures = [self._loop.create_future() for _ in range(count)]
        self._waiting += [(now, future) for future in futures]
        return futures

    async def _send(self, request: bytes) -> None:
        try:
            await self._connection.send_packed_command(request, check_health=False)
        except (RedisError, OSError) as error:
            self._break(str(error))
        except BaseException:
            self._break("a request was cancelled while it was sent")
            raise

    async def _read(self) -> None:
        read, waiting = self._connection.read_response, self._waiting
        reason = "it was closed"
        try:
            while True:
                try:
                    answer = await read(disable_decoding=True, timeout=math.inf)
                except ResponseError as error:
                    _, future = waiting.popleft()
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # whoever asked may be gone
                else:
                    _, future = waiting.popleft()
                    if not future.done():
                        future.set_result(answer)
        except (RedisError, OSError, EOFError) as error:
            reason = str(error) or type(error).__name__
        finally:
            self._break(reason)
            await self._connection.disconnect(nowait=True)

    def _look(self) -> None:
        """Break the link if the oldest request has waited too long."""
        patience = self._timeout
        if self._waiting:
            patience -= self._loop.time() - self._waiting[0][0]
        if patience <= 0:
            self._break(f"no answer within {self._timeout:g} s")
        else:
            self._watch = self._loop.call_later(patience, self._look)

    def _break(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        self._watch.cancel()
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(LinkLostError(reason, sent=True))
                future.exception()
        if self._reader is not asyncio.current_task():
            self._reader.cancel()


def packed(arguments: tuple[Argument, ...]) -> bytes:
    """A command as the server reads it."""
    request: bytes = pack_command(arguments)  # type: ignore[arg-type]  # its stub takes only one
    return request
