"""Trouble of all kinds while orchestrations run: `python -m tests.integration.torture.run`.

This process is the client: it starts instances, raises events and hears of outcomes, all while
workers come and go. At the end it holds what it has heard against the store and the ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.postgres import running_server
from tests.servers.proxy import Proxy

from durabletask.client import TaskHubClient

from .place import Place, store_at
from .processes import WorkerProcess
from .programs import program_of
from .troubles import Rig
from .verdict import Outcome, check_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence


@dataclass
class Torture:
    """One run of the torture.

    Attributes:
        place: the hub, and where the ledger and the log of the workers lie.
        instances: how many are started, evenly over ``starting`` seconds.
        only: name of the only program to start instances of.
        seed: of all choices of this process.
        is_open: the client is connected.
        ids, outcomes: by number, what was started and what became of it.
    """

    place: Place
    instances: int = 500
    starting: float = 1.5
    seed: int = 1
    only: str | None = None
    ids: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._client = TaskHubClient(self.place.url)

    @property
    def unfinished(self) -> int:
        """How many instances have no outcome yet."""
        return self.instances - len(self.outcomes)

    async def clients(self) -> None:
        """Start all instances and wait for their outcomes."""
        async with self._client, asyncio.TaskGroup() as group:
            self.is_open.set()
            for place, number in enumerate(self._numbers()):
                group.create_task(self._one(number, self.starting * place / self.instances))

    def _numbers(self) -> Iterator[int]:
        wanted = (
            number
            for number in count()
            if self.only in (None, program_of(number).orchestrator.__name__)
        )
        return islice(wanted, self.instances)

    async def _one(self, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        program = program_of(number)
        instance_id = await self._client.schedule_new_orchestration(
            program.orchestrator,
            input=number,
            instance_id=f"{program.orchestrator.__name__}-{number}",
        )
        self.ids[number] = instance_id
        for name, data in program.events:
            await self._client.raise_event(instance_id, name, data)
        state = await self._client.wait_for_orchestration_completion(instance_id)
        self.outcomes[number] = Outcome.of(state)

    async def check(self) -> int:
        """Hold everything against the store and the ledger, as a new client sees it.

        Returns:
            How many activity runs were repetitions.
        """
        async with TaskHubClient(self.place.url) as client:
            runs = await check_all(self.place, client, self.outcomes, self.ids)
        return runs.total() - len(runs)


async def kill_and_start(
    torture: Torture, kills: int, workers: int = 1, **options: float
) -> list[int]:
    """Kill a random worker at random moments and start another in its place.

    ``options`` are those of the workers' StoreOptions. A small ``local_backlog`` sends activities
    through the shared queue if there are several workers.

    Returns:
        How many instances were unfinished at each kill.
    """
    unfinished: list[int] = []
    crew = [await WorkerProcess.start(torture.place, **options) for _ in range(workers)]
    running = asyncio.create_task(torture.clients())
    try:
        for _ in range(kills):
            victim = torture.chance.randrange(workers)
            # Some are killed while they start and take over, some in full flight.
            if torture.chance.random() < 0.8:
                await crew[victim].is_ready()
            await asyncio.sleep(torture.chance.uniform(0.0, 0.7))
            unfinished.append(torture.unfinished)
            await crew[victim].kill()
            crew[victim] = await WorkerProcess.start(torture.place, **options)
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for worker in crew:
            await worker.kill()
    return unfinished


async def make_trouble(
    torture: Torture, rig: Rig, rounds: int, workers: int, kinds: Sequence[str] = ()
) -> None:
    """Make trouble so often while the clients run, of some or all kinds; wait for the clients."""
    await rig.hire(workers)
    running = asyncio.create_task(torture.clients())
    try:
        await torture.is_open.wait()
        troubles: list[str] = []
        for _ in range(rounds):
            if not troubles:  # every kind comes before any comes again
                troubles = list(kinds or rig.troubles)
                rig.chance.shuffle(troubles)
            await asyncio.sleep(rig.chance.uniform(0.0, 0.4))
            await rig.make(troubles.pop())
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await rig.dismiss()


@asynccontextmanager
async def rig_for(
    url: str, folder: Path, chance: random.Random, **options: float
) -> AsyncIterator[tuple[Rig, Place]]:
    """A rig on the backend of a URL, and the place as a client sees it that nothing disturbs.

    ``sqlite://`` is a new file and ``postgresql://`` a new server behind a proxy; of any other URL
    only the workers are tortured.
    """
    if url == "postgresql://":
        with running_server() as server:
            await store_at(server.url()).migrate()
            async with Proxy(server.port, chance) as proxy:
                through = server.url().replace(str(server.port), str(proxy.port))
                through += "?command_timeout=5"
                rig = Rig(Place(through, folder), chance, options, server, proxy)
                yield rig, Place(server.url(), folder)
        return
    place = Place.in_file(folder / "torture.db") if url == "sqlite://" else Place(url, folder)
    yield Rig(place, chance, options), place


async def torment(given: argparse.Namespace, folder: Path) -> None:
    """Torture once, with what the command line says."""
    options = {"local_backlog": given.backlog, "lease": 1.5, "probation_delay": 0.5}
    chance = random.Random(given.seed)
    async with rig_for(given.backend, folder, chance, **options) as (rig, place):
        starting = given.count * 0.25
        torture = Torture(rig.place, given.instances, starting, given.seed)
        began = time.monotonic()
        await make_trouble(torture, rig, given.count, given.workers)
        took = time.monotonic() - began
        torture.place = place
        repeated = await torture.check()
    print(f"made: {dict(Counter(rig.done))}")
    print(f"all is well after {took:.1f} s; {repeated} activity runs were repetitions")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=torment.__doc__)
    add = parser.add_argument
    add("--backend", default="sqlite://", help="sqlite://, postgresql://, or any other URL")
    add("--instances", type=int, default=500)
    add("--count", type=int, default=40, help="of troubles")
    add("--workers", type=int, default=3)
    add("--backlog", type=int, default=20)
    add("--seed", type=int, default=random.randrange(10**6))
    add("--folder", type=Path, help="an empty one, which is kept; by default a temporary one")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(torment(given, (given.folder or Path(folder)).resolve()))


if __name__ == "__main__":
    main()
