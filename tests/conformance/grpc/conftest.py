"""A sidecar for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from durabletask.grpc import GrpcBackend, GrpcOptions, Sidecar, SidecarOptions, Target
from durabletask.testing.conformance.backend import LEASE, Outage

if TYPE_CHECKING:
    from durabletask.backend import Backend

collect_ignore_glob = [
    f"test_grpc_{name}.py"
    for name in ("postgres", "redis")
    if find_spec(f"durabletask.{name}") is None
]

Opener = Callable[..., Awaitable[GrpcBackend]]
WireOpener = Callable[[int], Awaitable[tuple[Outage, int]]]


@pytest.fixture
def hub_name() -> str:
    """A task hub of the test's own."""
    return f"grpc-{secrets.token_hex(8)}"


@pytest.fixture
def place() -> str:
    """The URL of what the sidecar keeps its instances in."""
    return "memory://"


@pytest_asyncio.fixture
async def sidecar(place: str) -> AsyncIterator[Sidecar]:
    """A sidecar that runs for the test."""
    options = SidecarOptions(linger=LEASE, drain_timeout=5.0)
    async with Sidecar(place, port=0, options=options) as running:
        yield running


@pytest.fixture
def open_grpc(sidecar: Sidecar) -> Opener:
    """Opens backends on the sidecar: of a hub, perhaps through another port."""

    async def opened(task_hub: str, port: int | None = None) -> GrpcBackend:
        target = Target(f"127.0.0.1:{port or sidecar.port}", secure=False)
        backend = GrpcBackend(target, GrpcOptions(task_hub=task_hub))
        await backend.open()
        return backend

    return opened


@pytest.fixture
def open_fragile(
    sidecar: Sidecar, open_grpc: Opener, hub_name: str, open_wire: WireOpener
) -> Callable[[], Awaitable[tuple[Backend, Outage]]]:
    """Opens backends on the sidecar whose wire can be cut."""

    async def opened() -> tuple[Backend, Outage]:
        wire, port = await open_wire(sidecar.port)
        return await open_grpc(hub_name, port), wire

    return opened
