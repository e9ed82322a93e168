"""Histories in pieces that fit into messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.grpc.convert import add_events
from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from durabletask.history import HistoryEvent

__all__ = ["history_chunks"]

_EVENTS = 256
_BYTES = 256 * 1024
"""Of one chunk, unless a single event is larger; receivers take 4 MiB by default."""


def history_chunks(events: Sequence[HistoryEvent]) -> Iterator[pb.HistoryChunk]:
    """The events in order, in as many chunks as it takes."""
    clock = 0
    for start in range(0, len(events), _EVENTS):
        chunk = pb.HistoryChunk()
        clock = add_events(chunk.events, events[start : start + _EVENTS], clock)
        yield from _pieces(chunk)


def _pieces(chunk: pb.HistoryChunk) -> Iterator[pb.HistoryChunk]:
    """Halves of halves, until each is small enough or a single event."""
    if len(chunk.events) <= 1 or chunk.ByteSize() <= _BYTES:
        yield chunk
        return
    middle = len(chunk.events) // 2
    yield from _pieces(pb.HistoryChunk(events=chunk.events[:middle]))
    yield from _pieces(pb.HistoryChunk(events=chunk.events[middle:]))
