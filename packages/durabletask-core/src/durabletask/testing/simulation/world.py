"""Time, chance and processes of one simulation: everything that happens, in one order."""

from __future__ import annotations

import asyncio
import heapq
import random
import sys
from typing import TYPE_CHECKING, Any

from durabletask.engine import to_micros
from durabletask.testing.clock import START_TIME
from durabletask.testing.simulation.loop import SimulatedLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Process", "World"]

_START = to_micros(START_TIME)

_AT_ONE_INSTANT = 100_000
"""Callbacks without time passing, after which something goes round in circles."""

_BURST = 6
"""Callbacks of one process at most before another may have its turn."""


class Process:
    """One simulated process: an event loop, a clock that is a little wrong, and a life.

    Attributes:
        name: by which the trace and the faults know it; a process that is started again in place
            of a dead one has the same.
        rate: how fast its clock runs.
        skew: how far it is from knowing the store's time, in microseconds.
        pauses: it stands still while this is not 0; what should have happened comes after.
        is_alive: until it is killed.
        is_mortal: whether commit faults may kill it.
        doomed: it is to be killed before its next callback.
    """

    def __init__(self, world: World, name: str, chance: random.Random, *, is_mortal: bool) -> None:
        self.name = name
        self.is_mortal = is_mortal
        self.chance = chance
        self.rate = chance.uniform(0.97, 1.03)
        self.skew = 0
        self.pauses = 0
        self.is_alive = True
        self.doomed = False
        # Of the many abstract methods of a loop a simulation needs few: it does no I/O.
        self.loop = SimulatedLoop(self)  # type: ignore[abstract]
        self._world = world
        self._held_up: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Process({self.name!r})"

    def time(self) -> float:
        return (self._world.now - _START) / 1e6 * self.rate

    def wake_at(self, when: float, handle: asyncio.TimerHandle) -> None:
        at = max(self._world.now, _START + -int(-when / self.rate * 1e6 // 1))
        self._world.at(at, lambda: self.loop.timer_due(handle), self)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Begin to run a coroutine in this process."""
        return self.loop.create_task(coroutine, name=name)

    def happens(self, what: Callable[[], None]) -> None:
        """Something reaches the process: now, after its pause, or never."""
        if not self.is_alive:
            return
        if self.pauses:
            self._held_up.append(what)
        else:
            what()

    def resume(self) -> None:
        """One pause is over."""
        self.pauses -= 1
        if not self.pauses:
            held_up, self._held_up = self._held_up, []
            for what in held_up:
                self.happens(what)

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self.is_alive:
            self.is_alive = False
            self._held_up.clear()
            self.loop.destroy()


class World:
    """All of one simulation that is not the software under test.

    One thread runs everything. ``chance`` alone decides, so what happens is a function of the
    seed: which process goes on, and (through latencies) what comes first.

    Args:
        seed: of all chance.

    Attributes:
        now: the true time, which is the store's, in microseconds since the epoch.
        trace: what happened, line by line.
        died: called when a process has to die, to kill it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = _START
        self.trace: list[str] = []
        self.chance = self.stream("world")
        self.processes: dict[str, Process] = {}
        self.died: Callable[[str], None] = lambda _: None
        self._events: list[tuple[int, int, Process | None, Callable[[], None]]] = []
        self._count = 0

    def stream(self, name: str) -> random.Random:
        """Randomness of its own for one purpose, so that purposes do not disturb each other."""
        return random.Random(f"{self.seed}/{name}")

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return (self.now - _START) / 1e6

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{(self.now - _START) / 1e6:12.6f} {who:<9} {what}")

    def at(self, instant: int, what: Callable[[], None], whom: Process | None = None) -> None:
        """Let something happen at an instant, to a process or to nobody in particular."""
        self._count += 1
        heapq.heappush(self._events, (instant, self._count, whom, what))

    def after(self, seconds: float, what: Callable[[], None], whom: Process | None = None) -> None:
        """Let something happen after so long."""
        self.at(self.now + round(seconds * 1e6), what, whom)

    def new_process(self, name: str, *, is_mortal: bool = True) -> Process:
        """A process, in place of a dead one if there was one of this name."""
        self._count += 1
        process = Process(self, name, self.stream(f"{name}/{self._count}"), is_mortal=is_mortal)
        self.processes[name] = process
        return process

    def run(self, done: Callable[[], bool], limit: float) -> bool:
        """Let things happen until ``done()``; False if it is not after ``limit`` seconds more.

        Raises:
            RuntimeError: callbacks follow each other for ever while no time passes.
        """
        around = asyncio._get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        # What is left of a killed process may be collected at any time, and must not wake up.
        sys.set_asyncgen_hooks(firstiter=None, finalizer=lambda _: None)
        asyncio._set_running_loop(None)
        try:
            return self._run(done, self.now + round(limit * 1e6))
        finally:
            asyncio._set_running_loop(around)
            sys.set_asyncgen_hooks(*hooks)

    def _run(self, done: Callable[[], bool], until: int) -> bool:
        idle = 0
        while not done():
            runnable = [
                process
                for process in self.processes.values()
                if process.loop.ready and not process.pauses
            ]
            if runnable:
                idle += 1
                if idle > _AT_ONE_INSTANT:
                    raise RuntimeError(f"no time passes any more at {self.elapsed:.6f} s")
                process = self.chance.choice(runnable) if len(runnable) > 1 else runnable[0]
                self._run_process(process, self.chance.randint(1, _BURST))
                continue
            if not self._events or self._events[0][0] > until:
                self.now = until
                return False
            instant, _, whom, what = heapq.heappop(self._events)
            if instant > self.now:
                self.now, idle = instant, 0
            if whom is None:
                what()
            else:
                whom.happens(what)
        return True

    def _run_process(self, process: Process, callbacks: int) -> None:
        loop = process.loop
        while callbacks and loop.ready and not process.pauses:
            loop.run_one()
            callbacks -= 1
            if process.doomed:
                self.died(process.name)
                return
