"""Whether a gauge grows without bound, judged from what it showed after each round."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .gauges import Gauges

__all__ = ["ENOUGH", "grown"]

ENOUGH = 9
"""So many looks are needed to tell growth from warming up."""

_FACTOR = 1.3
_SLACK = {"bytes": 2 << 20, "dead": 10_000, "keys": 10, "rows": 10}
"""By the last word of its name, how much a gauge may gain and still count as flat."""


def grown(looks: Sequence[Gauges]) -> list[str]:
    """The gauges whose median in the last third is well above that in the second, in words.

    The first third does not count: that is where tables get their working size, and caches fill.
    Something that grows with the work gains as much from the second third to the last as it has
    gained by the second; what is merely uneven does not.

    Args:
        looks: after each round, in order; ``ENOUGH`` at least.
    """
    third = len(looks) // 3
    found = []
    for name in looks[-1]:
        before, after = (
            statistics.median(look.get(name, 0) for look in part)
            for part in (looks[third : 2 * third], looks[-third:])
        )
        if after > before * _FACTOR and after - before > _SLACK[name.rpartition(" ")[2]]:
            found.append(f"{name} went from {before:,.0f} to {after:,.0f}")
    return found
