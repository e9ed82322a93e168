"""Two sidecars for every test of this folder: one on a hub, and one behind another."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from durabletask.grpc import GrpcBackend, Sidecar, SidecarOptions, Target
from durabletask.store.backend import StoreBackend
from durabletask.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def options() -> SidecarOptions:
    """Of the sidecar."""
    return SidecarOptions(linger=0.3, drain_timeout=5.0, poison_after=2)


@pytest_asyncio.fixture(params=["a sidecar", "a sidecar behind another"])
async def sidecar(
    options: SidecarOptions, request: pytest.FixtureRequest
) -> AsyncIterator[Sidecar]:
    """A sidecar on an empty hub."""
    backend = StoreBackend(MemoryStore(f"entities-{secrets.token_hex(8)}"))
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Sidecar(backend, port=0, options=options))
        if request.param != "a sidecar":
            behind = GrpcBackend(Target(f"127.0.0.1:{running.port}", secure=False))
            running = await stack.enter_async_context(Sidecar(behind, port=0, options=options))
        yield running
