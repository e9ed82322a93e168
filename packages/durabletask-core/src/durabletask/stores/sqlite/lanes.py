"""The rows of lanes: opening, renewing, ending, and settling unknown commits.

All of these run inside a transaction. A lane that has ended has no row, and ids are never used
again, so every key of it is invalid from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.errors import LaneFencedError
from durabletask.store import CommitResult, LaneKey, LaneStanding
from durabletask.stores.sqlite.schema import REWAKE, SEQUENCE_BITS
from durabletask.stores.sqlite.values import decode_result, microseconds, names, numbers

if TYPE_CHECKING:
    from collections.abc import Collection

    from durabletask.store import Batch, LaneOptions, Turn
    from durabletask.stores.sqlite.database import Database

__all__ = [
    "end",
    "expired",
    "fenced",
    "insert",
    "is_live",
    "renew",
    "resolve",
    "standing",
    "unpark",
]

CRASHES_FREE = 2
"""Up to here a crash of its lane counts against every busy instance; from here on only against
the one that was handed out as a suspect, lest an innocent neighbour is set aside."""


def fenced(lane: LaneKey) -> LaneFencedError:
    """The error for a lane that is gone or has another epoch."""
    return LaneFencedError(
        f"lane {lane.lane_id} may not write under epoch {lane.epoch} any more: it was closed or "
        "taken over, and nothing was written. Drop what it holds and open a new lane"
    )


def is_live(database: Database, hub: int, lane: LaneKey) -> bool:
    """Whether a lane's key is valid."""
    key = (lane.lane_id, lane.epoch, hub)
    return bool(
        database.rows("SELECT 1 FROM lanes WHERE lane_id = ? AND epoch = ? AND hub = ?", key)
    )


def insert(database: Database, hub: int, options: LaneOptions) -> LaneKey:
    """Add the row of a new lane."""
    lease = microseconds(options.lease)
    database.run(
        "INSERT INTO lanes (hub, epoch, worker, lease, lease_until, orchestrations, activities) "
        "VALUES (?, 1, ?, ?, ?, ?, ?)",
        (
            hub,
            options.worker,
            lease,
            database.now() + lease,
            names(options.orchestrations),
            names(options.activities),
        ),
    )
    [(lane_id,)] = database.rows("SELECT last_insert_rowid()")
    return LaneKey(lane_id, 1)


def unpark(database: Database, hub: int, options: LaneOptions) -> None:
    """Release what is parked under another fingerprint of the code that this lane brings."""
    parked = database.rows(
        "SELECT ordinal, name, parked_code FROM instances INDEXED BY instances_parked "
        "WHERE hub = ? AND parked IS NOT NULL AND parked_code IS NOT NULL",
        (hub,),
    )
    known = options.orchestrations
    free = numbers(ordinal for ordinal, name, code in parked if known.get(name, code) != code)
    database.run(
        "UPDATE instances SET parked = NULL, parked_code = NULL, freed_at = ? "
        "WHERE ordinal IN (SELECT value FROM json_each(?))",
        (database.now(), free),
    )
    database.run(REWAKE, (free,))


def renew(database: Database, hub: int, lane: LaneKey) -> None:
    """Extend the lease. The activities of a lane have no other lease than the lane's.

    Raises:
        LaneFencedError: the lane is gone.
    """
    renewed = database.run(
        "UPDATE lanes SET lease_until = ? + lease WHERE lane_id = ? AND epoch = ? AND hub = ?",
        (database.now(), lane.lane_id, lane.epoch, hub),
    )
    if not renewed:
        raise fenced(lane)


def standing(database: Database, hub: int) -> LaneStanding:
    """What the live lanes of the hub know."""
    now = database.now()
    live = [
        (decode_names(orchestrations), decode_names(activities))
        for orchestrations, activities in database.rows(
            "SELECT orchestrations, activities FROM lanes WHERE hub = ? AND lease_until > ?",
            (hub, now),
        )
    ]
    return LaneStanding(
        now=now,
        orchestrations=frozenset(name for names, _ in live for name in names),
        activities=frozenset(name for _, names in live for name in names),
        workers=sum(1 for names in live if any(names)),
    )


