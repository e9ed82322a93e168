"""The values a store takes in one commit: what to write, with nothing left to decide.

A store knows no orchestrations. Chunks and message bodies are opaque bytes to it; statuses are
texts of which ``FINISHED_STATUSES`` end an instance. Instants are ``int`` microseconds since the
Unix epoch by the store's clock.

``gc=False`` throughout: these values hold no cycles, and there are many of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from durabletask.state import FINISHED, ParentInstance

__all__ = [
    "FINISHED_STATUSES",
    "ActivityRow",
    "Batch",
    "CommitResult",
    "FinishedActivity",
    "InstanceUpdate",
    "LaneKey",
    "Message",
    "NewInstance",
    "NextExecution",
    "Park",
    "RewoundInstance",
    "Turn",
]

FINISHED_STATUSES = frozenset(status.value for status in FINISHED)


class LaneKey(msgspec.Struct, frozen=True):
    """A lane and the epoch under which its holder may write. ``lane_id`` is positive."""

    lane_id: int
    epoch: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message for the inbox of an instance.

    Attributes:
        instance_id: the receiver.
        body: an encoded event.
        execution_id: deliver only while this execution is the current one; None: to any.
        visible_at: not before this instant; 0 is at once. A timer is a message to oneself.
        urgent: a lane may claim the receiver for this message even before its ``start_at`` and
            whatever its name and version, because no user code is needed to handle it
            (terminate).
        unpark: the receiver's ``parked`` reason and crash count are cleared (resume).
    """

    instance_id: str
    body: bytes
    execution_id: str | None = None
    visible_at: int = 0
    urgent: bool = False
    unpark: bool = False


class NewInstance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An instance to create: status PENDING, no history.

    Attributes:
        owned: the committing lane owns it from the start; otherwise nobody does.
        start_at: nobody may claim it before this instant; 0 is at once.
        replace: an existing instance with one of these (finished) statuses is deleted with all
            that belongs to it and replaced, in the same atomic step.
        replace_child_of: with ``replace``: only if the existing one has this parent instance.
        refusal: written instead, if the id is taken, in the same atomic step.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str | None = None
    input: str | None = None
    tags: dict[str, str] | None = None
    parent: ParentInstance | None = None
    created_at: int
    start_at: int = 0
    owned: bool = False
    replace: frozenset[str] = frozenset()
    replace_child_of: str | None = None
    refusal: Message | None = None


class InstanceUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Columns of the instance that change; UNSET ones stay.

    ``busy``: the lane holds work for this instance that no row records (activities it runs
    itself, events not yet handled), so whoever takes the lane over must look at it. A new
    instance is busy. A finished status deletes the instance's inbox and ends ownership.
    """

    status: str | msgspec.UnsetType = msgspec.UNSET
    output: str | msgspec.UnsetType | None = msgspec.UNSET
    failure: bytes | msgspec.UnsetType | None = msgspec.UNSET
    custom_status: str | msgspec.UnsetType | None = msgspec.UNSET
    busy: bool | msgspec.UnsetType = msgspec.UNSET


class NextExecution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Continue-as-new: the instance goes on under ``execution_id``, RUNNING and busy.

    History and execution-bound messages of the old execution are deleted; other messages stay.
    ``carryover`` (encoded events) is given back by ``poll`` with the new execution until its
    first turn is committed.
    """

    execution_id: str
    input: str | None
    version: str | None
    carryover: bytes | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One committed turn of an instance that the lane owns.

    Attributes:
        sequence: turns of this execution before this one. ``(execution_id, sequence)`` is unique
            in the store: a clash means that somebody else wrote this turn.
        recorded_at: the turn's clock; becomes the instance's last update.
        chunk: the turn's events.
        consumed: ids of inbox messages this turn handled. All must exist, and are deleted.
        timers: messages to this very execution.
        to_children: body of an urgent, unparking message for every unfinished child of this
            instance.
        crashes_cleared: the instance has a crash count, and this turn is progress: reset it.
    """

    instance_id: str
    execution_id: str
    sequence: int
    recorded_at: int
    chunk: bytes
    consumed: Sequence[int] = ()
    timers: list[Message] = []
    update: InstanceUpdate | None = None
    next: NextExecution | None = None
    to_children: bytes | None = None
    crashes_cleared: bool = False


class ActivityRow(msgspec.Struct, frozen=True, gc=False):
    """An activity for the shared queue, to be claimed by any lane that knows ``name``."""

    instance_id: str
    execution_id: str
    task_id: int
    name: str
    body: bytes


class FinishedActivity(msgspec.Struct, frozen=True, gc=False):
    """A claimed activity's outcome: delete the row and deliver the message, atomically.

    If the row is gone or carries another token, nothing of it is written (somebody else has it).
    """

    activity_id: int
    token: int
    message: Message


class Park(msgspec.Struct, frozen=True, gc=False):
    """Set an owned instance aside: no lane claims it until it is unparked. Its inbox stays.

    ``code``: fingerprint of the code that could not go on; None if only an operator may release.
    """

    instance_id: str
    execution_id: str
    reason: str
    code: str | None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one commit writes, in this order of fields. All of it or nothing.

    Attributes:
        lane: checked first: an unknown lane or another epoch raises LaneFencedError.
        number: counts the lane's batches from 1; a resent batch keeps its number.
        creates, turns, messages, activities, finished: see their types. Messages to finished or
            unknown instances, or to an execution that is no longer current, are dropped.
        parked: instances to set aside; ownership ends.
        released: owned instances to give up; ``True`` marks those still busy.
        returned: claimed activities given back to the queue, ``(activity_id, token)``.
    """

    lane: LaneKey
    number: int
    creates: list[NewInstance] = []
    turns: list[Turn] = []
    messages: list[Message] = []
    activities: list[ActivityRow] = []
    finished: list[FinishedActivity] = []
    parked: list[Park] = []
    released: list[tuple[str, bool]] = []
    returned: list[tuple[int, int]] = []


class RewoundInstance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An instance as it is to be after a rewind, in place of what it was with all that belonged
    to it: owned by nobody, busy, not parked, with no crashes, not finished and without output.

    Attributes:
        expected: the execution that it must have, and have finished, now; None if there must be
            no such instance.
        row: its columns, with a new execution. Never owned; what it says of replacing is not read.
        status, custom_status: the columns of these names.
        recorded_at: clock of its last turn, 0 if none; becomes the instance's last update.
        chunks: the turns of its history.
        messages: its inbox, in order; bound to no execution or to that of ``row``.
    """

    expected: str | None
    row: NewInstance
    status: str
    custom_status: str | None = None
    recorded_at: int = 0
    chunks: Sequence[bytes] = ()
    messages: Sequence[Message] = ()


class CommitResult(msgspec.Struct, frozen=True):
    """What a commit found.

    Attributes:
        refused: positions in ``Batch.creates`` whose id was taken.
        missing: positions in ``Batch.messages`` whose receiver does not exist.
    """

    refused: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()
