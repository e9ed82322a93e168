"""Kills workers with kill -9 while orchestrations run: `python -m tests.integration.torture.run`.

This process is the client: it starts instances, raises events and hears of outcomes, all while
workers come and go. At the end it holds what it has heard against the file and the ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from durabletask.client import TaskHubClient

from .processes import WorkerProcess
from .programs import program_of
from .verdict import Outcome, check_all


@dataclass
class Torture:
    """One run of the torture.

    Attributes:
        file: the database file; the ledger and the log of the workers lie beside it.
        instances: how many are started, evenly over ``starting`` seconds.
        seed: of all choices of this process.
        ids, outcomes: by number, what was started and what became of it.
    """

    file: Path
    instances: int = 500
    starting: float = 1.5
    seed: int = 1
    ids: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._client = TaskHubClient(f"sqlite:///{self.file}")

    @property
    def unfinished(self) -> int:
        """How many instances have no outcome yet."""
        return self.instances - len(self.outcomes)

    async def clients(self) -> None:
        """Start all instances and wait for their outcomes."""
        async with self._client, asyncio.TaskGroup() as group:
            for number in range(self.instances):
                group.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        await asyncio.sleep(self.starting * number / self.instances)
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
        """Hold everything against the file and the ledger, as a new client sees it.

        Returns:
            How many activity runs were repetitions.
        """
        async with TaskHubClient(f"sqlite:///{self.file}") as client:
            runs = await check_all(self.file, client, self.outcomes, self.ids)
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
    crew = [await WorkerProcess.start(torture.file, **options) for _ in range(workers)]
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
            crew[victim] = await WorkerProcess.start(torture.file, **options)
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for worker in crew:
            await worker.kill()
    return unfinished


def main() -> None:
    """Torture once, with what the command line says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--backlog", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--file", type=Path, help="a new file; by default a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = given.file or Path(folder, "torture.db")
        print(f"seed {given.seed}, file {file}")
        torture = Torture(file.resolve(), instances=given.instances, seed=given.seed)
        began = time.monotonic()
        unfinished = asyncio.run(
            kill_and_start(torture, given.kills, given.workers, local_backlog=given.backlog)
        )
        took = time.monotonic() - began
        repeated = asyncio.run(torture.check())
    print(f"{given.instances} instances, unfinished at each kill: {unfinished}")
    print(f"all is well after {took:.1f} s; {repeated} activity runs were repetitions")


if __name__ == "__main__":
    main()
