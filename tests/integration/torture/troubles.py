"""What is done to workers, connections and servers while orchestrations run."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import asyncpg
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import FAULTS, Fault, Proxy

from .place import Place
from .processes import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass
class Rig:
    """Everything that trouble can be made for.

    Attributes:
        place: as the workers see it: behind the proxy, if there is one.
        options: of the workers' stores.
        done: what was done, in order.
    """

    place: Place
    chance: random.Random
    options: dict[str, float]
    server: PostgresServer | None = None
    proxy: Proxy | None = None
    crew: list[WorkerProcess] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    async def hire(self, workers: int) -> None:
        """Start the crew."""
        self.crew += [await WorkerProcess.start(self.place, **self.options) for _ in range(workers)]

    async def dismiss(self) -> None:
        """End the crew, of which nobody may have died by himself."""
        living = [worker.lives for worker in self.crew]
        for worker in self.crew:
            await worker.kill()
        assert all(living), f"a worker died by itself: see {self.place.log}"

    @property
    def troubles(self) -> list[str]:
        """What can be done here."""
        known = ["kill", "freeze"]
        known += FAULTS if self.proxy is not None else []
        known += SERVER if self.server is not None else []
        return known

    async def make(self, trouble: str) -> None:
        """Make trouble, and wait until it is made."""
        self.done.append(trouble)
        if trouble in FAULTS and self.proxy is not None:
            self.proxy.arm(cast("Fault", trouble))
        elif trouble in SERVER and self.server is not None:
            await SERVER[trouble](self.server, self.chance)
        else:
            await WORKERS[trouble](self)


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


async def terminate_backends(server: PostgresServer, chance: random.Random) -> None:
    """The server ends some connections."""
    try:
        connection = await asyncpg.connect(server.url())
    except (OSError, asyncpg.PostgresError):
        return
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < 0.4"
        )
    finally:
        await connection.close()


async def restart_fast(server: PostgresServer, chance: random.Random) -> None:
    """Transactions are rolled back, connections are closed."""
    await asyncio.to_thread(server.restart, "fast")


async def restart_immediate(server: PostgresServer, chance: random.Random) -> None:
    """As a crash: the server recovers from its log."""
    await asyncio.to_thread(server.restart, "immediate")


async def kill_postmaster(server: PostgresServer, chance: random.Random) -> None:
    """kill -9 of the postmaster, and a pause before somebody starts it again."""
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(chance.uniform(0.0, 0.5))
    await asyncio.to_thread(server.start)


WORKERS: dict[str, Callable[[Rig], Awaitable[None]]] = {"kill": kill, "freeze": freeze}

SERVER: dict[str, Callable[[PostgresServer, random.Random], Awaitable[None]]] = {
    "terminate backends": terminate_backends,
    "restart fast": restart_fast,
    "restart immediate": restart_immediate,
    "kill postmaster": kill_postmaster,
}
