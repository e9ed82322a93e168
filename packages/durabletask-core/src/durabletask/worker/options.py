"""How much a worker does at a time, and what it does when things go wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from durabletask.errors import ConfigurationError

__all__ = ["WorkerOptions"]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Limits and choices of a worker. Times are in seconds.

    Attributes:
        max_concurrent_orchestrations: turns that are run or committed at one time.
        max_concurrent_activities: activities that run at one time; async ones share the event
            loop, plain functions wait for a thread.
        max_activity_threads: threads for plain-function activities.
        max_cached_sessions: orchestrations kept in memory between turns. One that is not kept is
            replayed from its history at its next turn.
        unregistered_grace: work whose name no worker knows fails after so long.
        nondeterminism: ``"park"`` sets an instance aside whose code does not match its history,
            until other code or an operator comes; ``"fail"`` fails it for good.
        stop_timeout: how long ``stop`` waits for running work.
        slow_turn: a turn that blocks the event loop for longer is logged as a warning.

    Raises:
        ConfigurationError: a value is out of range.
    """

    max_concurrent_orchestrations: int = 1000
    max_concurrent_activities: int = 1000
    max_activity_threads: int = field(default_factory=lambda: min(32, (os.cpu_count() or 1) + 4))
    max_cached_sessions: int = 25_000
    unregistered_grace: float = 60.0
    nondeterminism: Literal["park", "fail"] = "park"
    stop_timeout: float = 30.0
    slow_turn: float = 0.1

    def __post_init__(self) -> None:
        for name in (
            "max_concurrent_orchestrations",
            "max_concurrent_activities",
            "max_activity_threads",
        ):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("max_cached_sessions", "unregistered_grace", "stop_timeout", "slow_turn"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.nondeterminism not in ("park", "fail"):
            raise ConfigurationError(
                f"nondeterminism must be 'park' or 'fail', not {self.nondeterminism!r}"
            )
