"""What a store gives back: claimed work, lane standing, instance rows."""

from __future__ import annotations

import msgspec

from durabletask.state import ParentInstance

__all__ = [
    "ClaimedActivity",
    "ClaimedInstance",
    "InboxMessage",
    "InstanceRecord",
    "Interest",
    "LaneOptions",
    "LaneStanding",
    "Unclaimed",
    "Work",
]


class LaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a lane presents itself.

    Attributes:
        worker: a readable name, for operators.
        lease: seconds without ``renew_lane`` after which others may take the lane over.
        orchestrations: name to code fingerprint; instances parked under another fingerprint of
            the same name are unparked when the lane opens.
        activities: names of the shared-queue activities it claims.
    """

    worker: str
    lease: float
    orchestrations: dict[str, str] = {}
    activities: frozenset[str] = frozenset()


class LaneStanding(msgspec.Struct, frozen=True):
    """The answer to ``open_lane`` and ``renew_lane``.

    Attributes:
        now: the store's clock, microseconds since the epoch.
        orchestrations, activities: names known to the live lanes of the hub, this one included.
        workers: how many live lanes run anything, this one included if it does.
    """

    now: int
    orchestrations: frozenset[str]
    activities: frozenset[str]
    workers: int


class InboxMessage(msgspec.Struct, frozen=True):
    """A visible message of an owned instance. Ids grow in delivery order per instance."""

    message_id: int
    body: bytes


class ClaimedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that the lane owns from now on, with all its visible messages.

    Attributes:
        sequence: turns committed in this execution; the next turn's number.
        recorded_at: clock of its last turn; 0 if none.
        busy: the former owner held unrecorded work (see ``InstanceUpdate.busy``).
        queued: task ids of its activities that wait or run in the shared queue. Read in the
            same snapshot as ``messages``.
        crashes: lanes that died while this instance was busy or had a message, without progress.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    status: str
    input: str | None
    tags: dict[str, str] | None
    parent: ParentInstance | None
    start_at: int
    created_at: int
    sequence: int
    recorded_at: int
    busy: bool
    carryover: bytes | None
    crashes: int
    messages: list[InboxMessage]
    queued: frozenset[int]


class ClaimedActivity(msgspec.Struct, frozen=True):
    """An activity of the shared queue, leased to this lane under ``token``.

    Every claim of a row has a token of its own. ``crashes`` counts the lanes that were taken over
    while they held it; giving it back, or closing the lane, is no crash.
    """

    activity_id: int
    token: int
    crashes: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    body: bytes


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``poll`` may hand out.

    Attributes:
        orchestrations, activities: names this lane runs.
        max_instances, max_activities: how many new ones it has room for; 0 is none.
        probation_after: an instance with at least this many crashes is a suspect; at most one
            suspect per poll is handed out, and only if ``suspects`` is true.
        refused_versions: instances of these versions are not due for this lane, whatever their
            name; ``""`` is no version. Compared as texts. Urgent messages override it, and what
            has a name that begins with ``@`` (an entity) has no version to be refused by.
    """

    orchestrations: frozenset[str]
    activities: frozenset[str]
    max_instances: int
    max_activities: int
    suspects: bool = True
    probation_after: int = 2
    refused_versions: frozenset[str] = frozenset()


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``poll``.

    Attributes:
        now: the store's clock.
        inbox: visible messages of owned instances, per instance in delivery order. A message is
            given again by every poll until a turn consumed it.
        instances, activities: newly claimed.
        next_due: when the earliest invisible message or delayed start becomes due that this lane
            could handle, or None.
    """

    now: int
    inbox: dict[str, list[InboxMessage]] = {}
    instances: list[ClaimedInstance] = []
    activities: list[ClaimedActivity] = []
    next_due: int | None = None


class Unclaimed(msgspec.Struct, frozen=True):
    """Work that waits though it is due: ``kind`` is "orchestration" or "activity"."""

    kind: str
    name: str
    count: int


class InstanceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a query. ``failure`` is encoded FailureDetails, as it was written."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    status: str
    created_at: int
    updated_at: int
    completed_at: int | None
    input: str | None
    output: str | None
    failure: bytes | None
    custom_status: str | None
    tags: dict[str, str] | None
    parent_instance_id: str | None
    parked: str | None
