"""Identifiers made here: executions and instances."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["new_execution_id", "new_instance_id"]


def new_execution_id(now: int, chance: Callable[[int], bytes] = os.urandom) -> str:
    """32 hex digits, unique, growing with ``now`` (microseconds since the epoch).

    Time comes first (as in RFC 9562, version 7) so that the keys of new executions are
    neighbours in the store's indexes. 64 random bits follow 64 bits of time.
    """
    return f"{now:016x}{chance(8).hex()}"


def new_instance_id(chance: Callable[[int], bytes] = os.urandom) -> str:
    """A random id, 32 hex digits."""
    return chance(16).hex()
