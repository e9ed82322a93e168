"""Texts, instants and tags: the small things all messages are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

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
    """Microseconds since the epoch; what is finer rounds up, so that nothing becomes due early."""
    return message.seconds * _SECOND + -(-message.nanos // 1000)


def read_tags(tags: Mapping[str, str]) -> dict[str, str] | None:
    """Tags as a dict of their own; none are None."""
    return dict(tags) if tags else None
