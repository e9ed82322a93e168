"""Where a hub is now: the node that holds its keys, which a Cluster or a failover may change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from durabletask.redis.link import Link
from durabletask.redis.server import facts_of
from durabletask.redis.trouble import LinkLostError, trouble

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from durabletask.errors import BackendUnavailableError
    from durabletask.redis.address import Address, Node
    from durabletask.redis.options import RedisOptions
    from durabletask.redis.server import ServerFacts

__all__ = ["Home"]

_log = logging.getLogger("durabletask.redis")


class Home:
    """Makes connections to the node that holds the hub.

    All keys of a hub lie in one slot, so one node has them all. A node that has not (or no more)
    says which has, when it is asked for one of them; that is remembered here for everybody.

    Attributes:
        facts: what the node said about itself when it was last connected to.
    """

    def __init__(self, address: Address, prefix: str, options: RedisOptions) -> None:
        self.address = address
        self.prefix = prefix
        self.facts: ServerFacts | None = None
        self._timeout = options.timeout
        self._connect_timeout = options.connect_timeout
        self._node: Node | None = None
        self._peers: list[Node] = []

    @property
    def place(self) -> str:
        """The node for people."""
        node = self._node
        return (
            self.address.text if node is None else f"{self.address.text} (node {node[0]}:{node[1]})"
        )

    @property
    def has_sharded_channels(self) -> bool:
        """Whether a message need not go to all nodes of the Cluster: from Redis 7 on."""
        facts = self.facts
        return facts is not None and facts.mode == "cluster" and facts.number >= (7, 0)

    def connection(self) -> AbstractConnection:
        """A connection, not yet made, to where the hub was last."""
        return self.address.connection(self._node)

    def settings(self) -> dict[str, Any]:
        """Arguments of such a connection."""
        return self.address.settings_for(self._node)

    def moved(self, host: str, port: int) -> None:
        """Another node has the hub. An empty host is that of the node which said so."""
        node = (host or (self._node[0] if self._node else ""), port)
        if node != self._node:
            _log.info("the hub %s is at %s:%d now", self.prefix, *node)
        self._node = node

    async def connect(self) -> Link:
        """A new link to where the hub should be.

        Raises:
            BackendUnavailableError: no node can be connected to.
        """
        try:
            nodes = await self.address.nodes()
        except (RedisError, OSError) as error:
            raise self._trouble(error) from error
        tried: list[Node | None] = []
        failure: BaseException | None = None
        preferred = [self._node] if self._node is not None and self.address.sentinel is None else []
        for node in (*preferred, *nodes, *self._peers):
            if node in tried:
                continue
            tried.append(node)
            try:
                return await self._connect(node)
            except (RedisError, OSError, LinkLostError) as error:
                failure = failure or error
        assert failure is not None
        raise self._trouble(failure) from failure

    async def _connect(self, node: Node | None) -> Link:
        connection = self.address.connection(node)
        try:
            # Greetings have answers too, which the connection itself would wait for without end.
            async with asyncio.timeout(self._connect_timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
            link = Link(connection, self._timeout)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        try:
            facts = await facts_of(link)
            if facts.mode == "cluster":
                self._peers = await _masters(link)
            elif facts.role == "slave" and self.facts is not None:
                # A former master that came back as a replica: the next look finds the new one.
                raise LinkLostError("it is a replica now", sent=False)
        except BaseException:
            await link.close()
            raise
        self.facts = facts
        self._node = node
        return link

    def _trouble(self, error: BaseException) -> BackendUnavailableError:
        return trouble(error, self.address, self.prefix)


async def _masters(link: Link) -> list[Node]:
    """The nodes of a Cluster that have slots, in case the known one is gone some day."""
    try:
        ranges = await link.call("CLUSTER", "SLOTS")
    except ResponseError:
        return []
    return sorted({(entry[2][0].decode(), entry[2][1]) for entry in ranges if entry[2][0]})
