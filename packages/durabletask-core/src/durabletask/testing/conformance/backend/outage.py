"""Backends that can be cut off from their store, as a broken network or a dead worker would be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from durabletask.backend import Backend
from durabletask.errors import BackendUnavailableError
from durabletask.testing.relay import StoreRelay

if TYPE_CHECKING:
    from durabletask.backend import Capabilities
    from durabletask.store import Store

__all__ = ["LEASE", "FragileFactory", "FragileStore", "Outage"]


class Outage(Protocol):
    """The connection of one backend object to what it keeps its instances in."""

    def begin(self) -> None:
        """From now on nothing reaches the store, and nothing comes back."""

    def end(self) -> None:
        """Everything works again."""


FragileFactory = Callable[[], Awaitable[tuple[Backend, Outage]]]
"""Gives, at every call, another opened Backend of the hub of ``backend_factory``, and its outage.

A worker that is cut off must lose its work to others within :data:`LEASE` seconds or so, and what
it died with is to be set aside after a few such deaths, without long waits in between.
"""

LEASE = 0.4
"""Seconds; the lease that fragile backends are to have."""


class FragileStore(StoreRelay):
    """Passes everything on to another store, except during an outage.

    Then every call fails with BackendUnavailableError before it reaches the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_down = False

    def begin(self) -> None:
        """Cut the connection."""
        self._is_down = True

    def end(self) -> None:
        """Mend the connection."""
        self._is_down = False

    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        if self._is_down:
            raise BackendUnavailableError("the store cannot be reached: the test cut it off")
        return await getattr(self._store, verb)(*arguments, **options)

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    async def open(self) -> None:
        await self._call("open")

    async def close(self) -> None:
        await self._store.close()

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._store.subscribe(wake)

    def now(self) -> int:
        return self._store.now()
