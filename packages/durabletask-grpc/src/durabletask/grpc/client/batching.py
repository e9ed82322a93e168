"""Outcomes on their way to a sidecar that takes many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from durabletask.grpc.client.backoff import pause
from durabletask.grpc.client.faults import REFUSALS
from durabletask.grpc.protocol import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.grpc.client.connection import Connection

__all__ = ["Batcher"]

_log = logging.getLogger("durabletask.grpc.client")

_BYTES = 1024 * 1024
"""Of a batch, unless a single outcome is larger."""

_ANSWER = 30.0
"""Seconds until a batch without an answer is sent again."""


class _Outcome(NamedTuple):
    field: str
    packed: bytes
    refused: Callable[[str], None] | None


class Batcher:
    """Sends what has collected while the last batch was on its way, in order.

    There is never more than one batch on its way, and no artificial delay: under load batches
    grow by themselves. A batch that failed on the way is sent again; the server takes each
    completion token once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[_Outcome] = deque()
        self._sender: asyncio.Task[None] | None = None

    def put(
        self, field: str, messages: Sequence[Any], refused: Callable[[str], None] | None
    ) -> None:
        """Deliver outcomes: of the field ``turns``, ``activities`` or ``entities`` of a batch.

        Args:
            refused: called with the reason if the server will never take one of them.
        """
        for message in messages:
            packed = message.SerializeToString()
            self._waiting.append(_Outcome(field, packed, refused))
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(
                self._send_all(), name="durabletask-grpc-outcomes"
            )

    async def _send_all(self) -> None:
        try:
            await asyncio.sleep(0)  # whatever else is ready on this loop comes along
            while self._waiting:
                await self._send(self._take())
        finally:
            self._sender = None

    def _take(self) -> list[_Outcome]:
        taken: list[_Outcome] = []
        size = 0
        while self._waiting and (not taken or size + len(self._waiting[0].packed) <= _BYTES):
            taken.append(self._waiting.popleft())
            size += len(taken[-1].packed)
        return taken

    async def _send(self, outcomes: list[_Outcome]) -> None:
        batch = batches.Outcomes()
        for outcome in outcomes:
            getattr(batch, outcome.field).append(outcome.packed)
        failures = 0
        while True:
            try:
                await self._connection.call("Complete", batch, timeout=_ANSWER, worker=True)
            except grpc.aio.AioRpcError as error:
                if error.code() in REFUSALS:
                    await self._apart(outcomes, error.details() or error.code().name)
                    return
                failures += 1
                _log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "outcomes could not be handed over and are sent again: %s",
                    error.details(),
                )
            except Exception:  # no token now, say: trouble of the infrastructure passes
                failures += 1
                _log.warning("outcomes cannot be sent now", exc_info=True)
            else:
                return
            await asyncio.sleep(pause(failures))

    async def _apart(self, outcomes: list[_Outcome], reason: str) -> None:
        """The server will never take this batch: find out whose fault it is."""
        if len(outcomes) == 1:
            self._refuse(outcomes[0], reason)
            return
        for outcome in outcomes:
            await self._send([outcome])

    def _refuse(self, outcome: _Outcome, reason: str) -> None:
        _log.error("the sidecar refuses an outcome: %s", reason)
        if outcome.refused is not None:
            outcome.refused(reason)

    async def flush(self, timeout: float) -> bool:
        """Wait until everything is delivered; False if the time was too short."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=timeout)
        return self._sender is None

    async def close(self) -> None:
        """Give up what is not delivered."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
