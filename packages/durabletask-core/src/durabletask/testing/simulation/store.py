"""The store as a simulated process sees it: beyond a network, and not always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.testing.relay import StoreRelay

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import Capabilities
    from durabletask.store import Batch, CommitResult
    from durabletask.testing.simulation.server import Server
    from durabletask.testing.simulation.world import Process

__all__ = ["SimulatedStore"]


class SimulatedStore(StoreRelay):
    """Passes every call on to the server, which decides when it arrives and what comes back.

    Args:
        server: the store model.
        process: who calls.
        embedded: the store is a library in the process, as SQLite is: no call travels, the time
            is known exactly, and commits can be made at once.
    """

    def __init__(self, server: Server, process: Process, *, embedded: bool) -> None:
        self._server = server
        self._process = process
        self._embedded = embedded

    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        return await self._server.call(self._process, verb, arguments, options)

    @property
    def capabilities(self) -> Capabilities:
        return self._server.capabilities

    def now(self) -> int:
        skew = 0 if self._embedded else self._process.skew
        return self._server.now + skew

    async def open(self) -> None:
        self._server.join(self._process, embedded=self._embedded)

    async def close(self) -> None:
        self._server.leave(self._process)

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._server.subscribe(self._process, wake)

    def commit_now(self, batch: Batch) -> CommitResult | None:
        if not self._embedded:
            return None
        return self._server.commit_now(self._process, batch)
