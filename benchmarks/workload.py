"""What a workload is: a program to run, what it counts, and what it is compared with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.measure import Meter, Span
from benchmarks.programs import Flavour
from benchmarks.report import RawReport

__all__ = ["Outcome", "Setting", "Waiting", "Workload"]

Waiting = Literal["events", "timers"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How to run a workload.

    Attributes:
        url: of a fresh place.
        n: how large; None takes the workload's own size.
        activities: how activities are run.
        waiting: what idle instances wait for.
        compare: two sizes whose time per step is compared.
    """

    url: str
    n: int
    activities: Flavour = "async"
    waiting: Waiting = "events"
    compare: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run of a workload found; its results were right.

    Attributes:
        items: what the rate and the CPU time are of; 0 if the workload has no rate.
        span: the measured stretch.
        latencies: milliseconds of each item.
        figures: anything else, with the unit in the name.
    """

    items: int
    span: Span
    latencies: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Items per second of wall time."""
        return self.items / self.span.wall if self.items else None


def _no_ratios(outcome: Outcome, raw: RawReport) -> dict[str, float]:
    return {}


def _no_variant(setting: Setting) -> dict[str, str | int]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One of the things that can be measured.

    Attributes:
        unit: of the rate.
        run: does the work, warmed up, and verifies it; raises WrongResultError.
        ratios: figures relative to the bare store.
        variant: which settings beside the size mattered.
        is_shared: it takes a second worker process, so the backend has to serve several.
    """

    name: str
    default_n: int
    unit: str
    run: Callable[[Setting, Meter], Awaitable[Outcome]]
    ratios: Callable[[Outcome, RawReport], dict[str, float]] = _no_ratios
    variant: Callable[[Setting], dict[str, str | int]] = _no_variant
    is_shared: bool = False
