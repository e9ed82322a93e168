"""Texts, instants and tags: the small things all messages are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from durabletask.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "optional_text",
    "read_instant",
    "read_tags",
    "read_text",
    "text_value",
    "timestamp",
    "timestamp_of",
]

_SECOND = 1_000_000

_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The first and the last second of the calendar."""


def text_value(text: str | None) -> StringValue | None:
    """A text as a message; None stays absent, and the empty text is not absent."""
    return None if text is None else StringValue(value=text)


def read_text(message: object, field: str) -> str | None:
    """The text of a ``StringValue`` field, or None if it is absent."""
    if not message.HasField(field):  # type: ignore[attr-defined]
        return None
    text: str = getattr(message, field).value
    return text


def optional_text(message: object, field: str) -> str | None:
    """As ``read_text``, but empty is absent too: some SDKs always send the field."""
    return read_text(message, field) or None


def timestamp(micros: int) -> Timestamp:
    """Microseconds since the epoch as a message."""
    seconds, rest = divmod(micros, _SECOND)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def timestamp_of(instant: datetime) -> Timestamp:
    """An aware datetime as a message."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def read_instant(message: Timestamp) -> int:
    """Microseconds since the epoch; what is finer rounds up, so that nothing becomes due early.

    Raises:
        InvalidRequestError: it is not between the years 1 and 9999, as every timestamp has to be.
    """
    seconds, nanos = message.seconds, message.nanos
    if not (_FIRST <= seconds <= _LAST and 0 <= nanos < 1_000_000_000):
        raise InvalidRequestError(
            f"{seconds} s and {nanos} ns after 1970 are no instant between the years 1 and 9999"
        )
    # Rounded up, the end of the calendar would be behind it: some SDKs mean "never" by it.
    return min(seconds * _SECOND + -(-nanos // 1000), _LAST * _SECOND + 999_999)


def read_tags(tags: Mapping[str, str]) -> dict[str, str] | None:
    """Tags as a dict of their own; none are None."""
    return dict(tags) if tags else None
