"""Calls of many callers in one: starts that go out together, and waits that share a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc

from durabletask.grpc.protocol import batches, pb

if TYPE_CHECKING:
    from durabletask.grpc.client.connection import Connection

__all__ = ["CallFailed", "Completions", "Starts"]

_BYTES = 1024 * 1024
"""Of a batch, unless a single request is larger."""

_STATUSES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class CallFailed(Exception):
    """One of many calls failed; reads like gRPC's own error."""

    def __init__(self, answer: batches.Answer) -> None:
        self._answer = answer
        super().__init__(answer.details)

    def code(self) -> grpc.StatusCode:
        """The status."""
        return _STATUSES.get(self._answer.code, grpc.StatusCode.UNKNOWN)

    def details(self) -> str:
        """What the server says."""
        return self._answer.details


class Starts:
    """Starts instances; what is asked for while a batch is on its way goes into the next one."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._waiting: deque[tuple[bytes, asyncio.Future[batches.Answer]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def start(self, request: pb.CreateInstanceRequest) -> None:
        """Start an instance durably.

        Raises:
            CallFailed: the server refused it.
            grpc.aio.AioRpcError: the batch failed on its way.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[batches.Answer] = loop.create_future()
        self._waiting.append((request.SerializeToString(), answered))
        if self._sender is None:
            self._sender = loop.create_task(self._send_all(), name="durabletask-grpc-starts")
        answer = await answered
        if answer.code:
            raise CallFailed(answer)

    async def _send_all(self) -> None:
        try:
            await asyncio.sleep(0)  # whatever else is ready on this loop comes along
            while self._waiting:
                await self._send()
        finally:
            self._sender = None

    async def _send(self) -> None:
        batch, answered, size = batches.Starts(), [], 0
        while self._waiting and (not size or size + len(self._waiting[0][0]) <= _BYTES):
            packed, future = self._waiting.popleft()
            if not future.done():  # nobody waits for what was given up
                batch.requests.append(packed)
                answered.append(future)
                size += len(packed)
        try:
            answers, _ = await self._connection.call("StartInstances", batch, timeout=self._timeout)
        except BaseException as error:
            for future in answered:
                if not future.done():
                    future.set_exception(_ended(error))
                    future.exception()
            if not isinstance(error, Exception):
                raise
            return
        for future, answer in zip(answered, answers.answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def close(self) -> None:
        """Tell whoever waits that no answer will come."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)


class Completions:
    """Waits for instances to finish; waits that begin at one time share a stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gathering: dict[str, asyncio.Future[batches.Answer]] = {}
        self._streams: set[asyncio.Task[None]] = set()

    async def wait(self, instance_id: str) -> pb.GetInstanceResponse:
        """The answer of the server once the instance has finished.

        Raises:
            CallFailed: there is no such instance, or it was purged meanwhile.
            grpc.aio.AioRpcError: the stream broke.
        """
        answered = self._gathering.get(instance_id)
        if answered is None:
            loop = asyncio.get_running_loop()
            if not self._gathering:
                loop.call_soon(self._go)
            answered = self._gathering[instance_id] = loop.create_future()
        # Shielded: others may wait for the same answer, and the stream ends by itself.
        answer = await asyncio.shield(answered)
        if answer.code:
            raise CallFailed(answer)
        return pb.GetInstanceResponse.FromString(answer.response)

    def _go(self) -> None:
        awaited, self._gathering = self._gathering, {}
        task = asyncio.get_running_loop().create_task(
            self._stream(awaited), name="durabletask-grpc-completions"
        )
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)

    async def _stream(self, awaited: dict[str, asyncio.Future[batches.Answer]]) -> None:
        request = batches.Awaited(instance_ids=awaited)
        ended: BaseException = BrokenPipeError("the server ended the stream too early")
        try:
            call = await self._connection.stream("WaitForCompletions", request)
            async for answers in call:
                for answer in answers.answers:
                    future = awaited.pop(answer.instance_id, None)
                    if future is not None and not future.done():
                        future.set_result(answer)
        except BaseException as error:
            ended = error
            if not isinstance(error, Exception) and self._is_cancelled():
                raise
        finally:
            for future in awaited.values():
                if not future.done():
                    future.set_exception(_ended(ended))
                    future.exception()

    @staticmethod
    def _is_cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    async def close(self) -> None:
        """Tell whoever waits that no answer will come."""
        for task in self._streams:
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)


def _ended(error: BaseException) -> Exception:
    """An error that can be given to those who waited for an answer."""
    if isinstance(error, Exception) and not isinstance(error, BrokenPipeError):
        return error
    unavailable: Any = grpc.StatusCode.UNAVAILABLE.value
    return CallFailed(batches.Answer(code=unavailable[0], details="the connection ended"))
