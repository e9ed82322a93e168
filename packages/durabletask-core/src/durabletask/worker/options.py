"""How much a worker does at a time, and what it does when things go wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Literal

from durabletask.errors import ConfigurationError
from durabletask.worker.versioning import VersioningOptions

__all__ = ["WorkerOptions"]

_Bound = tuple[Any, int, str]
"""Type, least value, and both in words."""

_SOME: _Bound = (int, 1, "a whole number, at least 1")
_ANY: _Bound = (int, 0, "a whole number and not negative")
_TIME: _Bound = (int | float, 0, "a number of seconds and not negative")

_BOUNDS: dict[str, _Bound] = {
    "max_concurrent_orchestrations": _SOME,
    "max_concurrent_activities": _SOME,
    "max_activity_threads": _SOME,
    "max_cached_sessions": _ANY,
    "unregistered_grace": _TIME,
    "stop_timeout": _TIME,
    "slow_turn": _TIME,
}


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Limits and choices of a worker. Times are in seconds.

    Attributes:
        max_concurrent_orchestrations: turns that are run or committed at one time.
        max_concurrent_activities: activities that run at one time; async ones share the event
            loop, plain functions wait for a thread.
        max_activity_threads: threads for plain-function activities.
        max_cached_sessions: orchestrations kept in memory between turns. One that is not kept is
            replayed from its history at its next turn. With more than that active at a time, most
            stay in memory all the same, and the others are replayed at every turn.
        unregistered_grace: work whose name no worker knows fails after so long.
        nondeterminism: ``"park"`` sets an instance aside whose code does not match its history,
            until other code or an operator comes; ``"fail"`` fails it for good.
        stop_timeout: how long ``stop`` waits for running work.
        slow_turn: a turn that blocks the event loop for longer is logged as a warning.
        versioning: which versions of orchestrations are taken, and which their children get.

    Raises:
        ConfigurationError: a value is out of range or of the wrong type.
    """

    max_concurrent_orchestrations: int = 1000
    max_concurrent_activities: int = 1000
    max_activity_threads: int = field(default_factory=lambda: min(32, (os.cpu_count() or 1) + 4))
    max_cached_sessions: int = 25_000
    unregistered_grace: float = 60.0
    nondeterminism: Literal["park", "fail"] = "park"
    stop_timeout: float = 30.0
    slow_turn: float = 0.1
    versioning: VersioningOptions = field(default_factory=VersioningOptions)

    def __post_init__(self) -> None:
        for name, (kind, least, wanted) in _BOUNDS.items():
            value = getattr(self, name)
            # Said this way round, NaN is refused too.
            if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
                raise ConfigurationError(f"{name} must be {wanted}, not {value!r}")
        if self.nondeterminism not in ("park", "fail"):
            raise ConfigurationError(
                f"nondeterminism must be 'park' or 'fail', not {self.nondeterminism!r}"
            )
        if not isinstance(self.versioning, VersioningOptions):
            raise ConfigurationError(
                f"versioning must be a VersioningOptions object, not {self.versioning!r}"
            )
