"""Clocks: how long something took, how much CPU it used, and what percentiles say."""

from __future__ import annotations

import cProfile
import gc
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Meter", "Span", "percentile"]


@dataclass
class Span:
    """What one measured stretch took, in seconds. Filled in when the stretch ends.

    Attributes:
        cpu: user and system time of this process, all its threads.
    """

    wall: float = 0.0
    cpu: float = 0.0


class Meter:
    """Measures the stretches that count, and only them.

    Args:
        profile: also profile these stretches on the thread of the event loop, and write the
            result here when the meter is saved. A profile makes everything slower.
    """

    def __init__(self, profile: Path | None = None) -> None:
        self._path = profile
        self._profile = cProfile.Profile() if profile is not None else None

    @contextmanager
    def span(self) -> Iterator[Span]:
        """Measure the body of the ``with``."""
        # What was made before is not to be collected at the cost of what is measured.
        gc.collect()
        span = Span()
        wall, cpu = time.perf_counter(), time.process_time()
        if self._profile is not None:
            self._profile.enable()
        try:
            yield span
        finally:
            if self._profile is not None:
                self._profile.disable()
            span.cpu = time.process_time() - cpu
            span.wall = time.perf_counter() - wall

    def save(self) -> None:
        """Write the profile, if one was asked for."""
        if self._profile is not None and self._path is not None:
            self._profile.dump_stats(self._path)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of ``values`` that at least ``share`` (0 to 1) of them do not exceed.

    Raises:
        ValueError: there are no values, or the share is out of range.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
