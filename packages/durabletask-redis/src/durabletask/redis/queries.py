"""Queries: by the index that promises the fewest rows, without a look at the rest of the hub.

Most indexes are in the order of pages, so a page is read from where the last one ended and costs
what it holds, plus what the other conditions sort out. The indexes of ids and of completion have
orders of their own; they are used if few match, and then all of those are read and sorted.

Entities have indexes in the order of pages for themselves: a query is for them or for the others,
and what it costs does not depend on how many there are of what it is not for.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from durabletask.redis.rows import BARE, FULL, instance_record
from durabletask.redis.wire import creation
from durabletask.store.query import Wanted, position_of, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from durabletask.redis.line import Line
    from durabletask.state import OrchestrationQuery
    from durabletask.store import InstanceRecord
    from durabletask.store.query import Position

__all__ = ["find", "record_command", "records_of"]

_MEMBERS_AT_ONCE = 500
_SORTED_AT_MOST = 20_000
_DIGITS = 17


def record_command(prefix: str, instance_id: str, *, payloads: bool) -> tuple[str, ...]:
    """The command that reads a row."""
    return ("HMGET", f"{prefix}i:{instance_id}", *(FULL if payloads else BARE))


async def records_of(
    line: Line, prefix: str, instance_ids: Sequence[str], *, payloads: bool
) -> list[InstanceRecord | None]:
    """The rows of instances, None for those that do not exist."""
    if not instance_ids:
        return []
    rows = await line.send(
        [record_command(prefix, name, payloads=payloads) for name in instance_ids]
    )
    return [instance_record(name, row) for name, row in zip(instance_ids, rows, strict=True)]


async def find(
    line: Line, prefix: str, query: OrchestrationQuery
) -> tuple[list[InstanceRecord], str | None]:
    """One page.

    Raises:
        InvalidRequestError: the continuation token is none of ours.
    """
    after = position_of(query.continuation_token)
    search = _Search(line, prefix, Wanted.of(query), after, payloads=query.fetch_payloads)
    page: list[InstanceRecord] = []
    async for record in search.matching(query.page_size + 1):
        page.append(record)
        if len(page) > query.page_size:
            last = page[query.page_size - 1]
            return page[: query.page_size], token_of((last.created_at, last.instance_id))
    return page, None


class _Search:
    """One reading of a page."""

    def __init__(
        self,
        line: Line,
        prefix: str,
        wanted: Wanted,
        after: Position | None,
        *,
        payloads: bool,
    ) -> None:
        self._line = line
        self._prefix = prefix
        self._wanted = wanted
        self._after = after
        self._payloads = payloads

    async def matching(self, page: int) -> AsyncIterator[InstanceRecord]:
        """What fits, in the order of pages."""
        async for members in self._members(max(page, 64)):
            names = [member[_DIGITS:] for member in members]
            for record in await records_of(
                self._line, self._prefix, names, payloads=self._payloads
            ):
                if record is not None and self._wanted.fits(record):
                    yield record

    # --- which index ---------------------------------------------------------------------------

    async def _members(self, page: int) -> AsyncIterator[list[str]]:
        """Candidates in the order of pages, as members of an index."""
        ordered = self._ordered()
        counts = await self._line.send(
            [
                *(("ZCARD", key) for keys in ordered for key in keys),
                ("ZLEXCOUNT", self._key("id"), *self._ids()),
                ("ZCOUNT", self._key("done"), *self._completions()),
            ]
        )
        sizes = iter(counts)
        by_size = [(sum(next(sizes) for _ in keys), keys) for keys in ordered]
        fewest, keys = min(by_size)
        by_id, by_completion = counts[-2:]
        few = min(fewest, _SORTED_AT_MOST)
        if self._wanted.completed != (None, None) and by_completion <= min(few, by_id):
            found = self._read_sorted(("ZRANGEBYSCORE", self._key("done"), *self._completions()))
        elif self._wanted.prefix and by_id < few:
            found = self._read_sorted(("ZRANGEBYLEX", self._key("id"), *self._ids()))
        else:
            found = self._read_ordered(keys, min(page, _MEMBERS_AT_ONCE))
        async for members in found:
            yield members

    def _ordered(self) -> list[list[str]]:
        """The indexes in the order of pages that hold all that fits, each a list of keys."""
        wanted = self._wanted
        tags = (f"tag:{len(name.encode())}:{name}={value}" for name, value in wanted.tags.items())
        names = [*tags, *(["all"] if wanted.name is None else [f"name:{wanted.name}"])]
        indexes = [[name] for name in names]
        if wanted.statuses:
            indexes.append([f"status:{status}" for status in sorted(wanted.statuses)])
        half = "@" if wanted.takes_entities else ""
        return [[self._key(half + index) for index in alternatives] for alternatives in indexes]

    def _key(self, index: str) -> str:
        return f"{self._prefix}x:{index}"

    # --- indexes in another order --------------------------------------------------------------

    def _ids(self) -> tuple[bytes, bytes]:
        prefix = self._wanted.prefix.encode()
        # No UTF-8 has the byte 0xff, so this is behind all that begins so.
        return (b"[" + prefix, b"(" + prefix + b"\xff") if prefix else (b"-", b"+")

    def _completions(self) -> tuple[str, str]:
        start, end = self._wanted.completed
        return (
            "-inf" if start is None else str(start),
            "+inf" if end is None else f"({end}",
        )

    async def _read_sorted(self, command: tuple[Any, ...]) -> AsyncIterator[list[str]]:
        (found,) = await self._line.send([command])
        names = [name.decode() for name in found]
        first, last = self._bounds()
        members: list[str] = []
        for start in range(0, len(names), _MEMBERS_AT_ONCE):
            some = names[start : start + _MEMBERS_AT_ONCE]
            created = await self._line.send(
                [("HGET", f"{self._prefix}i:{name}", "created") for name in some]
            )
            members += [
                instant.decode() + name
                for name, instant in zip(some, created, strict=True)
                if instant is not None
            ]
        # As bytes, like the server: the order of code points is the same.
        keyed = sorted((member.encode(), member) for member in members)
        kept = [
            member
            for key, member in keyed
            if key >= first[1:] and (first[:1] == b"[" or key > first[1:]) and key < last
        ]
        for start in range(0, len(kept), _MEMBERS_AT_ONCE):
            yield kept[start : start + _MEMBERS_AT_ONCE]

    # --- indexes in the order of pages ---------------------------------------------------------

    def _bounds(self) -> tuple[bytes, bytes]:
        """Where to begin, with the sign of the server, and what to stay below."""
        start, end = self._wanted.created
        first = b"[" + (creation(max(start, 0)).encode() if start is not None else b"")
        if self._after is not None:
            position = (creation(self._after[0]) + self._after[1]).encode()
            if position >= first[1:]:
                first = b"(" + position
        return first, creation(max(end, 0)).encode() if end is not None else b"\xff"

    async def _read_ordered(self, keys: list[str], size: int) -> AsyncIterator[list[str]]:
        first, last = self._bounds()
        begins: dict[str, bytes] = dict.fromkeys(keys, first)
        while begins:
            found = await self._line.send(
                [
                    ("ZRANGEBYLEX", key, begin, b"(" + last, "LIMIT", 0, size)
                    for key, begin in begins.items()
                ]
            )
            parts = dict(zip(begins, found, strict=True))
            merged = heapq.merge(*parts.values())
            # Behind the end of a part that was cut off, others may hold what comes before.
            ends = [part[-1] for part in parts.values() if len(part) == size]
            limit: bytes | None = min(ends) if ends else None
            members = [member for member in merged if limit is None or member <= limit]
            if members:
                yield _texts(members)
            if limit is None:
                return
            begins = dict.fromkeys(keys, b"(" + limit)


def _texts(members: Iterable[bytes]) -> list[str]:
    return [member.decode() for member in members]
