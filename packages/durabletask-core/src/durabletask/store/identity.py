"""Identifiers made here: executions and instances."""

from __future__ import annotations

import hashlib
import os
import random

__all__ = ["CHANCE", "new_execution_id", "new_instance_id", "next_execution_id"]

CHANCE = random.Random()
"""The randomness of this process.

Seeded by the system with far more than 128 bits: ids are unique, and need not be secret.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CHANCE.seed)


def new_execution_id(now: int, chance: random.Random) -> str:
    """32 hex digits, unique, growing with ``now`` (microseconds since the epoch).

    Time comes first (as in RFC 9562, version 7) so that the keys of new executions are
    neighbours in the store's indexes. 64 random bits follow 64 bits of time.
    """
    return (now << 64 | chance.getrandbits(64)).to_bytes(16).hex()


def next_execution_id(now: int, cause: str, sequence: int, task_id: int) -> str:
    """The id of the execution that turn ``sequence`` of the execution ``cause`` brings about.

    ``task_id`` is the call that starts a child, or 0 for the successor of ``cause`` itself. As
    ``new_execution_id``, but 64 bits derived from all this take the place of chance: what follows
    from one start is the same whenever the clock is, so a test can repeat it.
    """
    derived = hashlib.blake2b(f"{cause}:{sequence}:{task_id}".encode(), digest_size=8)
    return f"{now:016x}{derived.hexdigest()}"


def new_instance_id(chance: random.Random) -> str:
    """A random id, 32 hex digits."""
    return chance.randbytes(16).hex()
