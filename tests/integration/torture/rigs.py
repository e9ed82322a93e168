"""A rig for each kind of backend: its server, the proxy in front, and what can be done to them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tests.servers.postgres import running_server
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

from .audits import check_database, check_file, check_keys
from .place import Place, store_at
from .sidecar import SidecarProcess
from .troubles import Rig, of_postgres, of_proxy, of_redis, of_sidecar

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from pathlib import Path


class Build(Protocol):
    """Sets up a rig in an empty folder."""

    def __call__(
        self, folder: Path, chance: random.Random, **options: float
    ) -> AbstractAsyncContextManager[Rig]: ...


@asynccontextmanager
async def _on_sqlite(folder: Path, chance: random.Random, **options: float) -> AsyncIterator[Rig]:
    place = Place.in_file(folder / "torture.db")
    audit = partial(asyncio.to_thread, check_file, place.file)
    yield Rig(place, place, chance, options, audit=audit)


@asynccontextmanager
async def _on_postgres(folder: Path, chance: random.Random, **options: float) -> AsyncIterator[Rig]:
    with running_server() as server:
        await store_at(server.url()).migrate()
        async with Proxy(server.port, chance) as proxy:
            through = server.url().replace(str(server.port), str(proxy.port))
            rig = Rig(
                Place(f"{through}?command_timeout=5", folder),
                Place(server.url(), folder),
                chance,
                options,
                server,
                proxy,
                partial(check_database, server),
                {**of_proxy(proxy), **of_postgres(server, chance)},
            )
            try:
                yield rig
            except Exception:
                server.stop("fast")
                shutil.copytree(server.folder, folder / "postgres", ignore=_sockets)
                raise


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".s.PGSQL")]


@asynccontextmanager
async def _on_redis(folder: Path, chance: random.Random, **options: float) -> AsyncIterator[Rig]:
    with RedisServer(folder / "redis", appendfsync="always") as server:
        async with Proxy(server.port, chance) as proxy:
            yield Rig(
                Place(f"redis://127.0.0.1:{proxy.port}?timeout=5&connect_timeout=2", folder),
                Place(server.url, folder),
                chance,
                options,
                server,
                proxy,
                partial(asyncio.to_thread, check_keys, server, "default"),
                {**of_proxy(proxy), **of_redis(server, chance)},
            )


@asynccontextmanager
async def _on_sidecar(folder: Path, chance: random.Random, **options: float) -> AsyncIterator[Rig]:
    behind = Place.in_file(folder / "torture.db")
    async with (
        SidecarProcess(behind, options) as sidecar,
        Proxy(sidecar.port, chance) as proxy,
    ):
        yield Rig(
            Place(f"grpc://127.0.0.1:{proxy.port}", folder),
            Place(f"grpc://127.0.0.1:{sidecar.port}", folder),
            chance,
            options,
            sidecar,
            proxy,
            partial(asyncio.to_thread, check_file, behind.file),
            # A call that comes late counts: nothing in the protocol tells it from a new one.
            {
                **of_proxy(proxy, but=("late",)),
                **of_sidecar(sidecar, options.get("lease", 15.0), chance),
            },
        )


BUILDS: dict[str, Build] = {
    "sqlite://": _on_sqlite,
    "postgresql://": _on_postgres,
    "redis://": _on_redis,
    "grpc://": _on_sidecar,
}
"""What is ours to break: a new file, and servers of our own."""


@asynccontextmanager
async def rig_for(
    url: str, folder: Path, chance: random.Random, **options: float
) -> AsyncIterator[Rig]:
    """A rig on the backend of a URL: something new for each scheme alone, as ``redis://``.

    Of any other URL only the workers are tortured, in a task hub of its own if it names none.
    """
    if url in BUILDS:
        async with BUILDS[url](folder, chance, **options) as rig:
            yield rig
        return
    if "task_hub=" not in url:
        url += f"{'&' if '?' in url else '?'}task_hub={folder.name}"
    place = Place(url, folder)
    yield Rig(place, place, chance, options)
