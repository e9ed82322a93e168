"""Paths into a value, as error texts spell them: ``$.lines[0].price``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["joined", "step"]

_SUFFIX: Final = re.compile(r" - at `\$([^`]*)`")


def step(key: object) -> str:
    """Return the step from a container to what it holds under ``key``."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def joined(text: str) -> str:
    """Return an error text of msgspec with its paths made one.

    An error that comes out of a hook already ends in a path, which starts at the part that the
    hook was given; msgspec appends the path that leads to this part.
    """
    paths = _SUFFIX.findall(text)
    if not paths:
        return text
    return f"{_SUFFIX.sub('', text)} - at `${''.join(reversed(paths))}`"
