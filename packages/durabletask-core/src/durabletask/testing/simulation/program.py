"""What is run in a simulation: orchestrations, somebody who uses them, and what must come of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from durabletask.errors import UnknownCommitError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from durabletask.client import TaskHubClient
    from durabletask.entities import EntityState
    from durabletask.state import OrchestrationState
    from durabletask.worker import WorkerOptions

__all__ = ["Program", "insist"]


async def insist(call: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """Make a call again until it is known to be carried out. Then it may be so more than once."""
    while True:
        try:
            await call(*arguments)
        except UnknownCommitError:
            continue
        return


class Program(ABC):
    """One program, made anew for every seed.

    Everything in it has to follow from ``chance``: no other randomness, no clock, no threads, no
    I/O, and no set whose order matters. Activities may be async and sleep (by the simulated
    clock), or plain functions. They may run more than once, as in production.

    Attributes:
        orchestrations, activities, entities: what every worker registers.
        workers: names of the worker processes; known before the first of them is started.

    Example::

        class Counting(Program):
            orchestrations = (count,)
            activities = (add,)

            async def play(self, client):
                await client.schedule_new_orchestration(count, input=3, instance_id="c")
                await client.wait_for_orchestration_completion("c")

            def check(self, states):
                if states["c"].result != 3:
                    yield "it has miscounted"
    """

    orchestrations: Sequence[Callable[..., Any]] = ()
    activities: Sequence[Callable[..., Any]] = ()
    entities: Sequence[Callable[..., Any]] = ()
    workers: Sequence[str] = ()

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    @abstractmethod
    async def play(self, client: TaskHubClient) -> None:
        """What a client does that lives to the end, though it may be paused and cut off.

        The simulation ends when this has returned and every instance has finished.
        """

    async def assist(self, client: TaskHubClient) -> None:
        """What a client in every worker process does, from the beginning in each of its lives.

        It dies with the process in the middle of anything.
        """
        return

    def options_of(self, worker: str, chosen: WorkerOptions) -> WorkerOptions:
        """What a worker process of this name is started with; ``chosen`` are the seed's options.

        Override it, and ``orchestrations_of``, if workers are not to be all the same. Whatever
        becomes of the others, each instance must find a worker that can finish it.
        """
        return chosen

    def orchestrations_of(self, worker: str) -> Sequence[Callable[..., Any]]:
        """What a worker process of this name registers. Asked once in each of its lives, so that
        a process may come back with other code."""
        return self.orchestrations

    @abstractmethod
    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        """What is wrong with the final states of all instances, by id; nothing, if all is well."""

    def check_entities(self, states: Mapping[str, EntityState]) -> Iterable[str]:
        """What is wrong with the final states of all entities, by id as text."""
        return ()
