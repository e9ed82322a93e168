"""Whole systems in one thread: clients, workers and a store, and everything that can go wrong.

Client, worker and engine are those of production. The store is the memory store behind a network;
event loops, clocks, threads and chance are simulated, so that a seed says all that happens. Write a
:class:`Program` of your own and :func:`simulate` it, or run those that are here by
``python -m durabletask.testing.simulation --seeds 0:2000``.
"""

from durabletask.testing.simulation.explore import Summary, explore, shrink
from durabletask.testing.simulation.faults import (
    CallFault,
    CallFaultKind,
    ClockJump,
    CommitFault,
    CommitFaultKind,
    Crash,
    Fault,
    HintFault,
    LeaseExpiry,
    Partition,
    Pause,
    Restart,
    Slowness,
)
from durabletask.testing.simulation.program import Program, insist
from durabletask.testing.simulation.simulate import Report, simulate

__all__ = [
    "CallFault",
    "CallFaultKind",
    "ClockJump",
    "CommitFault",
    "CommitFaultKind",
    "Crash",
    "Fault",
    "HintFault",
    "LeaseExpiry",
    "Partition",
    "Pause",
    "Program",
    "Report",
    "Restart",
    "Slowness",
    "Summary",
    "explore",
    "insist",
    "shrink",
    "simulate",
]
