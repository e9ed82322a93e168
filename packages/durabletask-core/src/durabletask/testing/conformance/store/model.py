"""A store as simple as can be: what the random histories are held against.

It knows the contract of seam 2 and nothing of how to keep it fast, fenced or durable. Time is left
out: everything is due at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ModelActivity", "ModelInstance", "ModelStore"]

_ALWAYS_COUNTED = 2
"""Crashes that are counted though the instance was no suspect."""


@dataclass
class ModelInstance:
    """An instance. ``owner`` is a lane id or None; ``inbox`` are the bodies of its messages."""

    instance_id: str
    owner: int | None
    version: str | None = None
    generation: int = 1
    status: str = "PENDING"
    busy: bool = True
    chunks: list[bytes] = field(default_factory=list)
    inbox: list[tuple[bytes, bool]] = field(default_factory=list)
    carryover: bytes | None = None
    crashes: int = 0
    parked: bool = False

    @property
    def execution_id(self) -> str:
        return f"{self.instance_id}/{self.generation}"

    @property
    def finished(self) -> bool:
        return self.status == "COMPLETED"

    @property
    def due(self) -> bool:
        """Whether a poll may hand it out."""
        free = self.owner is None and not self.parked and not self.finished
        return free and (self.busy or not self.chunks or bool(self.inbox))


@dataclass
class ModelActivity:
    """A row of the shared queue.

    ``claimed_by`` is a lane id or None; ``activity_id`` and ``token`` are known from the claim.
    """

    instance_id: str
    execution_id: str
    task_id: int
    activity_id: int = 0
    claimed_by: int | None = None
    token: int | None = None
    crashes: int = 0


class ModelStore:
    """Instances by id, the shared queue, and the ids of the lanes that live."""

    def __init__(self) -> None:
        self.instances: dict[str, ModelInstance] = {}
        self.activities: list[ModelActivity] = []
        self.lanes: set[int] = set()

    def owned_by(self, lane_id: int) -> list[ModelInstance]:
        """What a lane owns, in the order of creation."""
        return [row for row in self.instances.values() if row.owner == lane_id]

    def claimed_by(self, lane_id: int) -> list[ModelActivity]:
        """What a lane has claimed."""
        return [row for row in self.activities if row.claimed_by == lane_id]

    def deliver(self, instance_id: str, body: bytes, execution_id: str | None) -> bool:
        """Send a message; False if there is no such instance."""
        row = self.instances.get(instance_id)
        if row is None:
            return False
        if not row.finished and execution_id in (None, row.execution_id):
            row.inbox.append((body, execution_id is not None))
        return True

    def take_turn(
        self,
        row: ModelInstance,
        chunk: bytes,
        consumed: int,
        *,
        status: str,
        busy: bool,
        end: str | None,
        version: str | None,
    ) -> None:
        """Commit a turn; ``end`` is "finish", "continue" (under that version) or None."""
        row.chunks.append(chunk)
        row.carryover = None
        del row.inbox[:consumed]
        row.status, row.busy = status, busy
        if end == "finish":
            row.status, row.busy, row.owner, row.inbox = "COMPLETED", False, None, []
        elif end == "continue":
            row.generation += 1
            row.status, row.busy, row.chunks = "RUNNING", True, []
            row.carryover, row.version = b"carried over", version
            row.inbox = [entry for entry in row.inbox if not entry[1]]

    def end_lane(self, lane_id: int, *, in_peace: bool) -> None:
        """Close a lane, or take it over."""
        self.lanes.discard(lane_id)
        for row in self.owned_by(lane_id):
            row.owner = None
            if not in_peace and (row.busy or row.inbox) and row.crashes < _ALWAYS_COUNTED:
                row.crashes += 1
        for activity in self.claimed_by(lane_id):
            activity.claimed_by = activity.token = None
            activity.crashes += not in_peace

    def purge(self, instance_id: str) -> int:
        """Delete an instance if it has finished."""
        row = self.instances.get(instance_id)
        if row is None or not row.finished:
            return 0
        del self.instances[instance_id]
        self.activities = [row for row in self.activities if row.instance_id != instance_id]
        return 1

    def purge_idle(self, instance_ids: set[str]) -> int:
        """Delete those of the instances that are PENDING and wait for nothing."""
        queued = {row.instance_id for row in self.activities}
        idle = [
            row
            for row in self.instances.values()
            if row.instance_id in instance_ids - queued
            and (row.status, row.owner, row.parked) == ("PENDING", None, False)
            and row.chunks
            and not (row.busy or row.inbox)
        ]
        for row in idle:
            del self.instances[row.instance_id]
        return len(idle)
