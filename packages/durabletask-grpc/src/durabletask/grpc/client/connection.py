"""One HTTP/2 connection to a sidecar, with the metadata that every call carries."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from durabletask.grpc.client.faults import intact
from durabletask.grpc.extensions import STRICT, TASK_HUB, USER_AGENT, WORKER_ID
from durabletask.grpc.protocol import BATCH_METHODS, METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.grpc.client.options import GrpcOptions
    from durabletask.grpc.client.target import Target

__all__ = ["Connection", "Metadata", "TokenSource"]

Metadata = tuple[tuple[str, str | bytes], ...]

TokenSource = Callable[[], Awaitable[str]]
"""Gives a bearer token that is still good for a while; called before every call, so it caches."""

_METHODS = METHODS | {
    "GetWorkItemBatches": BATCH_METHODS["GetWorkItems"],
    **{name: method for name, method in BATCH_METHODS.items() if name not in METHODS},
}
"""Every rpc by name; one name of our own service is taken by the protocol's."""

_FAREWELL = 5.0
"""Seconds that calls under way on a replaced channel get."""

_SETTLING = 0.01
"""Seconds that gRPC gets to report the end of cancelled calls.

It does so from a thread of its own, to the event loop of the call. If that is closed by then, as
after ``asyncio.run``, the next loop of the process logs a traceback about it; gRPC offers nothing
to wait for. The report takes less than a millisecond on an idle machine.
"""


class Connection:
    """A gRPC channel, made anew on request. Made and used on one event loop.

    Args:
        user_agent: how the calls name this library.
        tokens: where bearer tokens come from, if calls carry one.
    """

    def __init__(
        self,
        target: Target,
        options: GrpcOptions,
        *,
        user_agent: str,
        tokens: TokenSource | None,
    ) -> None:
        self.target = target
        self._options = options
        self._tokens = tokens
        self._base: Metadata = (
            (TASK_HUB, options.task_hub),
            (USER_AGENT, user_agent),
            (STRICT, "1"),
        )
        self.worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._retired: set[asyncio.Task[None]] = set()
        self._connect()

    def _connect(self) -> None:
        options = _channel_options(self._options)
        credentials = self.target.credentials(self._options.ca_file)
        if credentials is None:
            channel = grpc.aio.insecure_channel(self.target.address, options=options)
        else:
            channel = grpc.aio.secure_channel(self.target.address, credentials, options=options)
        self._channel = channel
        self._calls: dict[str, Any] = {
            name: (channel.unary_stream if method.streams else channel.unary_unary)(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=_reader(method.response),
            )
            for name, method in _METHODS.items()
        }

    def renew(self) -> None:
        """Begin with a new channel; calls under way on the old one may end there."""
        old = self._channel
        self._connect()
        task = asyncio.get_running_loop().create_task(old.close(_FAREWELL))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def metadata(self, extra: Metadata = (), *, worker: bool = False) -> Metadata:
        """What a call carries."""
        metadata = self._base + extra
        if worker:
            metadata += ((WORKER_ID, self.worker_id),)
        if self._tokens is not None:
            metadata += (("authorization", f"Bearer {await self._tokens()}"),)
        return metadata

    async def call(
        self,
        name: str,
        request: Any,
        *,
        timeout: float | None,
        extra: Metadata = (),
        worker: bool = False,
        wait_for_ready: bool = True,
    ) -> tuple[Any, Any]:
        """Make a unary call; returns the answer and the finished call.

        Raises:
            grpc.aio.AioRpcError: it failed.
            BackendUnavailableError: the answer is no message.
        """
        call = self._calls[name](
            request,
            timeout=timeout,
            metadata=await self.metadata(extra, worker=worker),
            wait_for_ready=wait_for_ready,
        )
        return intact(await call, self.target), call

    async def stream(
        self, name: str, request: Any, *, extra: Metadata = (), worker: bool = False
    ) -> Any:
        """Begin a call that streams; what comes and is no message is None."""
        metadata = await self.metadata(extra, worker=worker)
        return self._calls[name](request, metadata=metadata)

    async def close(self) -> None:
        """Cancel every call under way and close."""
        await self._channel.close()
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        await asyncio.sleep(_SETTLING)


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """Reads messages of this class; None for bytes that are none.

    gRPC would answer None as well, after a traceback in the log.
    """

    def read(packed: bytes) -> Any:
        try:
            return kind.FromString(packed)
        except DecodeError:
            return None

    return read


def _channel_options(options: GrpcOptions) -> Sequence[tuple[str, int]]:
    limit, keepalive = options.max_message_bytes, int(options.keepalive * 1000)
    return [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        ("grpc.max_metadata_size", 64 * 1024),
        ("grpc.keepalive_time_ms", keepalive),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
