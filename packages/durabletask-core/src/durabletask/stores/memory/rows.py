"""What a hub remembers: instances, lanes and queued activities."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from durabletask.state import ParentInstance
from durabletask.store.batch import ActivityRow, CommitResult, Message
from durabletask.store.record import InboxMessage, LaneOptions
from durabletask.stores.memory.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOBODY", "Activity", "Instance", "Lane", "Pool"]

NOBODY = 0
"""The owner of an instance that belongs to no lane."""


class Instance(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """An orchestration instance with its current execution, its history and its inbox.

    Attributes:
        chunks: history of the current execution, one chunk per turn.
        owner: id of the owning lane, or NOBODY.
        suspect: it was handed to its owner as a suspect.
        inbox: visible messages by id, in delivery order.
        urgent: one of them is urgent.
        hidden: heap of ``(visible_at, id, message)`` that are not visible yet, or None.

    ``gc=False``: nothing in it refers back to it, and finished instances stay for long.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    status: str
    input: str | None
    tags: dict[str, str] | None
    parent: ParentInstance | None
    created_at: int
    updated_at: int
    start_at: int
    owner: int
    completed_at: int | None = None
    output: str | None = None
    failure: bytes | None = None
    custom_status: str | None = None
    busy: bool = True
    recorded_at: int = 0
    carryover: bytes | None = None
    crashes: int = 0
    suspect: bool = False
    parked: str | None = None
    parked_code: str | None = None
    chunks: list[bytes] = msgspec.field(default_factory=list)
    inbox: dict[int, Message] = msgspec.field(default_factory=dict)
    urgent: bool = False
    hidden: list[tuple[int, int, Message]] | None = None

    @property
    def runnable(self) -> bool:
        """Whether there is something to do once its ``start_at`` has come."""
        return self.busy or not self.chunks or bool(self.inbox)

    def put(self, message_id: int, message: Message, now: int) -> None:
        """Receive a message."""
        if message.visible_at <= now:
            self.inbox[message_id] = message
            self.urgent = self.urgent or message.urgent
        else:
            if self.hidden is None:
                self.hidden = []
            heappush(self.hidden, (message.visible_at, message_id, message))

    def surface(self, now: int) -> None:
        """Make the messages visible whose instant has come."""
        before = len(self.inbox)
        while self.hidden and self.hidden[0][0] <= now:
            _, message_id, message = heappop(self.hidden)
            self.put(message_id, message, now)
        if len(self.inbox) > before:
            self.inbox = dict(sorted(self.inbox.items()))

    def consume(self, message_ids: Iterable[int]) -> None:
        """Delete visible messages."""
        for message_id in message_ids:
            self.inbox.pop(message_id, None)
        self._look_for_urgent()

    def forget_bound(self) -> None:
        """Delete the messages that are bound to an execution: it has ended."""
        self.inbox = {key: m for key, m in self.inbox.items() if m.execution_id is None}
        if self.hidden is not None:
            self.hidden = [entry for entry in self.hidden if entry[2].execution_id is None]
            heapify(self.hidden)
        self._look_for_urgent()

    def forget_all(self) -> None:
        """Delete every message."""
        self.inbox, self.hidden, self.urgent = {}, None, False

    def _look_for_urgent(self) -> None:
        if self.urgent:
            self.urgent = any(message.urgent for message in self.inbox.values())

    def messages(self) -> list[InboxMessage]:
        """The visible messages, in delivery order."""
        return [InboxMessage(key, message.body) for key, message in self.inbox.items()]

    def urgent_at(self) -> int | None:
        """When the earliest hidden urgent message becomes visible."""
        return min((at for at, _, message in self.hidden or () if message.urgent), default=None)


class Activity(msgspec.Struct, eq=False):
    """A row of the shared queue.

    Attributes:
        claims: how often it was claimed.
        crashes: lanes that were taken over while they held it.
        token: number of the current claim; 0 while nobody has claimed it.
        lane_id: who made the current claim.
    """

    activity_id: int
    row: ActivityRow
    crashes: int = 0
    token: int = 0
    claims: int = 0
    lane_id: int = NOBODY


class Lane(msgspec.Struct, kw_only=True, eq=False):
    """A live lane.

    Attributes:
        until: when its lease ends.
        owned: the instances it owns, by id.
        mail: those of them with visible messages.
        later: when the others' earliest hidden message becomes visible.
        claimed: the activities it has claimed, by id.
        number, result: of its last applied batch.
    """

    lane_id: int
    epoch: int
    options: LaneOptions
    until: int
    owned: dict[str, Instance] = msgspec.field(default_factory=dict)
    mail: dict[str, Instance] = msgspec.field(default_factory=dict)
    later: Schedule[str] = msgspec.field(default_factory=Schedule)
    claimed: dict[int, Activity] = msgspec.field(default_factory=dict)
    number: int = 0
    result: CommitResult | None = None


class Pool(msgspec.Struct, eq=False):
    """Instances that wait for an owner: those due, and those whose hour is known."""

    ready: Schedule[str] = msgspec.field(default_factory=Schedule)
    later: Schedule[str] = msgspec.field(default_factory=Schedule)

    def __bool__(self) -> bool:
        return bool(self.ready) or bool(self.later)

    def discard(self, instance_id: str) -> None:
        """Take an instance out."""
        self.ready.discard(instance_id)
        self.later.discard(instance_id)
