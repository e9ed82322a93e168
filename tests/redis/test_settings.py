"""What a server must be like, and what one hears of one that is not: before anything is written."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from durabletask.errors import (
    BackendUnavailableError,
    BackendUrlError,
    ConfigurationError,
    SchemaVersionError,
)
from durabletask.plugins import connect
from durabletask.redis import RedisBackend, RedisOptions
from durabletask.redis.trouble import acl_rules

from .driving import hello
from .hubs import fresh_hub, keys_of, prefix_of, store_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .cluster import RedisCluster

pytestmark = pytest.mark.asyncio

SECRET = "s3cr3t-w0rd"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server whose settings the tests change."""
    with RedisServer(tmp_path_factory.mktemp("settings")) as server:
        yield server


async def refusal(url: str, **options: Any) -> str:
    """Why a store cannot be opened; it names the place, and no secret."""
    hub = fresh_hub()
    store = store_on(url, hub, **options)
    with pytest.raises(BackendUnavailableError) as caught:
        await store.open()
    text = str(caught.value)
    assert SECRET not in text + repr(caught.value) + repr(store)
    return text


# --- no server, no way in ------------------------------------------------------------------------


async def test_no_server() -> None:
    """Nobody listens: the place, and what to look for."""
    port = free_port()
    text = await refusal(f"redis://user:{SECRET}@127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in text and "see that it runs" in text


async def test_no_socket(tmp_path: Path) -> None:
    """The socket of a unix URL is not there."""
    assert "see that it runs" in await refusal(f"unix://{tmp_path}/redis.sock")


async def test_a_wrong_password(tmp_path: Path) -> None:
    """A wrong one, and none where one is wanted."""
    with RedisServer(tmp_path, requirepass="right") as server:
        for url in (
            f"redis://:{SECRET}@127.0.0.1:{server.port}",
            f"redis://127.0.0.1:{server.port}",
        ):
            assert "password" in await refusal(url)
        await hello(server.url)


async def test_what_is_no_redis() -> None:
    """Something else answers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert "does not speak the Redis protocol" in await refusal(f"redis://127.0.0.1:{port}")


async def test_what_never_answers() -> None:
    """A server that takes the connection and says nothing is given up in time."""

    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        text = await refusal(f"redis://127.0.0.1:{port}", timeout=0.3, connect_timeout=0.3)
        assert str(port) in text
        await left.wait()


# --- the wrong server ----------------------------------------------------------------------------


async def test_an_eviction_policy_that_loses_data(server: RedisServer) -> None:
    """Everything but noeviction is refused, whatever the durability."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            for durability in ("fsync", "relaxed", "none"):
                text = await refusal(server.url, durability=durability)
                assert "allkeys-lru" in text and "set maxmemory-policy noeviction" in text
        finally:
            client.config_set("maxmemory-policy", "noeviction")


async def test_no_append_only_file(tmp_path: Path) -> None:
    """Refused, unless it is said that this is wanted: then the backend is not durable."""
    with RedisServer(tmp_path, appendonly="no") as server:
        for durability in ("fsync", "relaxed"):
            assert "appendonly yes" in await refusal(server.url, durability=durability)
        store = store_on(server.url, fresh_hub(), durability="none")
        assert not store.capabilities.durable
        await hello(server.url, durability="none")


async def test_everysec_is_warned_of(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A warning once at the opening, and none if the user has chosen it."""
    with caplog.at_level(logging.WARNING, logger="durabletask.redis"):
        await hello(server.url, durability="relaxed")
        assert caplog.messages == []
        await hello(server.url, durability="fsync")
    [warning] = caplog.messages
    assert "everysec" in warning and "appendfsync always" in warning


async def test_too_few_replicas(server: RedisServer) -> None:
    """``replicated`` wants the replicas to be there."""
    text = await refusal(server.url, durability="replicated", replicas=2)
    assert "wants 2 replicas and it has 0" in text


async def test_a_replica(server: RedisServer, tmp_path: Path) -> None:
    """A replica takes no writes."""
    with RedisServer(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica:
        assert "read-only replica" in await refusal(replica.url)


async def test_a_sentinel(tmp_path: Path) -> None:
    """A Sentinel is no place for data; the error tells how to write its URL."""
    with RedisServer(tmp_path).start("--sentinel") as sentinel:
        assert "redis+sentinel://" in await refusal(sentinel.url)


async def test_a_database_that_is_not_there(server: RedisServer) -> None:
    """The server has 16."""
    assert "database" in await refusal(f"{server.url}/99")


async def test_a_newer_hub(server: RedisServer) -> None:
    """A hub with keys of a later version is left alone."""
    hub = fresh_hub()
    with server.client() as client:
        client.hset(prefix_of(hub) + "meta", "schema", 99)
        with pytest.raises(SchemaVersionError, match="version 99, from a newer release"):
            await store_on(server.url, hub).open()
        assert client.hgetall(prefix_of(hub) + "meta") == {b"schema": b"99"}
        assert len(keys_of(client, hub)) == 1


# --- URLs and options ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("redis://", "host"),
        ("redis://localhost/orders", "number of a database"),
        ("redis://localhost?durable=yes", "did you mean 'durability'"),
        ("redis://localhost?durability=maybe", "'fsync'"),
        ("redis://localhost?timeout=0", "timeout"),
        ("redis://localhost?spin=2", "from 0 to 1"),
        ("redis://localhost?replicas=none", "whole number"),
        ("redis://localhost?tls_key=key.pem", "tls_certificate"),
        ("redis+sentinel://localhost", "names no service"),
        ("unix://somewhere/redis.sock", "socket"),
    ],
)
async def test_bad_urls(url: str, hint: str) -> None:
    """Refused before anything is connected to, by a URL and by hand."""
    with pytest.raises(BackendUrlError, match=hint):
        connect(url)
    with pytest.raises(BackendUrlError, match=hint):
        RedisBackend(url)


async def test_bad_options() -> None:
    """Options of one's own are checked like those of a URL."""
    for fields in ({"task_hub": "{x}"}, {"task_hub": " "}, {"durability": "maybe"}):
        with pytest.raises(ConfigurationError):
            RedisOptions(**fields)
    shown = repr(RedisOptions(sentinel_password=SECRET))
    assert SECRET not in shown


# --- ways in -------------------------------------------------------------------------------------


async def test_by_scheme(server: RedisServer) -> None:
    """A URL is enough: the backend is found by its scheme."""
    backend = connect(f"{server.url}?task_hub={fresh_hub()}&durability=relaxed")
    async with backend:
        assert backend.capabilities.name == "redis"


async def test_a_client_of_ones_own(server: RedisServer) -> None:
    """The backend connects as the client does, and leaves the client alone."""
    import redis.asyncio

    async with redis.asyncio.Redis(port=server.port, decode_responses=True) as client:
        await client.set("mine", "1")
        await hello(client, durability="relaxed")
        assert await client.get("mine") == "1"


async def test_a_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    """unix:// speaks to a server through its socket."""
    folder = tmp_path_factory.mktemp("s")
    with RedisServer(folder, unixsocket=folder / "r.sock"):
        await hello(f"unix://{folder}/r.sock", durability="relaxed")


async def test_a_cluster_by_any_node(cluster: RedisCluster) -> None:
    """The hub is found wherever it is, from any node."""
    for node in cluster.nodes:
        await hello(node.url, durability="relaxed")


# --- rights and secrets --------------------------------------------------------------------------


async def test_a_user_of_one_hub(server: RedisServer) -> None:
    """The documented ACL rules are enough for a hub, and of no use for another."""
    hub = fresh_hub()
    with server.client() as client:
        rules = acl_rules(prefix_of(hub)).split()
        client.execute_command("ACL", "SETUSER", "worker", "on", f">{SECRET}", *rules)
        try:
            url = f"redis://worker:{SECRET}@127.0.0.1:{server.port}"
            await hello(url, task_hub_name=hub, durability="relaxed")
            assert "~dt:{test-" in await refusal(url)
        finally:
            client.execute_command("ACL", "DELUSER", "worker")


async def test_a_user_who_may_not_ask(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """CONFIG and INFO may be forbidden: that is tolerated, and said."""
    hub = fresh_hub()
    with server.client() as client:
        rules = acl_rules(prefix_of(hub)).split()
        client.execute_command(
            "ACL", "SETUSER", "blind", "on", f">{SECRET}", *rules, "-config", "-info"
        )
        try:
            with caplog.at_level(logging.WARNING, logger="durabletask.redis"):
                url = f"redis://blind:{SECRET}@127.0.0.1:{server.port}"
                await hello(url, task_hub_name=hub, durability="fsync")
        finally:
            client.execute_command("ACL", "DELUSER", "blind")
    assert len([text for text in caplog.messages if "taken on trust" in text]) == 2


async def test_a_user_who_lacks_a_right(server: RedisServer) -> None:
    """A right that only some scripts need is missed at the opening, not within their writes."""
    hub = fresh_hub()
    with server.client() as client:
        rules = acl_rules(prefix_of(hub)).split()
        client.execute_command("ACL", "SETUSER", "halfway", "on", f">{SECRET}", *rules, "-unlink")
        try:
            store = store_on(f"redis://halfway:{SECRET}@127.0.0.1:{server.port}", hub)
            with pytest.raises(BackendUnavailableError, match="ACL rules: resetkeys"):
                await store.open()
        finally:
            client.execute_command("ACL", "DELUSER", "halfway")


async def test_a_user_without_hints(server: RedisServer) -> None:
    """Who may not publish does without hints; what was committed is committed all the same."""
    hub = fresh_hub()
    with server.client() as client:
        rules = [rule for rule in acl_rules(prefix_of(hub)).split() if not rule.startswith("&")]
        client.execute_command("ACL", "SETUSER", "mute", "on", f">{SECRET}", *rules)
        try:
            url = f"redis://mute:{SECRET}@127.0.0.1:{server.port}"
            await hello(url, task_hub_name=hub, durability="relaxed")
        finally:
            client.execute_command("ACL", "DELUSER", "mute")


async def test_tls(server: RedisServer) -> None:
    """rediss:// speaks TLS and trusts only whom it is told to trust."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Proxy(server.port, tls=context) as secure:
        url = f"rediss://127.0.0.1:{secure.port}"
        with authority.cert_pem.tempfile() as file:
            await hello(f"{url}?tls_ca={file}&durability=relaxed")
        assert "tls_ca" in await refusal(url)
    plain = f"rediss://127.0.0.1:{server.port}"
    assert "speaks TLS" in await refusal(plain, connect_timeout=0.3)
