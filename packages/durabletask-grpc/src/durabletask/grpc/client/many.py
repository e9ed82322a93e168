"""Calls of many callers in one: starts that go out together, and waits that share a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc

from durabletask.grpc.client.faults import intact, reading
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
            BackendUnavailableError: the server says what makes no sense.
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
            received, _ = await self._connection.call(
                "StartInstances", batch, timeout=self._timeout
            )
            with reading(self._connection.target):
                answers = [*zip(answered, received.answers, strict=True)]
        except BaseException as error:
            for future in answered:
                if not future.done():
                    future.set_exception(_ended(error))
                    future.exception()
            if not isinstance(error, Exception):
                raise
            return
        for future, answer in answers:
            if not future.done():
                future.set_result(answer)

    async def close(self) -> None:
        """Tell whoever waits that no answer will come."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)


class _Group:
    """Waits that share a stream. It ends when all are answered, or nobody waits any more."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[batches.Answer]] = {}
        self._waiting: dict[str, int] = {}
        self.task: asyncio.Task[None] | None = None

    def join(self, instance_id: str) -> asyncio.Future[batches.Answer]:
        """Wait for one more answer, or for one that somebody waits for already."""
        if instance_id not in self.futures:
            self.futures[instance_id] = asyncio.get_running_loop().create_future()
        self._waiting[instance_id] = self._waiting.get(instance_id, 0) + 1
        return self.futures[instance_id]

    def leave(self, instance_id: str) -> None:
        """Give a wait up; the last one to do so ends the stream."""
        self._waiting[instance_id] -= 1
        if not self._waiting[instance_id]:
            self.futures.pop(instance_id, None)
            if not self.futures and self.task is not None:
                self.task.cancel()

    def answer(self, answer: batches.Answer) -> None:
        """Give an answer to whoever waits for it."""
        future = self.futures.pop(answer.instance_id, None)
        if future is not None:
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """No more answers will come."""
        while self.futures:
            _, future = self.futures.popitem()
            future.set_exception(error)
            future.exception()  # it may be that nobody waits any more


class Completions:
    """Waits for instances to finish; waits that begin at one time share a stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gathering: _Group | None = None
        self._streams: set[asyncio.Task[None]] = set()

    async def wait(self, instance_id: str) -> pb.GetInstanceResponse:
        """The answer of the server once the instance has finished.

        Raises:
            CallFailed: there is no such instance, or it was purged meanwhile.
            grpc.aio.AioRpcError: the stream broke.
            BackendUnavailableError: the server says what makes no sense.
        """
        group = self._gathering
        if group is None:
            group = self._gathering = _Group()
            asyncio.get_running_loop().call_soon(self._go)
        answered = group.join(instance_id)
        try:
            answer = await asyncio.shield(answered)  # others may wait for the same answer
        except asyncio.CancelledError:
            group.leave(instance_id)
            raise
        if answer.code:
            raise CallFailed(answer)
        with reading(self._connection.target):
            return pb.GetInstanceResponse.FromString(answer.response)

    def _go(self) -> None:
        group, self._gathering = self._gathering, None
        if group is None or not group.futures:
            return
        group.task = asyncio.get_running_loop().create_task(
            self._stream(group), name="durabletask-grpc-completions"
        )
        self._streams.add(group.task)
        group.task.add_done_callback(self._streams.discard)

    async def _stream(self, group: _Group) -> None:
        ended: BaseException = BrokenPipeError("the server ended the stream too early")
        call: Any = None
        try:
            request = batches.Awaited(instance_ids=group.futures)
            call = await self._connection.stream("WaitForCompletions", request)
            async for answers in call:
                for answer in intact(answers, self._connection.target).answers:
                    group.answer(answer)
        except BaseException as error:
            ended = error
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        finally:
            if call is not None:
                call.cancel()
            group.fail(_ended(ended))

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
