"""The handle by which a client or worker holds its backend, and shares it with the others."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from durabletask.backend import Backend
from durabletask.errors import ArgumentTypeError, ConfigurationError
from durabletask.plugins.connect import resolve_url
from durabletask.plugins.manager import plugin_manager
from durabletask.plugins.pool import backend_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from durabletask.plugins.pool import Member

__all__ = ["Borrowed", "Lease", "SharedBackend"]


class Lease:
    """A share in an open backend, from :meth:`SharedBackend.acquire` until ``release``."""

    def __init__(self, member: Member) -> None:
        self._member: Member | None = member
        self.backend = member.backend

    async def release(self) -> None:
        """Give the share back. The last one closes the backend and waits for that. Idempotent.

        Raises:
            DurableTaskError: whatever the closing raises.
        """
        member, self._member = self._member, None
        if member is not None and (closing := member.leave()) is not None:
            await asyncio.shield(closing)


class Borrowed:
    """A share for the length of one call, from :meth:`SharedBackend.borrow`."""

    __slots__ = ("_member", "_shared")

    def __init__(self, shared: SharedBackend) -> None:
        self._shared = shared
        self._member: Member | None = None

    async def __aenter__(self) -> Backend:
        self._member = member = await self._shared._enter()
        return member.backend

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        member, self._member = self._member, None
        if member is not None:
            member.leave_later()


class SharedBackend:
    """The backend of a client or worker, one for all that name the same URL in an event loop.

    Making the handle opens nothing, needs no event loop, and there is nothing to close. The same
    handle works in one event loop after another; each opens the backend anew.

    A backend that is not durable (``memory://``) stays open, and keeps its instances, until the
    event loop ends. So does one that is handed over as an object: it is opened if need be, its
    owner may close it, and the end of the loop does.

    Args:
        url: the backend's URL; None takes ``DURABLETASK_URL``, then the default file.
        backend: the backend itself, instead of a URL.
        task_hub_name: the task hub, if the URL names none.

    Raises:
        BackendUrlError: the URL or the task hub's name is malformed, or two hubs are named.
        BackendNotFoundError: no backend for the URL is installed. Whether it has its driver and
            knows the options turns out when it is opened.
        ConfigurationError: the arguments exclude each other.
        ArgumentTypeError: an argument is of the wrong type.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        backend: Backend | None = None,
        task_hub_name: str | None = None,
    ) -> None:
        self._key: Hashable
        self._build: Callable[[], Backend]
        self._is_given = backend is not None
        if backend is None:
            if isinstance(url, Backend):
                raise ArgumentTypeError("pass a Backend object as backend=..., not as the URL")
            parsed = resolve_url(url, task_hub=task_hub_name)
            plugin_manager().require(parsed.backend)
            self._shown = repr(str(parsed))
            self._key = parsed.reveal()
            self._build = functools.partial(plugin_manager().build, parsed)
        else:
            if not isinstance(backend, Backend):
                raise ArgumentTypeError(f"backend= takes a Backend, not {type(backend).__name__}")
            if url is not None or task_hub_name is not None:
                raise ConfigurationError(
                    "a Backend object has its place and its task hub already: give either "
                    "backend=, or a URL and task_hub_name="
                )
            self._shown = repr(backend)
            self._key = id(backend)
            self._build = lambda: backend

    async def acquire(self) -> Lease:
        """Open the backend, unless it is open, and hold it until the lease is released.

        If several acquire at the same time it is opened once.

        Raises:
            BackendNotFoundError, BackendUrlError: see :func:`durabletask.plugins.connect`.
            BackendUnavailableError, SchemaVersionError: see ``Backend.open``. All who waited for
                this opening get the error; the next to acquire tries again.
        """
        return Lease(await self._enter())

    def borrow(self) -> Borrowed:
        """``async with shared.borrow() as backend:`` for one call, by a client nobody closes.

        Raises on entry what ``acquire`` raises.
        """
        return Borrowed(self)

    async def _enter(self) -> Member:
        pool = backend_pool().find()
        if pool is not None and (member := pool.enter_ready(self._key)) is not None:
            return member
        return await (await backend_pool().get()).enter(self._key, self._build, keep=self._is_given)

    def __repr__(self) -> str:
        return f"SharedBackend({self._shown})"
