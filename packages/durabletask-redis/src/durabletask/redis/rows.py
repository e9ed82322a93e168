"""Answers of the scripts as the values that core takes."""

from __future__ import annotations

from typing import Any

import msgspec

from durabletask.redis.wire import body_of
from durabletask.state import ParentInstance
from durabletask.store import (
    ClaimedActivity,
    ClaimedInstance,
    InboxMessage,
    InstanceRecord,
    LaneStanding,
    Unclaimed,
    Work,
)

__all__ = ["BARE", "FULL", "instance_record", "standing_of", "unclaimed_of", "work_of"]

_unpack_tags = msgspec.msgpack.Decoder(dict[str, str]).decode
_unpack_parent = msgspec.msgpack.Decoder(ParentInstance).decode
_unpack_queued = msgspec.msgpack.Decoder(tuple[str, int]).decode
_unpack_codes = msgspec.msgpack.Decoder(dict[str, str]).decode
_unpack_names = msgspec.msgpack.Decoder(list[str]).decode

BARE = (
    "exec",
    "name",
    "version",
    "status",
    "created",
    "rec",
    "done",
    "failure",
    "tags",
    "pid",
    "parked",
)
"""The fields of a record without payloads, in the order that :func:`instance_record` reads."""

FULL = (*BARE, "input", "output", "custom")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def instance_record(instance_id: str, row: list[Any]) -> InstanceRecord | None:
    """A row asked for by ``BARE`` or ``FULL``; None if there is none."""
    if row[0] is None:
        return None
    payloads = row[len(BARE) :] or (None, None, None)
    created = int(row[4])
    return InstanceRecord(
        instance_id=instance_id,
        execution_id=row[0].decode(),
        name=row[1].decode(),
        version=_text(row[2]),
        status=row[3].decode(),
        created_at=created,
        updated_at=created if row[5] is None else int(row[5]),
        completed_at=None if row[6] is None else int(row[6]),
        failure=row[7],
        tags=None if row[8] is None else _unpack_tags(row[8]),
        parent_instance_id=_text(row[9]),
        parked=_text(row[10]),
        input=_text(payloads[0]),
        output=_text(payloads[1]),
        custom_status=_text(payloads[2]),
    )


def _messages(flat: list[bytes]) -> list[InboxMessage]:
    """Numbers and bodies by turns; in the order of numbers, which is that of delivery."""
    found = [InboxMessage(int(flat[n]), body_of(flat[n + 1])) for n in range(0, len(flat), 2)]
    found.sort(key=lambda message: message.message_id)
    return found


def _instance(entry: list[Any]) -> ClaimedInstance:
    instance_id, row, sequence, messages, queued = entry
    execution = row[0].decode()
    return ClaimedInstance(
        instance_id=instance_id.decode(),
        execution_id=execution,
        name=row[1].decode(),
        version=_text(row[2]),
        status=row[3].decode(),
        input=_text(row[4]),
        tags=None if row[5] is None else _unpack_tags(row[5]),
        parent=None if row[6] is None else _unpack_parent(row[6]),
        start_at=int(row[7]),
        created_at=int(row[8]),
        recorded_at=int(row[9] or 0),
        busy=row[10] is not None,
        carryover=row[11],
        crashes=int(row[12] or 0),
        sequence=sequence,
        messages=_messages(messages),
        queued=frozenset(task for owner, task in map(_unpack_queued, queued) if owner == execution),
    )


def _activity(entry: list[Any]) -> ClaimedActivity:
    number, (claims, crashes, instance_id, execution, task, name, body) = entry
    return ClaimedActivity(
        int(number),
        int(claims),
        int(crashes or 0),
        instance_id.decode(),
        execution.decode(),
        int(task),
        name.decode(),
        body,
    )


def work_of(answer: list[Any]) -> Work:
    """The answer of `poll.lua`."""
    _, now, _, mail, instances, activities, next_due = answer
    return Work(
        now=now,
        inbox={instance_id.decode(): _messages(flat) for instance_id, flat in mail},
        instances=[_instance(entry) for entry in instances],
        activities=[_activity(entry) for entry in activities],
        next_due=None if next_due < 0 else next_due,
    )


def standing_of(now: int, lanes: list[bytes]) -> LaneStanding:
    """What the live lanes know: their orchestrations and their activities by turns."""
    orchestrations: set[str] = set()
    activities: set[str] = set()
    workers = 0
    for n in range(0, len(lanes), 2):
        runs = _unpack_codes(lanes[n]).keys() if lanes[n] else frozenset[str]()
        does = _unpack_names(lanes[n + 1]) if lanes[n + 1] else []
        orchestrations.update(runs)
        activities.update(does)
        workers += bool(runs or does)
    return LaneStanding(now, frozenset(orchestrations), frozenset(activities), workers)


def unclaimed_of(answer: list[Any]) -> list[Unclaimed]:
    """The answer of `unclaimed.lua`."""
    return [
        Unclaimed(kind, flat[n].decode(), flat[n + 1])
        for kind, flat in zip(("orchestration", "activity"), answer, strict=True)
        for n in range(0, len(flat), 2)
    ]
