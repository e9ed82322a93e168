"""What is to be reached on two cores, and how to read it from a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing to be reached.

    Attributes:
        arguments: of the run, beside ``--backend``.
        what: the figure, in words.
        reached: takes it from the report, read as JSON.
        bound: the least it may be, or the most if ``is_limit``.
    """

    backend: str
    arguments: tuple[str, ...]
    what: str
    reached: Callable[[Mapping[str, Any]], float]
    bound: float
    is_limit: bool = False

    def is_met(self, reached: float) -> bool:
        """Whether this figure is good enough."""
        return reached <= self.bound if self.is_limit else reached >= self.bound


def _rate(report: Mapping[str, Any]) -> float:
    return float(report["rate"])


def _rate_target(backend: str, bound: float, *arguments: str) -> Target:
    name = " ".join(part for part in arguments if not part.startswith("--"))
    return Target(
        backend=backend,
        arguments=("--workload", *arguments),
        what=f"{name}, per second",
        reached=_rate,
        bound=bound,
    )


def _for_every_store(backend: str, hello: float) -> tuple[Target, ...]:
    return (
        _rate_target(backend, hello, "hello_sequence"),
        _rate_target(backend, 40_000, "fan_out", "--activities", "async"),
        Target(
            backend=backend,
            arguments=("--workload", "long_sequence", "--compare", "200,20000"),
            what="long_sequence, time per step at 20,000 over 200",
            reached=lambda report: float(report["figures"]["long_to_short"]),
            bound=1.10,
            is_limit=True,
        ),
        *(
            Target(
                backend=backend,
                arguments=("--workload", "idle", "--waiting", waiting),
                what=f"idle with 10,000 waiting for {waiting}, percent of a core",
                reached=lambda report: float(report["figures"]["cpu_percent_of_core"]),
                bound=1.0,
                is_limit=True,
            )
            for waiting in ("events", "timers")
        ),
    )


def _in_process(backend: str) -> Target:
    return _rate_target(backend, 15_000, "fan_out", "--activities", "threads")


def _over_commits(backend: str) -> tuple[Target, ...]:
    return (
        Target(
            backend=backend,
            arguments=("--workload", "long_sequence"),
            what="long_sequence, steps over raw commits",
            reached=lambda report: float(report["ratios"]["rate_to_raw"]),
            bound=0.60,
        ),
        Target(
            backend=backend,
            arguments=("--workload", "latency"),
            what="latency, p50 over its limit",
            reached=lambda report: float(report["ratios"]["p50_to_limit"]),
            bound=1.0,
            is_limit=True,
        ),
    )


def _spilled(backend: str) -> Target:
    return _rate_target(backend, 8_000, "spilled")


def _take_over(backend: str) -> Target:
    """Where a dead worker is known before its lease ends."""
    return Target(
        backend=backend,
        arguments=("--workload", "take_over"),
        what="take_over of 1,000 busy instances, seconds",
        reached=lambda report: float(report["figures"]["seconds"]),
        bound=2.0,
        is_limit=True,
    )


TARGETS: tuple[Target, ...] = (
    *_for_every_store("memory://", 12_000),
    _in_process("memory://"),
    _rate_target("memory://", 500_000, "replay"),
    *_for_every_store("sqlite://", 4_000),
    _in_process("sqlite://"),
    *_over_commits("sqlite://"),
    _spilled("sqlite://"),
    _take_over("sqlite://"),
    *_for_every_store("postgresql://", 3_000),
    *_over_commits("postgresql://"),
    _spilled("postgresql://"),
    _take_over("postgresql://"),
    *_for_every_store("redis://", 4_000),
    *_over_commits("redis://"),
    _spilled("redis://"),
)
