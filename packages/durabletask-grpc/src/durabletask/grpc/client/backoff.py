"""How long to wait before another attempt."""

from __future__ import annotations

import random

__all__ = ["pause"]

_FIRST = 0.05
_LONGEST = 10.0


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row, with full jitter.

    Jitter, so that the workers of a sidecar that restarts do not come back all at once.
    """
    return random.uniform(0.2, 1.0) * min(_LONGEST, _FIRST * 2.0 ** min(failures, 20))
