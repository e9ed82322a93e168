"""A line to the hub: a link that is made anew when it breaks, and the patience to use it."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from durabletask.errors import BackendUnavailableError
from durabletask.redis.scripts import script
from durabletask.redis.trouble import LinkLostError, trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.redis.home import Home
    from durabletask.redis.link import Argument, Link

__all__ = ["Line"]

_log = logging.getLogger("durabletask.redis")

PATIENCE = 5.0
"""Seconds for which a call is tried again: that long may a failover or a move of slots take."""

_FIRST_DELAY = 0.01
_LAST_DELAY = 0.5

_PASSING = (AskError, ClusterDownError, ReadOnlyError, TryAgainError)
"""Answers that mean: not here, or not now, and nothing was done."""


class Line:
    """Runs scripts and commands where the hub is.

    A request is repeated after an answer which says that nothing was done, and after a lost
    connection if the request may be done twice. Nothing is repeated behind the back of a caller
    who would have to know: such a one gets LinkLostError.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect, at the first attempt.

        Raises:
            BackendUnavailableError: that failed.
        """
        await self._connected()

    async def close(self) -> None:
        """Close the link; what waits fails with LinkLostError or BackendUnavailableError."""
        self._closed = True
        if self._link is not None:
            await self._link.close()

    async def run(self, name: str, *arguments: Argument, once: bool = False) -> Any:
        """Run a script on the hub. ``once``: not twice, if the connection breaks meanwhile.

        Raises:
            BackendUnavailableError: the server cannot do it now; nothing was written.
            LinkLostError: only with ``once``: the server may have done it.
        """
        return (await self.run_all([(name, *arguments)], once=once))[0]

    async def run_all(
        self, calls: Sequence[Sequence[Argument]], *extra: Sequence[Argument], once: bool = False
    ) -> list[Any]:
        """As ``run`` for several scripts in one go, each given by its name and arguments.

        They are no transaction: others may run between them. ``extra``: commands to send behind.
        """
        commands: list[Sequence[Argument]] = []
        for name, *arguments in calls:
            digest = script(str(name)).digest
            commands.append((b"EVALSHA", digest, 1, self._home.prefix, *arguments))
        names = {str(call[0]) for call in calls}
        return await self._patiently([*commands, *extra], names, once=once)

    async def send(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands that may be done twice, each with a key of the hub.

        Raises:
            BackendUnavailableError: the server cannot do it now.
        """
        return await self._patiently(commands, set(), once=False)

    # --- patience ------------------------------------------------------------------------------

    async def _patiently(
        self, commands: Sequence[Sequence[Argument]], names: set[str], *, once: bool
    ) -> list[Any]:
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + PATIENCE, _FIRST_DELAY
        while True:
            try:
                link = await self._connected()
                if len(commands) == 1:
                    return [await link.call(*commands[0])]
                return await link.call_all(commands)
            except NoScriptError:
                # Nothing was done. The server has forgotten its scripts, or has never seen them.
                await self._teach(names)
                continue
            except MovedError as moved:
                failure: Exception = moved
                self._home.moved(moved.host, moved.port)
                await self._hang_up()
            except _PASSING as error:
                failure = error
                if isinstance(error, ReadOnlyError):
                    await self._hang_up()
            except ResponseError as error:
                failure = error
                if "READONLY" not in str(error):
                    raise trouble(error, self._home.address, self._home.prefix) from error
                await self._hang_up()
            except LinkLostError as error:
                if self._closed or (once and error.sent):
                    raise
                failure = error
            except BackendUnavailableError as error:
                failure = error
            if self._closed or loop.time() + delay > deadline:
                if isinstance(failure, BackendUnavailableError):
                    raise failure
                raise trouble(failure, self._home.address, self._home.prefix) from failure
            if not isinstance(failure, MovedError):
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LAST_DELAY)

    async def _teach(self, names: set[str]) -> None:
        """Load the scripts into the server that the line is connected to."""
        try:
            link = await self._connected()
            await link.call_all([(b"SCRIPT", b"LOAD", script(name).text) for name in names])
        except LinkLostError:
            return  # the next attempt meets the same server or another, and will see
        except ResponseError as error:
            raise trouble(error, self._home.address, self._home.prefix) from error

    # --- the link ------------------------------------------------------------------------------

    async def _connected(self) -> Link:
        link = self._link
        if link is not None and not link.is_lost:
            return link
        async with self._connecting:
            if self._link is None or self._link.is_lost:
                if self._closed:
                    raise LinkLostError("the store was closed", sent=False)
                self._link = await self._home.connect()
            return self._link

    async def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
