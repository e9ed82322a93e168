"""Where a hub's server is, and how to make a connection to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from durabletask.errors import BackendUrlError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from durabletask.plugins import BackendUrl
    from durabletask.redis.options import RedisOptions

__all__ = ["SENTINEL_SCHEMES", "Address", "Node", "address_of_client", "address_of_url"]

Node = tuple[str, int]
"""Host and port of a server."""

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")

_PORT = 6379
_SENTINEL_PORT = 26379


@dataclass(frozen=True, repr=False)
class Address:
    """One server, some nodes of a Cluster, or Sentinels that know the server.

    Attributes:
        text: for people; without credentials.
        kind, settings: class and arguments of a connection; these hold credentials.
        seeds: nodes to ask first; none for a socket, whose place is in the settings.
        sentinel, service: who is asked for the node, and for which.
    """

    text: str
    kind: type[AbstractConnection]
    settings: dict[str, Any]
    seeds: tuple[Node, ...] = ()
    sentinel: Sentinel | None = None
    service: str = ""

    def __repr__(self) -> str:
        return f"Address({self.text!r})"

    async def nodes(self) -> list[Node | None]:
        """Where to try, in this order. None is the place in the settings."""
        if self.sentinel is not None:
            host, port = await self.sentinel.discover_master(self.service)
            return [(str(host), int(port))]
        return list(self.seeds) or [None]

    def connection(self, node: Node | None) -> AbstractConnection:
        """A new connection, not yet made."""
        return self.kind(**self.settings_for(node))

    def settings_for(self, node: Node | None) -> dict[str, Any]:
        """Arguments of a connection to a node."""
        place = {} if node is None else {"host": node[0], "port": node[1]}
        return {**self.settings, **place}

    async def close(self) -> None:
        """Close the connections to Sentinels."""
        if self.sentinel is not None:
            for client in self.sentinel.sentinels:
                await client.aclose()


def _behaviour(options: RedisOptions) -> dict[str, Any]:
    """What every connection of the store is like: it waits, and never repeats by itself."""
    return {
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": None,
        "socket_connect_timeout": options.connect_timeout,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "client_name": f"durabletask:{options.task_hub}",
    }


def address_of_client(client: Redis, options: RedisOptions) -> Address:
    """Where a client of the caller's is connected; its own connections are left alone."""
    pool = client.connection_pool
    settings = {**pool.connection_kwargs, **_behaviour(options)}
    host, path = settings.get("host"), settings.get("path")
    place = path or (f"{host}:{settings.get('port', _PORT)}" if host else "a client's server")
    return Address(str(place), pool.connection_class, settings)


def address_of_url(url: BackendUrl, options: RedisOptions) -> Address:
    """The address in a URL.

    Raises:
        BackendUrlError: it does not fit the scheme.
    """
    settings = {**_behaviour(options), **_credentials(url)}
    if url.scheme == "unix":
        if url.authority.rpartition("@")[2] or not url.path.strip("/"):
            raise BackendUrlError(
                "a unix URL names the server's socket after three slashes, as in "
                "unix:///run/redis.sock"
            )
        socket = {key: value for key, value in settings.items() if key != "socket_keepalive"}
        return Address(str(url), UnixDomainSocketConnection, {**socket, "path": url.path})
    settings["socket_keepalive"] = True
    secure = url.scheme.startswith("rediss")
    if secure:
        settings |= _tls(options)
    kind = SSLConnection if secure else Connection
    if url.scheme in SENTINEL_SCHEMES:
        return _watched(url, options, kind, settings)
    settings["db"] = _database(url, url.path.strip("/"))
    return Address(str(url), kind, settings, tuple(_nodes(url, _PORT)))


def _watched(
    url: BackendUrl,
    options: RedisOptions,
    kind: type[AbstractConnection],
    settings: dict[str, Any],
) -> Address:
    service, _, database = url.path.strip("/").partition("/")
    if not service:
        raise BackendUrlError(
            f"{url} names no service: {url.scheme}://host:port,host:port/service, where the "
            "service is what the Sentinels call the server that they watch"
        )
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(_nodes(url, _SENTINEL_PORT)),
        sentinel_kwargs={
            "username": options.sentinel_username,
            "password": options.sentinel_password,
            "socket_timeout": options.connect_timeout,
            "socket_connect_timeout": options.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            **({"ssl": True, **_tls(options)} if url.scheme == "rediss+sentinel" else {}),
        },
    )
    settings["db"] = _database(url, database)
    return Address(str(url), kind, settings, (), sentinel, service)


def _tls(options: RedisOptions) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": options.tls_ca,
        "ssl_certfile": options.tls_certificate,
        "ssl_keyfile": options.tls_key,
    }


def _credentials(url: BackendUrl) -> dict[str, Any]:
    userinfo, at, _ = url.authority.rpartition("@")
    if not at:
        return {}
    # The reader of servers decodes and checks; the host is no part of the question.
    server = replace(url, authority=f"{userinfo}@host").server()
    return {"username": server.username or None, "password": server.password}


def _nodes(url: BackendUrl, port: int) -> list[Node]:
    """The hosts, separated by commas."""
    _, _, hosts = url.authority.rpartition("@")
    servers = [replace(url, authority=host).server() for host in hosts.split(",")]
    return [(server.host, server.port or port) for server in servers]


def _database(url: BackendUrl, text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal():
        raise BackendUrlError(f"{url}: after the host comes the number of a database, as in /0")
    return int(text)
