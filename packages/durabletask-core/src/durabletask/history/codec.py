"""Bytes of history: one chunk per turn, one event per inbox message.

The first byte of a chunk names its encoding, so that later encodings (compression, encryption)
can stand beside today's in one history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.errors import BackendUnavailableError
from durabletask.history.events import HistoryEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["decode_chunk", "decode_event", "decode_history", "encode_chunk", "encode_event"]

_PLAIN = b"\x01"

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder says of bytes that are no events, or no longer."""

_encode = msgspec.msgpack.Encoder().encode
_decode_events = msgspec.msgpack.Decoder(list[HistoryEvent]).decode
_decode_event: Callable[[bytes], HistoryEvent] = msgspec.msgpack.Decoder(HistoryEvent).decode


def encode_chunk(events: Sequence[HistoryEvent]) -> bytes:
    """The events of one turn as one chunk."""
    return _PLAIN + _encode(events)


def decode_chunk(chunk: bytes) -> list[HistoryEvent]:
    """The events of one chunk.

    Raises:
        BackendUnavailableError: the bytes are not a chunk this version can read.
    """
    if chunk[:1] != _PLAIN:
        raise BackendUnavailableError(
            f"a history chunk has the unknown encoding {chunk[:1]!r}: it was written by a newer "
            "version of durabletask, or it is damaged"
        )
    try:
        return _decode_events(memoryview(chunk)[1:])
    except _UNREADABLE as error:
        raise BackendUnavailableError(f"a history chunk cannot be decoded: {error}") from error


def decode_history(chunks: Iterable[bytes]) -> list[HistoryEvent]:
    """All events of the chunks, in order."""
    events: list[HistoryEvent] = []
    for chunk in chunks:
        events += decode_chunk(chunk)
    return events


def encode_event(event: HistoryEvent) -> bytes:
    """One event as the body of an inbox message."""
    return _encode(event)


def decode_event(body: bytes) -> HistoryEvent:
    """The event of one inbox message. Raises BackendUnavailableError if it cannot be read."""
    try:
        return _decode_event(body)
    except _UNREADABLE as error:
        raise BackendUnavailableError(f"an inbox message cannot be decoded: {error}") from error
