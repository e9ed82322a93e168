"""From the rows of a poll to what the core takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.state import ParentInstance
from durabletask.store import ClaimedActivity, ClaimedInstance, InboxMessage, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

__all__ = ["read_work"]

decode_parent = msgspec.json.Decoder(ParentInstance).decode
decode_tags = msgspec.json.Decoder(dict[str, str]).decode


def read_work(rows: Sequence[Record]) -> Work:
    """The answer of ``poll_v1``."""
    inbox: dict[str, list[InboxMessage]] = {}
    messages: dict[int, list[InboxMessage]] = {}
    claimed: list[Record] = []
    activities: list[ClaimedActivity] = []
    now, next_due = 0, None
    for row in rows:
        kind = row["kind"]
        if kind == "inbox":
            message = InboxMessage(row["id"], row["body"])
            inbox.setdefault(row["instance_id"], []).append(message)
        elif kind == "message":
            message = InboxMessage(row["id"], row["body"])
            messages.setdefault(row["ordinal"], []).append(message)
        elif kind == "instance":
            claimed.append(row)
        elif kind == "activity":
            activities.append(claimed_activity(row))
        else:
            now, next_due = row["id"], row["start_at"]
    return Work(
        now=now,
        inbox=inbox,
        instances=[claimed_instance(row, messages.get(row["ordinal"], [])) for row in claimed],
        activities=activities,
        next_due=next_due,
    )


def claimed_activity(row: Record) -> ClaimedActivity:
    """A claimed activity."""
    return ClaimedActivity(
        row["id"],
        row["token"],
        row["crashes"],
        row["instance_id"],
        row["execution_id"],
        row["task_id"],
        row["name"],
        row["body"],
    )


def claimed_instance(row: Record, messages: list[InboxMessage]) -> ClaimedInstance:
    """A claimed instance with its messages."""
    sequence: int = row["sequence"]
    tags: Any = row["tags"]
    parent: Any = row["parent"]
    return ClaimedInstance(
        instance_id=row["instance_id"],
        execution_id=row["execution_id"],
        name=row["name"],
        version=row["version"],
        status=row["status"],
        input=row["input"],
        tags=None if tags is None else decode_tags(tags),
        parent=None if parent is None else decode_parent(parent),
        start_at=row["start_at"],
        created_at=row["created_at"],
        sequence=sequence,
        recorded_at=row["recorded_at"],
        busy=row["busy"],
        carryover=row["body"] if sequence == 0 else None,
        crashes=row["crashes"],
        messages=messages,
        queued=frozenset(row["queued"] or ()),
    )