decode_names = msgspec.json.Decoder(list[str]).decode


def expired(database: Database, hub: int) -> dict[int, bool]:
    """The lanes of the hub, and whether the lease of each has run out."""
    rows = database.rows(
        "SELECT lane_id, lease_until <= ? FROM lanes WHERE hub = ?", (database.now(), hub)
    )
    return {lane_id: bool(over) for lane_id, over in rows}


def end(database: Database, lane_ids: Collection[int], *, crashed: bool) -> None:
    """Delete lanes, and give up all they own and have claimed."""
    these = numbers(lane_ids)
    owned = numbers(
        ordinal
        for (ordinal,) in database.rows(
            "SELECT ordinal FROM instances WHERE lane <> 0 "
            "AND lane IN (SELECT value FROM json_each(?))",
            (these,),
        )
    )
    # Of an owned instance ``wake_at`` is its first message: a turn may have been at work on it.
    blame = f"(busy OR wake_at <= :now) AND (crashes < {CRASHES_FREE} OR suspect)"
    database.run(
        "UPDATE instances SET lane = 0, freed_at = :now, suspect = 0, "
        f"crashes = crashes + coalesce({blame if crashed else 0}, 0) "
        "WHERE ordinal IN (SELECT value FROM json_each(:owned))",
        {"now": database.now(), "owned": owned},
    )
    database.run(REWAKE, (owned,))
    database.run(
        f"UPDATE activities SET lane = 0, crashes = crashes + {int(crashed)} WHERE lane <> 0 "
        "AND lane IN (SELECT value FROM json_each(?))",
        (these,),
    )
    database.run("DELETE FROM lanes WHERE lane_id IN (SELECT value FROM json_each(?))", (these,))


def resolve(database: Database, hub: int, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
    """Raise the epoch, so that the batch cannot be applied any more; tell whether it was.

    Any epoch of the lane will do: the caller may repeat a call whose answer was lost, and nobody
    else has this lane's number as long as its row is there.

    Raises:
        LaneFencedError: the lane is gone.
    """
    found = database.rows(
        "SELECT epoch + 1, batch, outcome FROM lanes WHERE lane_id = ? AND hub = ?",
        (batch.lane.lane_id, hub),
    )
    if not found:
        raise fenced(batch.lane)
    epoch, number, outcome = found[0]
    database.run("UPDATE lanes SET epoch = ? WHERE lane_id = ?", (epoch, batch.lane.lane_id))
    lane = LaneKey(batch.lane.lane_id, epoch)
    if number == batch.number:
        return lane, CommitResult() if outcome is None else decode_result(outcome)
    # The last turn, because an earlier one may be followed by another of its instance that begins
    # a new execution, with which its own row of history is gone.
    if batch.turns and is_written(database, hub, batch.turns[-1]):
        return lane, CommitResult()
    return lane, None


def is_written(database: Database, hub: int, turn: Turn) -> bool:
    """Whether a turn is in the store.

    Nobody but the lane, which still exists, could have written a turn of what it owns.
    """
    if turn.next is not None:
        # The history that the turn belonged to is gone; the execution that follows it is there.
        wanted = "SELECT 1 FROM instances WHERE hub = ? AND instance_id = ? AND execution_id = ?"
        return bool(database.rows(wanted, (hub, turn.instance_id, turn.next.execution_id)))
    wanted = (
        f"SELECT 1 FROM instances JOIN history ON entry = ordinal << {SEQUENCE_BITS} | ? "
        "WHERE hub = ? AND instance_id = ? AND execution_id = ?"
    )
    key = (turn.sequence, hub, turn.instance_id, turn.execution_id)
    return bool(database.rows(wanted, key))
