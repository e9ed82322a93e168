"""The scripts that run in the server: one file per verb, in front of it the parts that it needs."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import NamedTuple, Self

__all__ = ["Script", "script", "source"]

_NEEDS = "-- needs:"


class Script(NamedTuple):
    """A script as the server takes it.

    Attributes:
        text: the whole of it.
        digest: by which the server finds it once it has seen it.
    """

    text: bytes
    digest: bytes

    @classmethod
    def of(cls, text: bytes) -> Self:
        """The script of a text."""
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        return cls(text, digest.encode())


@functools.cache
def script(name: str) -> Script:
    """The script of a verb. Static text: data go into it as arguments only."""
    return Script.of(source(name))


def source(name: str) -> bytes:
    """The text of a script with its parts, whose names its first line lists in their order."""
    folder = files("durabletask.redis") / "lua"
    verb = (folder / f"{name}.lua").read_text(encoding="utf-8")
    first = verb.partition("\n")[0]
    needed = first.removeprefix(_NEEDS).split() if first.startswith(_NEEDS) else []
    parts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in needed]
    return "\n".join([*parts, verb]).encode()
