"""Where instances stand in the middle of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.store import FINISHED_STATUSES

if TYPE_CHECKING:
    from durabletask.store import Batch, Message, NewInstance

__all__ = ["Owned", "Standing", "may_replace", "mentioned"]

Owned = dict[str, "Standing"]


class Standing:
    """Where an instance stands at this point of the batch."""

    __slots__ = ("execution_id", "lane", "ordinal", "parent_id", "status")

    def __init__(
        self, ordinal: int, execution_id: str, lane: int, status: str, parent_id: str | None
    ) -> None:
        self.ordinal = ordinal
        self.execution_id = execution_id
        self.lane = lane
        self.status = status
        self.parent_id = parent_id

    def receives(self, message: Message) -> bool:
        """Whether a message goes into the inbox, or is dropped."""
        return self.status not in FINISHED_STATUSES and (
            message.execution_id is None or message.execution_id == self.execution_id
        )


def mentioned(batch: Batch) -> set[str]:
    """Ids of all instances that a batch names."""
    ids = {turn.instance_id for turn in batch.turns}
    for new in batch.creates:
        ids.add(new.instance_id)
        if new.refusal is not None:
            ids.add(new.refusal.instance_id)
    ids.update(message.instance_id for message in batch.messages)
    ids.update(row.instance_id for row in batch.activities)
    ids.update(outcome.message.instance_id for outcome in batch.finished)
    ids.update(park.instance_id for park in batch.parked)
    ids.update(instance_id for instance_id, _ in batch.released)
    return ids


def may_replace(new: NewInstance, existing: Standing) -> bool:
    """Whether an existing instance may be deleted for a new one."""
    return (
        existing.status in new.replace
        and existing.status in FINISHED_STATUSES
        and new.replace_child_of in (None, existing.parent_id)
    )
