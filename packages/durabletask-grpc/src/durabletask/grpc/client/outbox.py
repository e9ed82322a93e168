"""What a worker hands back, on its way to the sidecar."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc

from durabletask.grpc.client.backoff import pause
from durabletask.grpc.client.faults import REFUSALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.grpc.client.connection import Connection, Metadata

__all__ = ["Outbox"]

_log = logging.getLogger("durabletask.grpc.client")

_ANSWER = 30.0
"""Seconds until a call without an answer is made again."""


class Outbox:
    """Delivers hand-overs until the server has them.

    A call that failed on the way is made again: the server takes each completion token once, so a
    second delivery changes nothing. Only what the server says it will never take is given up.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: set[asyncio.Task[None]] = set()
        self._troubled = False

    def send(
        self,
        name: str,
        messages: Sequence[Any],
        *,
        extra: Metadata = (),
        refused: Callable[[str], None] | None = None,
    ) -> None:
        """Deliver messages by calls of the rpc ``name``, one after the other.

        Args:
            refused: called with the reason if the server will never take one of them.
        """
        task = asyncio.get_running_loop().create_task(self._deliver(name, messages, extra, refused))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self,
        name: str,
        messages: Sequence[Any],
        extra: Metadata,
        refused: Callable[[str], None] | None,
    ) -> None:
        for message in messages:
            failures = 0
            while True:
                try:
                    await self._connection.call(
                        name, message, timeout=_ANSWER, extra=extra, worker=True
                    )
                    self._troubled = False
                    break
                except grpc.aio.AioRpcError as error:
                    if error.code() in REFUSALS:
                        _log.error("the sidecar refuses a hand-over: %s", error.details())
                        if refused is not None:
                            refused(error.details() or error.code().name)
                        return
                    failures += 1
                    _log.log(
                        logging.DEBUG if self._troubled else logging.WARNING,
                        "a hand-over failed and will be repeated: %s",
                        error.details(),
                    )
                    self._troubled = True
                except Exception:  # no token now, say: trouble of the infrastructure passes
                    failures += 1
                    _log.warning("a hand-over cannot be sent now", exc_info=True)
                await asyncio.sleep(pause(failures))

    async def flush(self, timeout: float) -> bool:
        """Wait until everything is delivered; False if the time was too short."""
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=timeout)
        return not self._tasks

    async def close(self) -> None:
        """Give up what is not delivered."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
