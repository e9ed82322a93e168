"""The task hubs that a sidecar serves, opened when somebody first names them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from durabletask.errors import BackendUrlError, InvalidRequestError
from durabletask.grpc.sidecar.desk import Desk
from durabletask.plugins import plugin_manager, resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import Backend
    from durabletask.grpc.sidecar.options import SidecarOptions

__all__ = ["DEFAULT_TASK_HUB", "Hubs", "ServedHub", "UnknownHubError", "backend_of_url"]

DEFAULT_TASK_HUB = "default"


class UnknownHubError(InvalidRequestError):
    """This sidecar does not serve a task hub of that name."""


class ServedHub(NamedTuple):
    """An open task hub.

    Attributes:
        backend: where its instances are.
        desk: where its work is handed out.
    """

    backend: Backend
    desk: Desk


def backend_of_url(url: str | None) -> Callable[[str], Backend]:
    """Builds the backend of a task hub in the place that a URL names.

    The URL must not name a task hub itself: callers do.
    """
    parsed = resolve_url(url)
    if parsed.task_hub != DEFAULT_TASK_HUB:
        raise BackendUrlError(
            f"{parsed} names a task hub, but callers of a sidecar choose theirs: leave task_hub= "
            "out, and restrict the served hubs if need be"
        )
    plugin_manager().require(parsed.backend)
    return lambda task_hub: plugin_manager().build(resolve_url(url, task_hub=task_hub))


class Hubs:
    """Opens task hubs by name, each once, and closes all of them.

    Args:
        build: makes the unopened backend of a hub.
    """

    def __init__(self, build: Callable[[str], Backend], options: SidecarOptions) -> None:
        self._build = build
        self._options = options
        self._opening = asyncio.Lock()
        self._hubs: dict[str, ServedHub] = {}

    async def get(self, name: str) -> ServedHub:
        """The hub of this name, opened at the first call.

        Raises:
            UnknownHubError: it is not served here, or cannot be a hub's name.
            BackendUnavailableError: it cannot be opened now.
        """
        hub = self._hubs.get(name)
        if hub is not None:
            return hub
        if self._options.task_hubs and name not in self._options.task_hubs:
            raise UnknownHubError(f"this sidecar serves no task hub {name[:80]!r}")
        async with self._opening:
            hub = self._hubs.get(name)
            if hub is None:
                try:
                    backend = self._build(name)
                except BackendUrlError as error:
                    raise UnknownHubError(str(error)) from None
                await backend.open()
                desk = Desk(self._options, backend.capabilities)
                hub = self._hubs[name] = ServedHub(backend, desk)
        return hub

    async def drain(self) -> None:
        """Hand nothing more out and wait for what is out."""
        await asyncio.gather(*(hub.desk.close() for hub in self._hubs.values()))

    async def close(self) -> None:
        """Close every hub that was opened."""
        while self._hubs:
            _, hub = self._hubs.popitem()
            await hub.backend.close()
