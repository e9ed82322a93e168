"""Ids of sub-orchestrations that were given none."""

from __future__ import annotations

import hashlib

__all__ = ["child_id", "stem_of"]

# Longest automatic id in characters. Every store takes it, however deep children nest.
_LONGEST = 100
# What follows the parent's id: a colon, 12 digits, a colon and mostly 4 digits.
_ROOM = _LONGEST - 18


def stem_of(parent_id: str, execution_id: str) -> str:
    """What the automatic ids of one execution's children begin with.

    It differs from one execution of the parent to the next, so that children from before and
    after a continue_as_new never meet. The digits depend on the whole of the parent's id, even if
    that is too long to be repeated in full.
    """
    seed = f"{parent_id}\0{execution_id}".encode("utf-8", "surrogatepass")
    return f"{parent_id[:_ROOM]}:{hashlib.blake2b(seed, digest_size=6).hexdigest()}"


def child_id(stem: str, number: int) -> str:
    """The id of the child that call ``number`` starts."""
    return f"{stem}:{number:04x}"
