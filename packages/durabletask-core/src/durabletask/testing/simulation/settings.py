"""How a simulated system is set up: differently for every seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from durabletask.store import StoreOptions
from durabletask.worker import WorkerOptions

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["CLIENT", "Settings", "random_settings"]

CLIENT = "client"
"""The name of the process whose client plays the program."""


class Settings(NamedTuple):
    """One set-up.

    Attributes:
        workers: names of the worker processes.
        embedded: the store is a library in each process (see ``SimulatedStore``).
    """

    workers: Sequence[str]
    embedded: bool
    store: StoreOptions
    worker: WorkerOptions


def random_settings(chance: random.Random) -> Settings:
    """Limits are often very small, because trouble begins where they are reached."""
    return Settings(
        workers=[f"worker-{n + 1}" for n in range(chance.choice((1, 2, 2, 3)))],
        embedded=chance.random() < 0.4,
        store=StoreOptions(
            lease=chance.choice((2.0, 4.0)),
            client_lease=chance.choice((3.0, 3600.0)),
            poll_interval=chance.choice((0.5, 1.0)),
            local_backlog=chance.choice((0, 2, 1000)),
            idle_release=chance.choice((0.5, 3.0, 30.0)),
            probation_delay=0.5,
            poison_after=1000,
        ),
        worker=WorkerOptions(
            max_concurrent_orchestrations=chance.choice((1, 3, 1000)),
            max_concurrent_activities=chance.choice((1, 3, 1000)),
            max_activity_threads=chance.choice((1, 4)),
            max_cached_sessions=chance.choice((0, 2, 1000, 1000)),
        ),
    )
