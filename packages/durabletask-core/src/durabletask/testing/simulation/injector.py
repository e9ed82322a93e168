"""Makes the faults of a plan happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.testing.simulation.faults import (
    CallFault,
    ClockJump,
    CommitFault,
    Crash,
    HintFault,
    LeaseExpiry,
    Partition,
    Pause,
    Restart,
    Slowness,
    TimedFault,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.testing.simulation.crew import Crew
    from durabletask.testing.simulation.faults import Fault
    from durabletask.testing.simulation.server import Server
    from durabletask.testing.simulation.world import World

__all__ = ["Injector"]


class Injector:
    """Knows how each kind of fault is brought about in one simulation."""

    def __init__(self, world: World, server: Server, crew: Crew) -> None:
        self._world = world
        self._server = server
        self._crew = crew
        self._begin: dict[type, Callable[[Any], None]] = {
            Crash: lambda fault: crew.crash(fault.worker, fault.down),
            Restart: lambda fault: crew.restart(fault.worker, fault.timeout),
            Pause: self._pause,
            LeaseExpiry: lambda _: server.expire_leases(),
            ClockJump: self._jump,
            Partition: self._cut,
            Slowness: self._slow,
            HintFault: self._hints,
        }

    def inject(self, plan: Sequence[Fault]) -> None:
        """Prepare everything that is going to go wrong."""
        for fault in plan:
            if isinstance(fault, CommitFault):
                self._server.commit_faults[fault.number] = fault.kind
            elif isinstance(fault, CallFault):
                self._server.call_faults[fault.number] = fault.kind
            else:
                self._later(fault)

    def _later(self, fault: TimedFault) -> None:
        def begin() -> None:
            self._world.note("fault", f"{fault}")
            self._begin[type(fault)](fault)

        self._world.after(fault.at, begin)

    def _pause(self, fault: Pause) -> None:
        process = self._world.processes[fault.process]
        if process.is_alive:
            process.pauses += 1
            self._world.after(fault.seconds, process.resume)

    def _jump(self, fault: ClockJump) -> None:
        process = self._world.processes[fault.process]
        by = round(fault.by * 1e6)
        process.skew += by

        def back() -> None:
            process.skew -= by

        self._world.after(fault.seconds, back)

    def _cut(self, fault: Partition) -> None:
        partitioned, name = self._server.partitioned, fault.process
        partitioned[name] = partitioned.get(name, 0) + 1

        def mend() -> None:
            partitioned[name] -= 1

        self._world.after(fault.seconds, mend)

    def _slow(self, fault: Slowness) -> None:
        self._server.slowness.append(fault.factor)

        def mend() -> None:
            self._server.slowness.remove(fault.factor)

        self._world.after(fault.seconds, mend)

    def _hints(self, fault: HintFault) -> None:
        self._server.hint_copies = fault.copies

        def mend() -> None:
            self._server.hint_copies = 1

        self._world.after(fault.seconds, mend)
