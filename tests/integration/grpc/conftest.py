"""Peers of a sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from tests.integration.grpc.peer import Connect, Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from durabletask.grpc import Sidecar


@pytest_asyncio.fixture
async def connect(sidecar: Sidecar) -> AsyncIterator[Connect]:
    """Makes peers."""
    peers: list[Peer] = []

    def connected() -> Peer:
        peers.append(Peer(sidecar.port))
        return peers[-1]

    yield connected
    for peer in peers:
        await peer.close()
