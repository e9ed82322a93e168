"""The most frequent commit of all, as one statement.

In the middle of its life an instance commits turns that add a row of history and change nothing
else. Alone in its batch, such a turn needs no transaction around several statements: one INSERT
checks the lane's epoch and writes the row, and SQLite makes it a transaction by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.store import Batch, Turn
    from durabletask.stores.sqlite.database import Database
    from durabletask.stores.sqlite.standing import Owned

__all__ = ["append", "sole_turn"]

APPEND = (
    "INSERT INTO history SELECT ?, ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM lanes WHERE lane_id = ? AND epoch = ? AND hub = ?)"
)


def sole_turn(batch: Batch) -> Turn | None:
    """The turn of a batch that holds nothing but one turn which only adds to history."""
    if (
        len(batch.turns) != 1
        or batch.creates
        or batch.messages
        or batch.activities
        or batch.finished
        or batch.parked
        or batch.released
        or batch.returned
    ):
        return None
    turn = batch.turns[0]
    if (
        turn.update is not None
        or turn.next is not None
        or turn.consumed
        or turn.timers
        or turn.to_children is not None
        or turn.crashes_cleared
    ):
        return None
    return turn


def append(database: Database, hub: int, batch: Batch, turn: Turn, owned: Owned) -> bool:
    """Commit ``turn``, the only content of ``batch``, without waiting for anybody.

    Args:
        owned: what the batch's lane is known to own.

    Returns:
        False if nothing was written: the instance is not known, or the lane is lost.

    Raises:
        BackendUnavailableError: nothing was written; a clash of the sequence is told like this too.
        UnknownCommitError: only a new connection can tell whether it was.
    """
    row = owned.get(turn.instance_id)
    lane = batch.lane
    if row is None or row.lane != lane.lane_id or row.execution_id != turn.execution_id:
        return False
    values = (
        row.ordinal,
        turn.sequence,
        turn.recorded_at,
        turn.chunk,
        lane.lane_id,
        lane.epoch,
        hub,
    )
    return database.write_one(APPEND, values) == 1
