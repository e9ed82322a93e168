"""How compound values are kept in columns: as JSON, for whoever looks into the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.state import ParentInstance
from durabletask.store import CommitResult

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "decode_parent",
    "decode_result",
    "decode_tags",
    "encode",
    "microseconds",
    "names",
    "numbers",
]

decode_parent = msgspec.json.Decoder(ParentInstance).decode
decode_result = msgspec.json.Decoder(CommitResult).decode
decode_tags = msgspec.json.Decoder(dict[str, str]).decode


def encode(value: object) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


def numbers(values: Iterable[int]) -> str:
    """A set of integers as one SQL parameter, to be opened with ``json_each``."""
    return encode(list(values))


def names(values: Iterable[str]) -> str:
    """A set of names as one SQL parameter, to be opened with ``json_each``."""
    return encode(sorted(values))


def microseconds(seconds: float) -> int:
    """A duration in the unit of all columns."""
    return round(seconds * 1_000_000)
