"""A batch as `commit.lua` takes it: one text of MessagePack, arrays by position.

Whatever can be decided here is: which fields of a row are set and which cleared. Lua knows no
difference between an absent value and None, so None is never sent where it would say something.
The server's reader of MessagePack is older than its type for bytes: they go as texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from durabletask.store import FINISHED_STATUSES, CommitResult, lone_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.store import (
        ActivityRow,
        Batch,
        FinishedActivity,
        InstanceUpdate,
        Message,
        NewInstance,
        NextExecution,
        RewoundInstance,
        Turn,
    )

__all__ = [
    "CLEAN",
    "body_of",
    "creation",
    "lone_call",
    "pack_batch",
    "pack_rewound",
    "pack_value",
    "result_of",
]

CLEAN = CommitResult()

pack_value = msgspec.msgpack.Encoder().encode
_unpack_result = msgspec.msgpack.Decoder(tuple[frozenset[int], frozenset[int]]).decode


def creation(instant: int) -> str:
    """An instant of creation in indexes and rows: texts of it sort as instants do."""
    return f"{instant:017d}"


def body_of(stored: bytes) -> bytes:
    """The body of a stored message."""
    length, _, rest = stored.partition(b":")
    return rest[int(length) :] if length else rest


def _stored(execution: str | None, body: bytes) -> bytes:
    """A message as it is stored: length of the execution it is bound to, colon, both."""
    if execution is None:
        return b":" + body
    bound = execution.encode()
    return b"%d:%b%b" % (len(bound), bound, body)


def _raw(data: bytes) -> msgspec.Raw:
    """Bytes as a text of MessagePack."""
    size = len(data)
    if size < 32:
        head = bytes((0xA0 | size,))
    elif size < 0x1_0000:
        head = b"\xda" + size.to_bytes(2, "big")
    else:
        head = b"\xdb" + size.to_bytes(4, "big")
    return msgspec.Raw(head + data)


def result_of(stored: bytes) -> CommitResult:
    """The result of a batch as its lane keeps it."""
    return CommitResult(*_unpack_result(stored)) if stored else CLEAN


def pack_batch(batch: Batch, acknowledged: int, hint: str) -> bytes:
    """Pack a batch.

    Args:
        acknowledged: number of the lane's last batch that was acknowledged, or 0.
        hint: what to tell those who listen once it is applied, if anything.
    """
    lane = batch.lane
    return pack_value(
        (
            str(lane.lane_id),
            str(lane.epoch),
            batch.number,
            hint,
            [_create(new) for new in batch.creates],
            [_turn(turn) for turn in batch.turns],
            [_message(message) for message in batch.messages],
            [_activity(row) for row in batch.activities],
            [_finished(outcome) for outcome in batch.finished],
            [
                (park.instance_id, park.execution_id, park.reason, park.code)
                for park in batch.parked
            ],
            batch.released,
            [(f"{number:016d}", token) for number, token in batch.returned],
            str(acknowledged),
        )
    )


def lone_call(
    batch: Batch, acknowledged: int, hint: str
) -> tuple[str, tuple[bytes | str | int, ...]] | None:
    """The script that does no more than a batch of one turn needs, and its arguments.

    None if there is none for this batch: then it goes to `commit.lua`.
    """
    lone = lone_turn(batch)
    if lone is None or (lone.new is None) != bool(lone.turn.sequence):
        return None
    turn, new = lone.turn, lone.new
    lane = batch.lane
    head = (
        *(lane.lane_id, lane.epoch, acknowledged, batch.number, hint),
        *(turn.instance_id, turn.execution_id, turn.chunk),
    )
    fields: list[Any] = ["rec", turn.recorded_at]
    cleared: list[str] = ["crashes"] if turn.crashes_cleared else []
    status = UNSET if turn.update is None else turn.update.status
    if turn.update is not None:
        _set_columns(turn.update, fields, cleared, bytes)
    if new is not None:
        if "busy" not in cleared:
            fields += ("busy", 1)
        born = status if status is not UNSET else "PENDING"
        row, tags = _columns(new, bytes)
        index = (new.name, creation(new.created_at), born, tags or b"")
        return "begin", (*head, *index, *row, *fields)
    change = (len(cleared), *cleared, *fields)
    if status is UNSET:
        return "append", (*head, turn.sequence, *change)
    if status in FINISHED_STATUSES:
        return "finish", (*head, turn.sequence, turn.recorded_at, status, *change)
    return None


def _message(message: Message) -> tuple[Any, ...]:
    execution = message.execution_id
    return (
        message.instance_id,
        _raw(_stored(execution, message.body)),
        execution if execution is not None else False,
        message.visible_at,
        message.urgent,
        message.unpark,
    )


def pack_rewound(rewound: Sequence[RewoundInstance]) -> bytes:
    """Pack instances as `rewind.lua` takes them."""
    return pack_value([_rewound(new) for new in rewound])


def _rewound(new: RewoundInstance) -> tuple[Any, ...]:
    row = new.row
    fields, tags = _columns(row, _raw)
    if new.custom_status is not None:
        fields += ("custom", new.custom_status)
    if new.recorded_at:
        fields += ("rec", new.recorded_at)
    return (
        row.instance_id,
        new.expected if new.expected is not None else False,
        row.execution_id,
        row.name,
        creation(row.created_at),
        new.status,
        fields,
        tags,
        row.parent.instance_id if row.parent is not None else False,
        [_raw(chunk) for chunk in new.chunks],
        [_message(message) for message in new.messages],
    )


def _columns(new: NewInstance, packed: Callable[[bytes], Any]) -> tuple[list[Any], Any]:
    """The fields of a new row that are not the same for all, and its tags once more.

    Args:
        packed: how bytes are sent.
    """
    fields: list[Any] = ["start", new.start_at]
    tags: Any = False
    if new.version is not None:
        fields += ("version", new.version)
    if new.input is not None:
        fields += ("input", new.input)
    if new.tags is not None:
        tags = packed(pack_value(new.tags))
        fields += ("tags", tags)
    if new.parent is not None:
        fields += ("parent", packed(pack_value(new.parent)), "pid", new.parent.instance_id)
    return fields, tags


def _create(new: NewInstance) -> tuple[Any, ...]:
    fields, tags = _columns(new, _raw)
    return (
        new.instance_id,
        new.execution_id,
        new.name,
        creation(new.created_at),
        fields,
        new.owned,
        list(new.replace),
        new.replace_child_of if new.replace_child_of is not None else False,
        _message(new.refusal) if new.refusal is not None else False,
        new.parent.instance_id if new.parent is not None else False,
        tags,
    )


def _turn(turn: Turn) -> tuple[Any, ...]:
    fields: list[Any] = ["rec", turn.recorded_at]
    cleared: list[str] = []
    status: str | bool = False
    if turn.crashes_cleared:
        cleared.append("crashes")
    update = turn.update
    if update is not None:
        if update.status is not UNSET:
            status = update.status
            fields += ("status", status)
        _set_columns(update, fields, cleared, _raw)
    ends = status in FINISHED_STATUSES
    if ends:
        fields += ("done", turn.recorded_at)
    return (
        turn.instance_id,
        turn.execution_id,
        turn.sequence,
        _raw(turn.chunk),
        turn.consumed,
        [_message(timer) for timer in turn.timers] if turn.timers else (),
        fields,
        status,
        turn.recorded_at if ends else False,
        _next(turn.next) if turn.next is not None else False,
        cleared,
        _raw(_stored(None, turn.to_children)) if turn.to_children is not None else False,
    )


def _set_columns(
    update: InstanceUpdate,
    fields: list[Any],
    cleared: list[str],
    packed: Callable[[bytes], Any],
) -> None:
    """The columns that an update sets and clears; ``packed`` says how bytes are sent."""
    if update.busy is not UNSET:
        if update.busy:
            fields += ("busy", 1)
        elif update.status in FINISHED_STATUSES:
            pass  # the end of an instance clears it
        else:
            cleared.append("busy")
    for name, value in (
        ("output", update.output),
        ("failure", update.failure),
        ("custom", update.custom_status),
    ):
        if value is None:
            cleared.append(name)
        elif value is not UNSET:
            fields += (name, packed(value) if isinstance(value, bytes) else value)


def _next(following: NextExecution) -> tuple[str, list[Any], list[str]]:
    fields: list[Any] = []
    cleared: list[str] = []
    for name, value in (
        ("input", following.input),
        ("version", following.version),
        ("carryover", following.carryover),
    ):
        if value is None:
            cleared.append(name)
        else:
            fields += (name, _raw(value) if isinstance(value, bytes) else value)
    return (following.execution_id, fields, cleared)


def _activity(row: ActivityRow) -> tuple[Any, ...]:
    return (row.instance_id, row.execution_id, row.task_id, row.name, _raw(row.body))


def _finished(outcome: FinishedActivity) -> tuple[Any, ...]:
    return (f"{outcome.activity_id:016d}", outcome.token, _message(outcome.message))
