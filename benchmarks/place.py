"""Where the data of one run live: fresh for each, and gone afterwards."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from durabletask.plugins.url import DEFAULT_TASK_HUB, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["fresh_place"]


@contextmanager
def _no_place(url: str) -> Iterator[str]:
    """Memory ends with the event loop of the run."""
    yield url


@contextmanager
def _new_file(url: str) -> Iterator[str]:
    """A file in a new directory, beside the file that the URL names or in `build`.

    So nothing that exists is opened or deleted, and the disk is the one that was asked for.
    """
    parsed = parse_url(url)
    wanted = Path(
        parsed.local_path() if parsed.path.strip("/") else "build/benchmark.db"
    ).absolute()
    _, question, query = url.partition("?")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=wanted.parent) as directory:
        yield f"sqlite:///{Path(directory, wanted.name)}{question}{query}"


@contextmanager
def _new_hub(url: str) -> Iterator[str]:
    """A task hub of its own on a server, unless the URL names one."""
    if parse_url(url).task_hub != DEFAULT_TASK_HUB:
        yield url
        return
    yield f"{url}{'&' if '?' in url else '?'}task_hub=benchmark-{secrets.token_hex(4)}"


@contextmanager
def _new_postgres_hub(url: str) -> Iterator[str]:
    """A task hub of its own; without a host, on a server of its own too, which syncs its disk."""
    parsed = parse_url(url)
    if parsed.authority or parsed.path.strip("/"):
        with _new_hub(url) as place:
            yield place
        return
    from tests.servers.postgres import running_server

    _, question, query = url.partition("?")
    with running_server(durable=True) as server:
        yield f"{server.url()}{question}{query}"


@contextmanager
def _new_redis_hub(url: str) -> Iterator[str]:
    """A task hub of its own; without a host, on a server of its own too, which syncs its disk."""
    parsed = parse_url(url)
    if parsed.authority:
        with _hub_on_redis(url) as place:
            yield place
        return
    from tests.servers.redis import RedisServer

    _, question, query = url.partition("?")
    Path("build").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir="build") as folder,
        RedisServer(Path(folder).absolute(), appendfsync="always") as server,
    ):
        yield f"{server.url}{question}{query}"


@contextmanager
def _hub_on_redis(url: str) -> Iterator[str]:
    """A task hub whose keys are deleted afterwards, unless the URL names one."""
    from benchmarks.redis_server import client_of, keys_of

    with _new_hub(url) as place:
        yield place
    if place == url:
        return
    with client_of(place) as client:
        for key in keys_of(client, place):
            client.unlink(key)


_PLACES: dict[str, Callable[[str], AbstractContextManager[str]]] = {
    "memory": _no_place,
    "postgresql": _new_postgres_hub,
    "redis": _new_redis_hub,
    "sqlite": _new_file,
}


def fresh_place(url: str) -> AbstractContextManager[str]:
    """A context that gives the URL of an empty place on the backend of ``url``."""
    return _PLACES.get(parse_url(url).backend, _new_hub)(url)
