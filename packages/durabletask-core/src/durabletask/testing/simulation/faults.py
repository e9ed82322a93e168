"""What goes wrong in a simulation: plain data, made from the seed before it begins.

A plan is a list, so a failing one is made smaller by leaving faults out.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

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
    "Restart",
    "Slowness",
    "TimedFault",
    "end_of",
    "random_faults",
]


class CommitFaultKind(enum.Enum):
    """How a commit goes wrong. The worker hears "unknown" in the first three cases."""

    LOST = "the request is lost"
    LATE = "the request comes late, after its sender has given up on it"
    APPLIED = "the answer is lost"
    REFUSED = "the store says that it cannot now"
    CRASH_BEFORE = "the worker dies before it is sent"
    CRASH_IN = "the worker dies while it is on its way"
    CRASH_AFTER = "the worker dies before it has the answer"


class CallFaultKind(enum.Enum):
    """How another call of the store goes wrong."""

    REFUSED = "the store says that it cannot now"
    ANSWER_LOST = "the answer is lost"
    SLOW = "the answer takes many seconds"


class _Fault(msgspec.Struct, frozen=True, tag=True):
    """Base of all faults. ``at`` and durations are in seconds of true time."""


class Crash(_Fault, frozen=True):
    """A worker process dies, as by kill -9, and another starts in its place."""

    worker: str
    at: float
    down: float


class Restart(_Fault, frozen=True):
    """A worker is stopped in peace, as in a deployment, and another starts in its place."""

    worker: str
    at: float
    timeout: float


class Pause(_Fault, frozen=True):
    """A process stands still and then goes on as if nothing had been (SIGSTOP, a VM that moves)."""

    process: str
    at: float
    seconds: float


class LeaseExpiry(_Fault, frozen=True):
    """The leases of all lanes run out though their owners are alive."""

    at: float


class ClockJump(_Fault, frozen=True):
    """For a while a process is wrong about the time by so much."""

    process: str
    at: float
    by: float
    seconds: float


class Partition(_Fault, frozen=True):
    """For a while a process cannot reach the store."""

    process: str
    at: float
    seconds: float


class Slowness(_Fault, frozen=True):
    """For a while everything that goes to and from the store takes so many times as long."""

    at: float
    seconds: float
    factor: float


class HintFault(_Fault, frozen=True):
    """For a while each hint comes so many times: not at all, or more than once."""

    at: float
    seconds: float
    copies: int


class CommitFault(_Fault, frozen=True):
    """The commit of this number (counted from 1, all processes together) goes wrong."""

    number: int
    kind: CommitFaultKind


class CallFault(_Fault, frozen=True):
    """The call of this number (from 1, all but commits, all processes together) goes wrong."""

    number: int
    kind: CallFaultKind


TimedFault = Crash | Restart | Pause | LeaseExpiry | ClockJump | Partition | Slowness | HintFault
"""A fault that begins at an instant."""

Fault = TimedFault | CommitFault | CallFault
"""Any fault."""


def random_faults(
    chance: random.Random, workers: Sequence[str], client: str, *, span: float = 15.0
) -> list[Fault]:
    """A plan: sometimes nothing goes wrong, sometimes a dozen things do.

    Args:
        chance: decides.
        workers: names of the worker processes, which may die.
        client: name of a process that may be troubled in every other way.
        span: when the last fault begins at the latest, in seconds.
    """
    number = chance.choice((0, 1, 2, 3, 5, 8, 13))
    everyone = [*workers, client]
    makers: list[Callable[[float], Fault]] = [
        lambda at: Crash(chance.choice(workers), at, chance.choice((0.0, 0.5, 5.0))),
        lambda at: Crash(chance.choice(workers), at, chance.choice((0.0, 0.5, 5.0))),
        lambda at: Restart(chance.choice(workers), at, chance.choice((0.0, 0.1, 5.0))),
        lambda at: Pause(chance.choice(everyone), at, chance.choice((0.1, 1.0, 4.0, 12.0))),
        lambda at: Pause(chance.choice(everyone), at, chance.choice((0.1, 1.0, 4.0, 12.0))),
        LeaseExpiry,
        lambda at: ClockJump(
            chance.choice(everyone),
            at,
            chance.choice((-3600.0, -5.0, 0.3, 5.0)),
            chance.random() * 9,
        ),
        lambda at: Partition(chance.choice(everyone), at, chance.choice((0.2, 2.0, 9.0))),
        lambda at: Slowness(at, chance.uniform(0.5, 5.0), chance.choice((10.0, 100.0, 500.0))),
        lambda at: HintFault(at, chance.uniform(1.0, 10.0), chance.choice((0, 0, 2, 3))),
        *[lambda _: CommitFault(_early(chance), chance.choice([*CommitFaultKind]))] * 6,
        *[lambda _: CallFault(_early(chance), chance.choice([*CallFaultKind]))] * 3,
    ]
    return [chance.choice(makers)(round(chance.random() ** 2 * span, 3)) for _ in range(number)]


def end_of(fault: Fault) -> float:
    """When all that comes directly of a fault is over, in seconds; 0 if it has no time."""
    after: float = getattr(fault, "seconds", 0.0) + getattr(fault, "down", 0.0)
    begins: float = getattr(fault, "at", 0.0)
    return begins + after + 1.0 if begins else 0.0


def _early(chance: random.Random) -> int:
    """A number of a call: rather an early one, for there may be few."""
    return 1 + int(chance.random() ** 2 * 120)
