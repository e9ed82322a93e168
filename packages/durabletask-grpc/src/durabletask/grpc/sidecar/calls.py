"""What every rpc has in common: who may call, which hub is meant, and how errors travel."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError

from durabletask.errors import (
    BackendClosedError,
    BackendError,
    CapabilityError,
    DurableTaskError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
    OrchestrationStateError,
)
from durabletask.grpc.extensions import STRICT, TASK_HUB, flatten
from durabletask.grpc.sidecar.hubs import DEFAULT_TASK_HUB, ServedHub, UnknownHubError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durabletask.grpc.protocol import Method
    from durabletask.grpc.sidecar.hubs import Hubs

__all__ = ["Call", "Door", "Streaming", "Unary", "generic_handler", "status_of"]

_log = logging.getLogger("durabletask.grpc.sidecar")

_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (InstanceNotFoundError, grpc.StatusCode.NOT_FOUND),
    (UnknownHubError, grpc.StatusCode.NOT_FOUND),
    (InstanceAlreadyExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (OrchestrationStateError, grpc.StatusCode.FAILED_PRECONDITION),
    (CapabilityError, grpc.StatusCode.UNIMPLEMENTED),
    (NotImplementedError, grpc.StatusCode.UNIMPLEMENTED),
    (InvalidRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (BackendClosedError, grpc.StatusCode.UNAVAILABLE),
    (BackendError, grpc.StatusCode.UNAVAILABLE),
    (DurableTaskError, grpc.StatusCode.INVALID_ARGUMENT),
    (ValueError, grpc.StatusCode.INVALID_ARGUMENT),
    (DecodeError, grpc.StatusCode.INVALID_ARGUMENT),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
)
"""The status of an error, the first that fits."""


class Call(NamedTuple):
    """One call of an rpc.

    Attributes:
        hub: the task hub it is about.
        context: gRPC's.
        metadata: what the caller sent beside the request.
    """

    hub: ServedHub
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: Mapping[str, str | bytes]

    @property
    def is_strict(self) -> bool:
        """Whether the caller wants an error for each missing instance."""
        return STRICT in self.metadata

    def text(self, key: str) -> str | None:
        """The text that came with the call under this key."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str, default: float) -> float:
        """The number that came with the call under this key, else the default."""
        try:
            return max(0.0, float(self.text(key) or default))
        except ValueError:
            return default


Unary = Callable[[Call, Any], Awaitable[Any]]
Streaming = Callable[[Call, Any], AsyncGenerator[Any, None]]


class Door:
    """Lets calls in and turns what they raise into status codes.

    Args:
        token: the bearer token every call must bring, if any.
    """

    def __init__(self, hubs: Hubs, token: str | None) -> None:
        self._hubs = hubs
        self._authorization = None if token is None else f"Bearer {token}".encode()

    # The handlers take bytes and read them themselves: gRPC would answer those that are no message
    # as a failure of the server.

    def unary(self, handle: Unary, kind: Any) -> Callable[[Any, Any], Awaitable[Any]]:
        """A handler for gRPC of a method whose requests are of this class."""
        read = kind.FromString

        async def called(packed: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                return await handle(await self._admit(context), read(packed))
            except Exception as error:
                await _abort(context, error)

        return called

    def streaming(self, handle: Streaming, kind: Any) -> Callable[[Any, Any], Awaitable[None]]:
        """A handler for gRPC that streams.

        It writes what the function yields. So a call that is cancelled while it writes is
        cancelled in here, and the function is told at once.
        """

        read = kind.FromString

        async def called(packed: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            try:
                async with aclosing(handle(await self._admit(context), read(packed))) as messages:
                    async for message in messages:
                        await context.write(message)
            except Exception as error:
                await _abort(context, error)

        return called

    async def _admit(self, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
        metadata = flatten(context.invocation_metadata())
        if self._authorization is not None:
            given = str(metadata.get("authorization", "")).encode()
            if not hmac.compare_digest(given, self._authorization):
                await context.abort(
                    grpc.StatusCode.UNAUTHENTICATED,
                    "this sidecar wants the metadata 'authorization: Bearer TOKEN' with its token",
                )
        name = metadata.get(TASK_HUB)
        hub = await self._hubs.get(str(name) if name else DEFAULT_TASK_HUB)
        return Call(hub, context, metadata)


def generic_handler(
    service: str,
    methods: Mapping[str, Method],
    door: Door,
    unary: Mapping[str, Unary],
    streaming: Mapping[str, Streaming],
) -> grpc.GenericRpcHandler:
    """Serves the methods of a service, each by the function of its name."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for name, method in methods.items():
        write = method.response.SerializeToString
        if method.streams:
            handlers[name] = grpc.unary_stream_rpc_method_handler(
                door.streaming(streaming[name], method.request), response_serializer=write
            )
        else:
            handlers[name] = grpc.unary_unary_rpc_method_handler(
                door.unary(unary[name], method.request), response_serializer=write
            )
    return grpc.method_handlers_generic_handler(service, handlers)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    await context.abort(*status_of(error))


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The status and the details that tell a caller of an error; what is no caller's is logged."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code, str(error)
    _log.error("a call failed", exc_info=error)
    return grpc.StatusCode.INTERNAL, "the sidecar failed; its log says how"
