"""The sidecar: a gRPC server that speaks the Durable Task protocol over any backend."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from durabletask.backend import Backend
from durabletask.errors import BackendClosedError, BackendUnavailableError, ConfigurationError
from durabletask.grpc.protocol import BATCH_METHODS, BATCH_SERVICE, METHODS, SERVICE
from durabletask.grpc.sidecar.batches import BATCH_CALLS, BATCH_STREAMS
from durabletask.grpc.sidecar.calls import Door, Streaming, generic_handler
from durabletask.grpc.sidecar.entities import ENTITY_CALLS
from durabletask.grpc.sidecar.hubs import DEFAULT_TASK_HUB, Hubs, backend_of_url
from durabletask.grpc.sidecar.instances import INSTANCE_CALLS
from durabletask.grpc.sidecar.options import SidecarOptions
from durabletask.grpc.sidecar.queries import QUERY_CALLS, stream_history
from durabletask.grpc.sidecar.work import WORK_CALLS, get_work_items
from durabletask.plugins import resolve_url

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Sidecar"]

_log = logging.getLogger("durabletask.grpc.sidecar")

_FAREWELL = 0.5
"""Seconds that calls which still wait get when the work is done."""


class Sidecar:
    """Serves the Durable Task protocol on a port. Use as an async context manager.

    Workers and clients of any language with a Durable Task SDK can connect.

    Args:
        backend: where the instances live: a URL, in which callers choose the task hub, or a
            Backend object, which is the hub ``default``. None takes the environment's
            ``DURABLETASK_URL``, then ``sqlite:///durabletask.db``.
        host: the address to listen on.
        port: 0 takes a free one, see :attr:`port`.
        options: limits, TLS, the bearer token.

    Attributes:
        place: what is served, in a text without secrets.

    Raises:
        BackendUrlError, BackendNotFoundError: the backend is unusable.
        ConfigurationError: the port is no port.

    Example::

        async with Sidecar("sqlite:///orders.db", port=0) as sidecar:
            client = TaskHubClient(sidecar.url)
    """

    def __init__(
        self,
        backend: Backend | str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        options: SidecarOptions | None = None,
    ) -> None:
        options = options or SidecarOptions()
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"port must be a number from 0 to 65535, not {port}")
        if isinstance(backend, Backend):
            given = backend
            self._build = lambda name: given
            self._served = options.task_hubs or frozenset({DEFAULT_TASK_HUB})
            self.place = repr(backend)
        else:
            self._build = backend_of_url(backend)
            self.place = str(resolve_url(backend))
            self._served = options.task_hubs
        self._options = options
        self._host = host
        self._port = port
        self._server: grpc.aio.Server | None = None
        self._hubs: Hubs | None = None
        self._health = health.HealthServicer()

    def __repr__(self) -> str:
        return f"Sidecar({self._host}:{self._port})"

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """The backend URL of this sidecar."""
        scheme = "grpc" if self._options.certificate is None else "grpcs"
        return f"{scheme}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Open the default hub and listen; returns once calls are answered.

        Raises:
            BackendUnavailableError: the backend cannot be opened, or the port is taken.
        """
        options = dataclasses.replace(self._options, task_hubs=self._served)
        hubs = Hubs(self._build, options)
        if not self._served or DEFAULT_TASK_HUB in self._served:
            await hubs.get(DEFAULT_TASK_HUB)
        server = grpc.aio.server(options=_channel_options(options))
        server.add_generic_rpc_handlers(_handlers(Door(hubs, options.token)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE, BATCH_SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        try:
            self._port = self._listen(server)
            await server.start()
        except BaseException:
            await hubs.close()
            raise
        self._server, self._hubs = server, hubs
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def _listen(self, server: grpc.aio.Server) -> int:
        address = f"{self._host}:{self._port}"
        options = self._options
        try:
            if options.certificate is None or options.private_key is None:
                return server.add_insecure_port(address)
            credentials = grpc.ssl_server_credentials([(options.private_key, options.certificate)])
            return server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise BackendUnavailableError(
                f"cannot listen on {address}: {error}; choose another port or host"
            ) from None

    async def stop(self) -> None:
        """Hand out nothing more, wait for what is out, then stop. Idempotent.

        What workers hand back within ``drain_timeout`` is durable when this returns.
        """
        server, self._server = self._server, None
        hubs, self._hubs = self._hubs, None
        if server is None or hubs is None:
            return
        await self._health.enter_graceful_shutdown()
        await hubs.drain()
        await server.stop(_FAREWELL)
        await hubs.close()

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise BackendClosedError("this sidecar runs already")
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.stop())


_UNARY = {**INSTANCE_CALLS, **QUERY_CALLS, **ENTITY_CALLS, **WORK_CALLS}
_STREAMS: dict[str, Streaming] = {
    "GetWorkItems": get_work_items,
    "StreamInstanceHistory": stream_history,
}


def _handlers(door: Door) -> tuple[grpc.GenericRpcHandler, ...]:
    return (
        generic_handler(SERVICE, METHODS, door, _UNARY, _STREAMS),
        generic_handler(BATCH_SERVICE, BATCH_METHODS, door, BATCH_CALLS, BATCH_STREAMS),
    )


def _channel_options(options: SidecarOptions) -> list[tuple[str, int]]:
    limit = options.max_message_bytes
    return [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        ("grpc.max_metadata_size", 64 * 1024),
        ("grpc.so_reuseport", 0),
        # A burst of calls waits its turn; by default gRPC cancels what exceeds a thousand.
        ("grpc.server.max_pending_requests", 1_000_000),
        ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
        # Clients that have gone silently are found out; clients may ping as often.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
