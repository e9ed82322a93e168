"""One simulation: a program, a seed, a plan of faults, and the verdict."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from durabletask.store.view import state_of_record
from durabletask.testing.simulation.checks import check_evidence, check_outcomes
from durabletask.testing.simulation.crew import Crew
from durabletask.testing.simulation.evidence import Evidence
from durabletask.testing.simulation.faults import Fault, end_of, random_faults
from durabletask.testing.simulation.injector import Injector
from durabletask.testing.simulation.server import Server
from durabletask.testing.simulation.settings import CLIENT, random_settings
from durabletask.testing.simulation.world import World

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from durabletask.testing.simulation.program import Program

__all__ = ["Report", "simulate"]

_PLAYED = 200.0
_FINISHED = 200.0
_QUIET = 5.0
_STOPPED = 60.0
"""Seconds of virtual time within which each part of a simulation has to come to its end."""


class Report(msgspec.Struct, frozen=True):
    """What came of one simulation.

    Attributes:
        seed: of all chance.
        faults: what went wrong on purpose.
        violations: what went wrong besides; none, if all is well.
        trace: what happened, line by line: the same for the same seed and faults.
        seconds: of virtual time.
        turns, runs, calls: turns committed, activities run, calls of the store.
    """

    seed: int
    faults: list[Fault]
    violations: list[str]
    trace: list[str]
    seconds: float
    turns: int
    runs: int
    calls: int


def simulate(
    program: Callable[[random.Random], Program],
    seed: int,
    faults: Sequence[Fault] | None = None,
) -> Report:
    """Run a program once, in this thread and in no time.

    Everything is that of production (client, worker, engine, lanes) but the store, the event
    loops, clocks, threads and chance. The same arguments give the same trace.

    Args:
        program: makes the program from its own randomness; usually the class.
        seed: of all chance.
        faults: what is to go wrong; None takes those that belong to the seed.
    """
    simulation = _Simulation(program, seed, faults)
    with _listening(simulation.evidence.violations):
        return simulation.run()


class _Simulation:
    def __init__(
        self,
        program: Callable[[random.Random], Program],
        seed: int,
        faults: Sequence[Fault] | None,
    ) -> None:
        self.world = World(seed)
        self.evidence = Evidence()
        self._settings = random_settings(self.world.stream("settings"))
        self._program = program(self.world.stream("program"))
        self._program.workers = self._settings.workers
        if faults is None:
            faults = random_faults(self.world.stream("faults"), self._settings.workers, CLIENT)
        self._faults = [*faults]
        self._server = Server(self.world, self.evidence)
        self._crew = Crew(self.world, self._server, self._program, self.evidence, self._settings)
        self.world.died = self._died

    def _died(self, name: str) -> None:
        """A commit fault has killed a process; a client lives on in another process of the name."""
        self._crew.crash(name, self.world.chance.choice((0.0, 1.0)))

    def run(self) -> Report:
        """Play, wait until nothing goes on any more, and look at everything."""
        wrong = self.evidence.violations
        try:
            self._play()
        except Exception as error:
            wrong.append(f"the simulation broke: {error!r}")
        for process in self.world.processes.values():
            wrong += [f"{process.name}: {trouble}" for trouble in process.loop.troubles]
            process.kill()
        self._server.close()
        return Report(
            self.world.seed,
            self._faults,
            check_evidence(self.evidence),
            self.world.trace,
            self.world.elapsed,
            self.evidence.turns,
            self.evidence.runs.total(),
            self._server.calls,
        )

    def _play(self) -> None:
        world, crew, wrong = self.world, self._crew, self.evidence.violations
        for name in self._settings.workers:
            crew.start_worker(name)
        crew.start_client(CLIENT)
        Injector(world, self._server, crew).inject(self._faults)
        if not world.run(lambda: crew.finished, _PLAYED):
            wrong.append(f"the client has not played its part after {_PLAYED:g} s")
        if crew.error is not None:
            wrong.append(f"the client's part failed: {crew.error!r}")
        horizon = max((end_of(fault) for fault in self._faults), default=0.0)
        world.run(lambda: world.elapsed > horizon, horizon)
        self._settle()
        world.run(lambda: False, _QUIET)
        # A commit in that time, of an entity that is given up, may have met with the last fault.
        self._settle()
        wrong += self._server.remains()
        if not crew.deaths:
            # What a worker has begun to prepare and nobody waits for when its instance ends can
            # die with the worker.
            unrun = self.evidence.unrun(self._server.rows())
            wrong += [f"{run} was scheduled and never ran" for run in unrun]
        self._judge()
        crew.ending = True
        for name in self._settings.workers:
            crew.stop(name, 5.0)
        if not world.run(lambda: crew.gone, _STOPPED):
            wrong.append(f"a worker has not stopped after {_STOPPED:g} s")

    def _settle(self) -> None:
        """Wait until every worker is up and there is nothing left to do."""
        world, crew, wrong = self.world, self._crew, self.evidence.violations
        if not world.run(lambda: crew.complete and not self._server.unfinished(), _FINISHED):
            wrong.append(f"these do not finish: {self._server.unfinished()}")
        if not wrong:
            world.run(lambda: not self._server.remains(), _FINISHED)

    def _judge(self) -> None:
        rows = self._server.rows()
        wrong = self.evidence.violations
        wrong += check_outcomes(self.evidence, rows)
        states = {key: state_of_record(row) for key, row in rows.items()}
        try:
            wrong += self._program.check(states)
            wrong += self._program.check_entities(self._server.entities())
        except Exception as error:
            wrong.append(f"the program's check failed: {error!r}")


class _Listener(logging.Handler):
    """What the engine logs as an error is one; the warnings are those that the faults deserve."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._violations = violations

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._violations.append(f"logged: {record.getMessage()} {error!r}")


@contextmanager
def _listening(violations: list[str]) -> Iterator[None]:
    logger = logging.getLogger("durabletask")
    level, propagate = logger.level, logger.propagate
    listener = _Listener(violations)
    logger.addHandler(listener)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate
