"""What is done to workers, connections and servers while orchestrations run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
from tests.servers.proxy import FAULTS, Fault, Proxy

from .place import Place
from .processes import WorkerProcess

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer
    from tests.servers.redis import RedisServer

    from .sidecar import SidecarProcess

Trouble = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    pass


@dataclass
class Rig:
    """Everything that trouble can be made for.

    Attributes:
        place: as the workers see it: behind the proxy, if there is one.
        calm: the same hub, as nothing disturbs it.
        options: of the workers' stores.
        server: what the hub is on, if it is ours.
        audit: raises AssertionError if the rows or keys of the hub do not fit together, or if
            something is left of what has ended.
        troubles: what can be done here.
        done: what was done, in order.
    """

    place: Place
    calm: Place
    chance: random.Random
    options: dict[str, float]
    server: Any = None
    proxy: Proxy | None = None
    audit: Callable[[], Awaitable[None]] = _nothing
    troubles: dict[str, Trouble] = field(default_factory=dict)
    crew: list[WorkerProcess] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.troubles = {
            "kill": partial(kill, self),
            "freeze": partial(freeze, self),
            **self.troubles,
        }

    @property
    def deck(self) -> list[str]:
        """The troubles as they are drawn: those of connections, which are soon over, more often."""
        return [name for name in self.troubles for _ in range(3 if name in FAULTS else 1)]

    async def hire(self, workers: int) -> None:
        """Start the crew."""
        self.crew += [await WorkerProcess.start(self.place, **self.options) for _ in range(workers)]

    async def dismiss(self) -> None:
        """End the crew, of which nobody may have died by himself."""
        living = [worker.lives for worker in self.crew]
        for worker in self.crew:
            await worker.kill()
        assert all(living), f"a worker died by itself: see {self.place.log}"

    async def make(self, trouble: str) -> None:
        """Make trouble, and wait until it is made."""
        self.done.append(trouble)
        await self.troubles[trouble]()


# --- workers -----------------------------------------------------------------------------------


async def kill(rig: Rig) -> None:
    """kill -9 of a worker, which another one replaces. Some are killed while they start."""
    victim = rig.chance.randrange(len(rig.crew))
    if rig.chance.random() < 0.7:
        await rig.crew[victim].is_ready()
    await rig.crew[victim].kill()
    rig.crew[victim] = await WorkerProcess.start(rig.place, **rig.options)


async def freeze(rig: Rig) -> None:
    """SIGSTOP beyond the lease, then SIGCONT."""
    victim = rig.crew[rig.chance.randrange(len(rig.crew))]
    victim.freeze()
    await asyncio.sleep(rig.options.get("lease", 15.0) * rig.chance.uniform(1.2, 2.0))
    victim.thaw()


# --- connections -------------------------------------------------------------------------------


def of_proxy(proxy: Proxy, *, but: tuple[Fault, ...] = ()) -> dict[str, Trouble]:
    """Each fault happens to whatever comes next."""

    async def arm(fault: Fault) -> None:
        proxy.arm(fault)

    return {fault: partial(arm, fault) for fault in FAULTS if fault not in but}


# --- PostgreSQL --------------------------------------------------------------------------------


def of_postgres(server: PostgresServer, chance: random.Random) -> dict[str, Trouble]:
    """Connections that the server ends, and the server's own end."""

    async def terminate_backends() -> None:
        try:
            connection = await asyncpg.connect(server.url())
        except (OSError, asyncpg.PostgresError):
            return
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE random() < 0.4 "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        finally:
            await connection.close()

    async def kill_postmaster() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        await asyncio.to_thread(server.start)

    return {
        "terminate backends": terminate_backends,
        # Transactions are rolled back, connections are closed.
        "restart fast": partial(asyncio.to_thread, server.restart, "fast"),
        # As a crash: the server recovers from its log.
        "restart immediate": partial(asyncio.to_thread, server.restart, "immediate"),
        "kill postmaster": kill_postmaster,
    }


# --- Redis -------------------------------------------------------------------------------------


def of_redis(server: RedisServer, chance: random.Random) -> dict[str, Trouble]:
    """Connections that the server ends, and the server's own end."""

    def kill_clients() -> None:
        with server.client() as client:
            for other in client.client_list():
                if chance.random() < 0.4:
                    client.execute_command("CLIENT", "KILL", "ID", other["id"], "SKIPME", "yes")

    async def kill_server() -> None:
        server.kill()
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        await asyncio.to_thread(server.start)

    return {
        "kill clients": partial(asyncio.to_thread, kill_clients),
        "kill server": kill_server,
    }


# --- a sidecar ---------------------------------------------------------------------------------


def of_sidecar(sidecar: SidecarProcess, lease: float, chance: random.Random) -> dict[str, Trouble]:
    """It dies, and it stands still for longer than its lease."""

    async def kill_sidecar() -> None:
        await sidecar.kill()
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        await sidecar.start()

    async def freeze_sidecar() -> None:
        sidecar.freeze()
        await asyncio.sleep(lease * chance.uniform(1.2, 2.0))
        sidecar.thaw()

    return {"kill sidecar": kill_sidecar, "freeze sidecar": freeze_sidecar}
