"""The life of lanes: they open, prove that they live, and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.errors import LaneFencedError
from durabletask.store.batch import LaneKey
from durabletask.store.record import LaneStanding
from durabletask.stores.memory.rows import Lane

if TYPE_CHECKING:
    from durabletask.store.batch import Batch, CommitResult
    from durabletask.store.record import LaneOptions
    from durabletask.stores.memory.hub import Hub
    from durabletask.stores.memory.rows import Instance

__all__ = ["close_lane", "open_lane", "renew_lane", "resolve", "take_over"]

_ALWAYS_COUNTED = 2
"""Below this many crashes an instance need not have been a suspect to be blamed for one more."""


def open_lane(hub: Hub, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
    """Register a lane, and unpark what its code may be able to go on with."""
    now = hub.clock()
    lane = Lane(lane_id=hub.next_lane(), epoch=1, options=options, until=_lease_end(options, now))
    hub.lanes[lane.lane_id] = lane
    for row in list(hub.parked.values()):
        code = options.orchestrations.get(row.name)
        if row.parked_code is not None and code is not None and code != row.parked_code:
            hub.unpark(row, now)
    return LaneKey(lane.lane_id, lane.epoch), _standing(hub, now)


def renew_lane(hub: Hub, key: LaneKey) -> LaneStanding:
    """Extend a lane's lease, and with it those of its activities: they end with the lane."""
    lane = hub.lane(key)
    now = hub.clock()
    lane.until = _lease_end(lane.options, now)
    return _standing(hub, now)


def _lease_end(options: LaneOptions, now: int) -> int:
    return now + round(options.lease * 1_000_000)


def _standing(hub: Hub, now: int) -> LaneStanding:
    live = [lane.options for lane in hub.lanes.values() if lane.until > now]
    return LaneStanding(
        now=now,
        orchestrations=frozenset(name for options in live for name in options.orchestrations),
        activities=frozenset(name for options in live for name in options.activities),
        workers=sum(1 for options in live if options.orchestrations or options.activities),
    )


def close_lane(hub: Hub, key: LaneKey) -> None:
    """End a lane in peace. A no-op if it is gone or its epoch was raised."""
    lane = hub.lanes.get(key.lane_id)
    if lane is not None and lane.epoch == key.epoch:
        _end(hub, lane, hub.clock())


def take_over(hub: Hub) -> int:
    """End the lanes whose lease has expired; their busy instances may be to blame."""
    now = hub.clock()
    expired = [lane for lane in hub.lanes.values() if lane.until <= now]
    for lane in expired:
        for row in lane.owned.values():
            row.surface(now)
            _blame(row)
        for activity in lane.claimed.values():
            activity.crashes += 1
        _end(hub, lane, now)
    return len(expired)


def _blame(row: Instance) -> None:
    if (row.busy or row.inbox) and (row.crashes < _ALWAYS_COUNTED or row.suspect):
        row.crashes += 1


def _end(hub: Hub, lane: Lane, now: int) -> None:
    for row in list(lane.owned.values()):
        hub.disown(row, now)
    for activity in list(lane.claimed.values()):
        hub.give_back(activity, now)
    # Its id is never used again, so every key of it is invalid from here on.
    del hub.lanes[lane.lane_id]


def resolve(hub: Hub, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
    """Raise the epoch, so that the batch cannot be applied any more; tell whether it was.

    Any key of a live lane will do: the caller may repeat a call whose answer it did not get.
    """
    lane = hub.lanes.get(batch.lane.lane_id)
    if lane is None:
        raise LaneFencedError(
            f"lane {batch.lane.lane_id} of the hub {hub.name!r} was taken over while a commit was "
            "unresolved: drop what the lane holds and open a new one"
        )
    lane.epoch += 1
    applied = lane.result if lane.number == batch.number else None
    return LaneKey(lane.lane_id, lane.epoch), applied
