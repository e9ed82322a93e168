"""From a batch to the arguments of the function that applies it: columns, as unnest takes them.

The order of the columns here is that of the parameters in ``migrations/0003_commit.sql``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from durabletask.postgres.faults import lost
from durabletask.store import FINISHED_STATUSES, Batch, lone_turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from durabletask.store import LaneKey, LoneTurn, Message, NewInstance, Turn

__all__ = [
    "LONE_TURNS",
    "SILENT",
    "Encoding",
    "Owned",
    "columns",
    "encode",
    "foreign",
    "kept",
    "start_arguments",
    "waves",
]


class Owned(NamedTuple):
    """What a lane knows of an instance that it owns."""

    ordinal: int
    execution_id: str


class Encoding(NamedTuple):
    """A batch, or a wave of it, on its way to the server.

    Attributes:
        verb: the function that applies it.
        arguments: those after hub, lane and epoch.
        gained: what the lane owns if the batch is applied, by position of the create or, for
            instances that it owned before, None.
        given_up: what it then does not own any more.
    """

    verb: str
    arguments: tuple[Any, ...]
    gained: dict[str, tuple[int | None, Owned]]
    given_up: set[str]


LONE_TURNS = frozenset({"append_v1", "begin_v1", "turn_v1"})
"""The functions for a batch of one turn."""

SILENT = LONE_TURNS | {"keep_v1"}
"""They find nothing that a result would tell."""

# Columns of a create that its first turn, in the same batch, changes.
TURNED, STATUS, BUSY, OUTPUT, FAILURE, CUSTOM_STATUS, COMPLETED_AT = 12, 15, 16, 17, 18, 19, 20

# Bits of a change.
SETS_OUTPUT, SETS_FAILURE, SETS_CUSTOM_STATUS, CLEARS_CRASHES, RENEWS = 1, 2, 4, 8, 16

to_json = msgspec.json.Encoder().encode


def foreign(batch: Batch, owned: Mapping[str, Owned]) -> list[str]:
    """Ids of the instances that the lane must own for the batch, and is not known to.

    What a turn says of an execution that this very batch creates need not be asked for. By its id
    alone nothing is known to be new: a batch may create what the lane owns, and is refused.
    """
    wanted = {turn.instance_id for turn in batch.turns}
    wanted.update(park.instance_id for park in batch.parked)
    wanted.update(instance_id for instance_id, _ in batch.released)
    wanted.difference_update(owned)
    if wanted and batch.creates:
        born = {(new.instance_id, new.execution_id) for new in batch.creates if new.owned}
        wanted.difference_update(
            turn.instance_id
            for turn in batch.turns
            if (turn.instance_id, turn.execution_id) in born
        )
    return sorted(wanted)


def waves(batch: Batch) -> Iterator[Batch]:
    """Cut a batch where an instance comes again: its earlier turn has to be written first.

    The core makes one turn of an instance at a time, so mostly there is one wave.
    """
    if len({turn.instance_id for turn in batch.turns}) == len(batch.turns):
        yield batch
        return
    cut: list[list[Turn]] = [[]]
    seen: set[str] = set()
    for turn in batch.turns:
        if turn.instance_id in seen:
            cut.append([])
            seen.clear()
        seen.add(turn.instance_id)
        cut[-1].append(turn)
    lane, number = batch.lane, batch.number
    yield Batch(lane=lane, number=number, creates=batch.creates, turns=cut[0])
    for turns in cut[1:-1]:
        yield Batch(lane=lane, number=number, turns=turns)
    yield msgspec.structs.replace(batch, creates=[], turns=cut[-1])


def kept(batch: Batch) -> Encoding | None:
    """The call that goes between the first and the last of a batch that is cut, if need be.

    The create of an instance may have been refused by the first call; then it has to be there for
    the last one, which delivers.
    """
    created = {new.instance_id for new in batch.creates}
    awaited = sorted(created.intersection(message.instance_id for message in batch.messages))
    return Encoding("keep_v1", (awaited,), {}, set()) if awaited else None


def encode(batch: Batch, owned: Mapping[str, Owned], ordinals: Sequence[int]) -> Encoding:
    """The call that applies a batch, in which no instance has two turns.

    Args:
        owned: what the lane owns, all of ``foreign`` included that it does.
        ordinals: one for each create.

    Raises:
        LaneFencedError: a turn is of an instance that the lane does not own under its execution.
    """
    lone = lone_turn(batch)
    if lone is not None:
        return alone(batch.lane, lone, owned, ordinals)
    if is_submission(batch):
        return submission(batch, ordinals)
    return Encoder(batch, owned, ordinals).encoding()


def alone(
    lane: LaneKey, lone: LoneTurn, owned: Mapping[str, Owned], ordinals: Sequence[int]
) -> Encoding:
    """The shortest calls there are, for an instance that runs by itself."""
    turn, new = lone.turn, lone.new
    instance_id = turn.instance_id
    mask, status, busy, output, failure, custom_status = changed(turn)
    if new is not None:
        [ordinal] = ordinals
        arguments: tuple[Any, ...] = (
            *start_arguments(new, ordinal)[:-1],
            *(status or "PENDING", busy is not False, custom_status),
            *(turn.sequence, turn.recorded_at, turn.chunk),
        )
        born = Owned(ordinal, new.execution_id)
        return Encoding("begin_v1", arguments, {instance_id: (0, born)}, set())
    ordinal, execution_id = owned.get(instance_id, NOBODY)
    if execution_id != turn.execution_id:
        raise lost(lane)
    written = (ordinal, turn.sequence, turn.recorded_at, turn.chunk)
    if lone.is_append:
        return Encoding("append_v1", written, {}, set())
    if turn.crashes_cleared:
        mask |= CLEARS_CRASHES
    completed_at = None
    if lone.ends:
        busy, completed_at = False, turn.recorded_at
    arguments = (*written, mask, status, busy, output, failure, custom_status, completed_at)
    return Encoding("turn_v1", arguments, {}, {instance_id} if lone.ends else set())


NOBODY = Owned(0, "")


def is_submission(batch: Batch) -> bool:
    """Whether a batch holds only what clients may ask for."""
    return not (
        batch.turns
        or batch.activities
        or batch.finished
        or batch.parked
        or batch.released
        or batch.returned
        or any(new.owned or new.parent or new.refusal for new in batch.creates)
    )


def submission(batch: Batch, ordinals: Sequence[int]) -> Encoding:
    """The call of a client."""
    creates = [start_arguments(*pair) for pair in zip(batch.creates, ordinals, strict=True)]
    replacing = any(new.replace for new in batch.creates)
    arguments = (
        batch.number,
        replacing,
        *columns(creates, 10),
        *columns(message_rows(batch.messages), 6),
    )
    return Encoding("submit_v1", arguments, {}, set())


def start_arguments(new: NewInstance, ordinal: int) -> tuple[Any, ...]:
    """An instance that a client creates."""
    return (
        ordinal,
        new.instance_id,
        new.execution_id,
        new.name,
        new.version,
        new.input,
        None if new.tags is None else to_json(new.tags).decode(),
        new.created_at,
        new.start_at,
        " ".join(new.replace) or None,
    )


class Encoder:
    """Any batch on its way into columns."""

    def __init__(self, batch: Batch, owned: Mapping[str, Owned], ordinals: Sequence[int]) -> None:
        self._batch = batch
        self._owned = owned
        self._gained: dict[str, tuple[int | None, Owned]] = {}
        self._given_up: set[str] = set()
        self._creates: list[list[Any]] = []
        self._created: dict[str, list[Any]] = {}
        for position, new in enumerate(batch.creates):
            self._create(position, new, ordinals[position])
        self._chunks: list[tuple[Any, ...]] = []
        self._consumed: list[tuple[int, int]] = []
        self._timers: list[tuple[Any, ...]] = []
        self._changes: list[tuple[Any, ...]] = []
        for turn in batch.turns:
            self._turn(turn)

    def _create(self, position: int, new: NewInstance, ordinal: int) -> None:
        parent = new.parent
        row = [
            ordinal,
            new.instance_id,
            new.execution_id,
            new.name,
            new.version,
            new.input,
            None if new.tags is None else to_json(new.tags).decode(),
            None if parent is None else parent.instance_id,
            None if parent is None else to_json(parent).decode(),
            new.created_at,
            new.start_at,
            new.owned,
            False,
            " ".join(new.replace) or None,
            new.replace_child_of,
            "PENDING",
            True,
            None,
            None,
            None,
            None,
        ]
        self._creates.append(row)
        # What the lane owns is there, so a create of it is refused, and its turns are of what is
        # there; only an id that it does not own may become its own by this.
        is_known = new.instance_id in self._owned or new.instance_id in self._created
        if new.owned and not is_known:
            self._created[new.instance_id] = row
            self._gained[new.instance_id] = (position, Owned(ordinal, new.execution_id))

    # --- turns ---------------------------------------------------------------------------------

    def _turn(self, turn: Turn) -> None:
        instance_id = turn.instance_id
        known = self._owned.get(instance_id)
        if known is None:
            known = self._gained.get(instance_id, (0, NOBODY))[1]
        ordinal, execution_id = known
        if execution_id != turn.execution_id:
            raise lost(self._batch.lane)
        self._chunks.append((ordinal, turn.sequence, turn.recorded_at, turn.chunk))
        if turn.consumed:
            self._consumed += [(message_id, ordinal) for message_id in turn.consumed]
        if turn.timers:
            self._timers += [(ordinal, timer.visible_at, timer.body) for timer in turn.timers]
        row = self._created.get(instance_id)
        if row is not None:
            row[TURNED] = True
        if turn.update is not None or turn.next is not None or turn.crashes_cleared:
            self._change(turn, ordinal, row)

    def _change(self, turn: Turn, ordinal: int, row: list[Any] | None) -> None:
        """The change of the instance's row, in the row itself if this very batch creates it."""
        mask, status, busy, output, failure, custom_status = changed(turn)
        completed_at = execution_id = recorded_at = None
        following = turn.next
        payloads: tuple[Any, ...] = (None, None, None)
        if turn.crashes_cleared:
            mask |= CLEARS_CRASHES
        if status in FINISHED_STATUSES:
            completed_at, busy = turn.recorded_at, False
            self._given_up.add(turn.instance_id)
        elif following is not None:
            mask |= RENEWS | SETS_CUSTOM_STATUS
            status, busy, custom_status = "RUNNING", True, None
            execution_id, recorded_at = following.execution_id, turn.recorded_at
            payloads = (following.input, following.version, following.carryover)
            position = self._gained.get(turn.instance_id, (None,))[0]
            self._gained[turn.instance_id] = (position, Owned(ordinal, execution_id))
        if row is not None and following is None:
            row[COMPLETED_AT] = completed_at
            if status is not None:
                row[STATUS] = status
            if busy is not None:
                row[BUSY] = busy
            row[OUTPUT], row[FAILURE], row[CUSTOM_STATUS] = output, failure, custom_status
            return
        self._changes.append(
            (
                *(ordinal, mask, status, busy, output, failure, custom_status),
                *(completed_at, execution_id, *payloads, recorded_at),
            )
        )

    # --- the whole -----------------------------------------------------------------------------

    def encoding(self) -> Encoding:
        """Everything in the order of the function's parameters."""
        batch = self._batch
        finished = [
            (outcome.activity_id, outcome.token, *message_row(outcome.message))
            for outcome in batch.finished
        ]
        activities = [
            (row.instance_id, row.execution_id, row.task_id, row.name, row.body)
            for row in batch.activities
        ]
        children = [
            (turn.instance_id, turn.to_children)
            for turn in batch.turns
            if turn.to_children is not None
        ]
        refusals = [
            (position, *message_row(new.refusal))
            for position, new in enumerate(batch.creates, start=1)
            if new.refusal is not None
        ]
        parked, released = self._leaving()
        arguments = (
            batch.number,
            not batch.turns,
            any(new.replace for new in batch.creates),
            *columns(self._creates, 21),
            *columns(refusals, 7),
            *columns(self._chunks, 4),
            *columns(self._consumed, 2),
            *columns(self._timers, 3),
            *columns(self._changes, 13),
            *columns(children, 2),
            *columns(message_rows(batch.messages), 6),
            *columns(activities, 5),
            *columns(finished, 8),
            *columns(parked, 4),
            *columns(released, 2),
            *columns(batch.returned, 2),
        )
        return Encoding("commit_v1", arguments, self._gained, self._given_up)

    def _leaving(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        parked: list[tuple[Any, ...]] = []
        released: list[tuple[Any, ...]] = []
        for park in self._batch.parked:
            ordinal = self._ordinal(park.instance_id)
            if ordinal:
                # An error's text, which may hold whatever user code has put there.
                reason = park.reason.replace("\0", "\N{REPLACEMENT CHARACTER}")
                parked.append((ordinal, park.execution_id, reason, park.code))
        for instance_id, busy in self._batch.released:
            ordinal = self._ordinal(instance_id)
            if ordinal:
                released.append((ordinal, busy))
        return parked, released

    def _ordinal(self, instance_id: str) -> int:
        """The ordinal of an owned instance that is given up, or 0."""
        known = self._gained.get(instance_id, (None, self._owned.get(instance_id, NOBODY)))[1]
        self._given_up.add(instance_id)
        return known.ordinal


def changed(turn: Turn) -> tuple[int, Any, Any, Any, Any, Any]:
    """What a turn's update sets: mask, status, busy, output, failure, custom status."""
    update = turn.update
    if update is None:
        return 0, None, None, None, None, None
    mask = 0
    output = failure = custom_status = None
    if update.output is not UNSET:
        mask, output = SETS_OUTPUT, update.output
    if update.failure is not UNSET:
        mask, failure = mask | SETS_FAILURE, update.failure
    if update.custom_status is not UNSET:
        mask, custom_status = mask | SETS_CUSTOM_STATUS, update.custom_status
    status = None if update.status is UNSET else update.status
    busy = None if update.busy is UNSET else update.busy
    return mask, status, busy, output, failure, custom_status


def message_rows(messages: Iterable[Message]) -> list[tuple[Any, ...]]:
    """The rows of messages."""
    return [message_row(message) for message in messages]


def message_row(message: Message) -> tuple[Any, ...]:
    """A message as ``deliver`` takes it."""
    return (
        message.instance_id,
        message.execution_id,
        message.visible_at,
        message.urgent,
        message.unpark,
        message.body,
    )


def columns(rows: Sequence[Iterable[Any]], width: int) -> Iterable[Any]:
    """Rows, turned into ``width`` columns; NULL for no rows, which costs less than to say none."""
    return zip(*rows, strict=True) if rows else NOTHING[:width]


NOTHING = (None,) * 21
