"""Why a lane was refused, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durabletask.store import Batch, LaneKey

__all__ = ["of_batch", "of_gap", "of_lane"]


def of_lane(lane: LaneKey, epoch: bytes) -> str:
    """The lane's epoch is no longer valid."""
    state = f"is at epoch {int(epoch)} now" if epoch else "is gone"
    return (
        f"lane {lane.lane_id} {state}, so epoch {lane.epoch} may not write any more: drop what "
        "the lane holds and open a new one"
    )


def of_gap(lane_id: int, what: str, acknowledged: int, number: int) -> str:
    """The server does not have all the batches, or the polls, that it had acknowledged."""
    return (
        f"the Redis server has lost writes that it had acknowledged: it is at {what} {number} "
        f"of lane {lane_id}, and {acknowledged} was the last that it acknowledged. It failed over "
        "to a replica that lagged, or restarted from an older file. Work goes on from what it has; "
        "what was written since may be done again or be lost"
    )


def of_batch(batch: Batch, answer: list[Any]) -> str:
    """Why a batch was refused. ``answer`` is that of `commit.lua`."""
    verdict = answer[0].decode()
    if verdict == "lane":
        return of_lane(batch.lane, answer[1])
    _, instance_id, sequence, detail = answer
    reason = {
        "owner": "the lane does not own it under execution {!r}",
        "clash": "the store has {} turns of this execution",
        "message": "its inbox has no message {}",
    }[verdict].format(detail.decode() if isinstance(detail, bytes) else detail)
    return (
        f"turn {sequence} of instance {instance_id.decode()!r} cannot be committed by lane "
        f"{batch.lane.lane_id}: {reason}. Nothing of the batch was written; "
        "drop what the lane holds"
    )
