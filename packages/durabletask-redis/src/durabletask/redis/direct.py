"""Commits made on the event loop's own thread, while the server is quick.

To send a commit and to hear of its end through the event loop costs several turns of it, as much
as a server nearby takes to write the commit to its disk. Where nobody has anything else to do, it
is quicker to send it over a plain socket and to wait for the answer in place. The event loop stands
still meanwhile, for less than the turns would have cost; with a server that is far away or busy
that would not be true, and there every commit goes through the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

import redis
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from durabletask.redis.link import packed
from durabletask.redis.scripts import script
from durabletask.redis.trouble import LinkLostError
from durabletask.store import Pace, give_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.connection import AbstractConnection

    from durabletask.redis.home import Home
    from durabletask.redis.link import Argument

__all__ = ["Direct"]

_log = logging.getLogger("durabletask.redis")

LONGEST_SECONDS = 0.25
"""The longest that the event loop may stand still; then the outcome is unknown, and looked up."""

RETRY_SECONDS = 1.0

_PLAIN: dict[type, Callable[..., AbstractConnection]] = {
    Connection: redis.Connection,
    SSLConnection: redis.SSLConnection,
    UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
"""By the class of a connection of the event loop: the same for a thread."""

_NEEDED = frozenset(
    "host port path db username password credential_provider client_name protocol "
    "socket_keepalive socket_connect_timeout ssl_cert_reqs ssl_check_hostname ssl_ca_certs "
    "ssl_certfile ssl_keyfile".split()
)


class Direct:
    """A plain connection to where the hub is, and how quick the server has been lately.

    Args:
        spin: seconds; if the server has lately been quicker, its answers are waited for awake.
    """

    def __init__(self, home: Home, spin: float) -> None:
        self._home = home
        self._spin = spin
        self._kind = _PLAIN.get(home.address.kind)
        self._connection: AbstractConnection | None = None
        self._pace = Pace()
        self._connecting: asyncio.Task[None] | None = None
        self._tried_at = -RETRY_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether a commit in place is possible and wise now."""
        return self._pace.is_quick and self._connection is not None

    def took(self, seconds: float) -> None:
        """A small commit was made. Connects if the server has proved quick."""
        self._pace.took(seconds)
        if (
            self._connection is None
            and self._kind is not None
            and self._pace.is_quick
            and self._connecting is None
            and time.monotonic() - self._tried_at >= RETRY_SECONDS
        ):
            self._tried_at = time.monotonic()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def run(self, name: str, *arguments: Argument) -> Any:
        """Run a script, or give None: then nothing was done.

        Raises:
            LinkLostError: there was no answer; it may have been done.
        """
        connection = self._connection
        if connection is None:
            return None
        began = time.perf_counter()
        answer = self._ask(
            connection, (b"EVALSHA", script(name).digest, 1, self._home.prefix, *arguments)
        )
        self.took(time.perf_counter() - began)
        return answer

    def read(self, *command: Argument) -> Any:
        """Send one command that only reads, or give None."""
        connection = self._connection
        if connection is None or not self.is_ready:
            return None
        try:
            return self._ask(connection, command)
        except LinkLostError:
            return None

    def _ask(self, connection: AbstractConnection, command: tuple[Argument, ...]) -> Any:
        try:
            connection.send_packed_command([packed(command)], check_health=False)  # type: ignore[no-untyped-call]
            if self._pace.seconds < self._spin:
                self._watch(connection)
            return connection.read_response(disable_decoding=True)
        except NoScriptError:
            return None  # the way over the event loop teaches it to the server
        except ResponseError:
            # The hub has moved, the memory is full: that comes up again on the way over the event
            # loop, and is dealt with there.
            self._drop()
            return None
        except (RedisError, OSError) as error:
            self._drop()
            raise LinkLostError(str(error), sent=True) from error

    def _watch(self, connection: AbstractConnection) -> None:
        """Stay awake for the answer, as ``durabletask.store.Vigil`` does on the event loop."""
        until = time.perf_counter() + self._spin
        while not connection.can_read(timeout=0) and time.perf_counter() < until:
            give_way()

    async def close(self) -> None:
        """Close the connection."""
        if self._connecting is not None:
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._drop()
        self._kind = None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]

    async def _connect(self) -> None:
        assert self._kind is not None
        settings = {k: v for k, v in self._home.settings().items() if k in _NEEDED}
        connection = self._kind(
            **settings, socket_timeout=LONGEST_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        try:
            with contextlib.suppress(RedisError, OSError):
                await asyncio.to_thread(connection.connect)
                self._connection = connection
        finally:
            self._connecting = None
