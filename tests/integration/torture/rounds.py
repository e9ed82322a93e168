"""One round of the torture: a new hub, a load, trouble, the verdict on all of it, and a purge."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .audits import settled
from .load import Load
from .purging import purge_all, purge_some
from .rigs import rig_for
from .sidecar import UNPOISONED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .troubles import Rig

PATIENCE = 240.0
"""Seconds after the last trouble in which everybody has to end. Other processes may want the
machine too; work that is lost is lost for good."""


COUNTED = (
    *("instances", "children", "events", "suspensions", "terminations", "queries"),
    *("entities", "activity runs", "repetitions", "purged"),
)
"""What a report counts, in this order."""


@dataclass(frozen=True)
class Plan:
    """What every round is like.

    Attributes:
        backend: URL, or a scheme alone for something new.
        instances: how many are started, children not counted.
        troubles: how many are made; 0 for every kind twice or more often.
        workers: processes that work at a time.
        backlog: activities that a worker keeps to itself.
        kinds: of trouble; all that there are, if it is empty.
        only: name of the only program of which there are instances, if any.
    """

    backend: str
    instances: int = 250
    troubles: int = 0
    workers: int = 3
    backlog: int = 20
    kinds: tuple[str, ...] = ()
    only: str | None = None

    @property
    def options(self) -> dict[str, float]:
        """Of the workers' stores."""
        return {
            "local_backlog": self.backlog,
            "lease": 1.5,
            "probation_delay": 0.5,
            "poison_after": UNPOISONED,
        }


@dataclass(frozen=True)
class Report:
    """What was done in a round, and found.

    Attributes:
        seconds: from its beginning to the end of the verdict.
        troubles: how often each was made.
        counts: of instances, runs, calls.
    """

    seed: int
    seconds: float
    troubles: Counter[str]
    counts: Counter[str]


async def make_trouble(
    load: Load, rig: Rig, rounds: int, workers: int, kinds: Sequence[str] = ()
) -> None:
    """Make trouble so often while the load runs, of some or all kinds; wait until all is done.

    Before each trouble some instances are let in, and the last ones at its end.
    """
    await rig.hire(workers)
    running = asyncio.create_task(load.run())
    try:
        await _first(running, asyncio.create_task(load.is_open.wait()))
        troubles: list[str] = []
        for _ in range(rounds):
            if not troubles:  # every kind comes before any comes again
                troubles = list(kinds or rig.deck)
                rig.chance.shuffle(troubles)
            load.let_in(load.instances // (rounds + 1))
            await asyncio.sleep(rig.chance.uniform(0.0, 0.4))
            await rig.make(troubles.pop())
            if running.done():  # a client has found something already
                break
        load.let_in(load.instances)
        try:
            async with asyncio.timeout(PATIENCE):
                await running
        except TimeoutError:
            waiting = sorted(load.heard.ids[n] for n in load.heard.ids.keys() - load.heard.outcomes)
            raise AssertionError(
                f"{load.unfinished} instances have no outcome {PATIENCE:g} s after the last "
                f"trouble: {waiting[:50]}"
            ) from None
        await settled(rig.audit)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await rig.dismiss()


async def _first(running: asyncio.Task[None], opened: asyncio.Task[object]) -> None:
    """Wait until the load is connected, or has failed to."""
    try:
        await asyncio.wait([running, opened], return_when=asyncio.FIRST_COMPLETED)
    finally:
        opened.cancel()
    if running.done():
        running.result()


async def play(plan: Plan, seed: int, folder: Path) -> Report:
    """Play the round of a seed.

    Args:
        folder: an empty one, for what a violation is looked into with.

    Raises:
        AssertionError, TimeoutError, ExceptionGroup: something is not as it has to be.
    """
    began = time.monotonic()
    chance = random.Random(seed)
    async with rig_for(plan.backend, folder, chance, **plan.options) as rig:
        troubles = plan.troubles or max(16, 2 * len(plan.kinds or rig.deck))
        load = Load(rig.place, plan.instances, starting=None, seed=seed, only=plan.only)
        await make_trouble(load, rig, troubles, plan.workers, plan.kinds)
        await load.check(rig.calm)
        await rig.audit()
        load.heard.counts["purged"] = await purge_some(rig.calm, chance)
        await rig.audit()
        await purge_all(rig.calm)
    load.heard.counts["instances"] = plan.instances
    counts = Counter({name: load.heard.counts[name] for name in COUNTED})
    return Report(seed, time.monotonic() - began, Counter(rig.done), counts)
