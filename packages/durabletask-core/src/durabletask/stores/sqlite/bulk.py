"""Many rows in one statement.

``executemany`` gives up the interpreter lock and takes it again for every row, and beside a busy
event loop each of these takes is slow. One statement with many rows does it once. Rows are cut
into pieces whose lengths are powers of two, so that few different statements are ever prepared
and all of them stay in the statement cache.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["statements", "text"]

T = TypeVar("T")

LONGEST = 256
"""Rows of the longest statement. Its parameters stay far below SQLite's limit of 32,766."""


def pieces(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut ``rows`` into pieces whose lengths are powers of two, longest first."""
    start = 0
    while left := len(rows) - start:
        length = min(LONGEST, 1 << (left.bit_length() - 1))
        yield rows[start : start + length]
        start += length


@lru_cache(maxsize=1024)
def text(head: str, row: str, tail: str, count: int) -> str:
    """A statement for ``count`` rows. Cached, so that its hash is computed once as well."""
    return head + ",".join([row] * count) + tail


def statements(
    head: str, row: str, tail: str, rows: Sequence[Iterable[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """The statements ``head row, row, ... tail`` for all ``rows``, with their parameters."""
    for piece in pieces(rows):
        yield text(head, row, tail, len(piece)), list(chain.from_iterable(piece))
