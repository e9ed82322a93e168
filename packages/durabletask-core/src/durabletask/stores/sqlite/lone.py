"""The most frequent commits of all, in as few statements as there can be.

In the middle of its life an instance commits turns that add a row of history and change nothing
else. Alone in its batch, such a turn needs no transaction around several statements: one INSERT
checks the lane's epoch and writes the row, and SQLite makes it a transaction by itself. The first
and the last turn of an instance write its row as well, which takes a statement or two more.

Whatever is unusual (the lane is lost, the id is taken, the turn is in the history already) fails
here with nothing written, and the general way finds out what it is.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from durabletask.stores.sqlite.changes import changed
from durabletask.stores.sqlite.lanes import fenced
from durabletask.stores.sqlite.schema import entry
from durabletask.stores.sqlite.standing import Standing
from durabletask.stores.sqlite.values import encode

if TYPE_CHECKING:
    from durabletask.store import LaneKey, LoneTurn, NewInstance, Turn
    from durabletask.stores.sqlite.database import Database
    from durabletask.stores.sqlite.standing import Owned

__all__ = ["commit_lone"]

LIVE = "WHERE EXISTS (SELECT 1 FROM lanes WHERE lane_id = ? AND epoch = ? AND hub = ?)"

APPEND = f"INSERT INTO history SELECT ?, ?, ? {LIVE}"

BEGIN = (
    "INSERT INTO instances (hub, instance_id, execution_id, lane, freed_at, start_at, name, "
    "version, created_at, tags, input, status, busy, custom_status) "
    f"SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? {LIVE}"
)

FIRST = "INSERT INTO history VALUES (?, ?, ?)"

CLEAR = "DELETE FROM inbox WHERE instance = ?"


def commit_lone(database: Database, hub: int, lane: LaneKey, lone: LoneTurn, owned: Owned) -> bool:
    """Commit a turn that is alone in its batch, without waiting for anybody.

    Args:
        owned: what the lane is known to own; brought up to date if the turn was committed.

    Returns:
        False if nothing was written: the instance is not known, or the lane is lost.

    Raises:
        BackendUnavailableError, LaneFencedError: nothing was written.
        UnknownCommitError: only a new connection can tell whether it was.
    """
    turn, new = lone.turn, lone.new
    key = (lane.lane_id, lane.epoch, hub)
    if new is not None:
        begin = partial(_begin, database, hub, lane, turn, new)
        owned[new.instance_id] = database.write(begin, wait=False)
        return True
    row = owned.get(turn.instance_id)
    if row is None or row.lane != lane.lane_id or row.execution_id != turn.execution_id:
        return False
    chunk = (entry(row.ordinal, turn.sequence), turn.recorded_at, turn.chunk, *key)
    if lone.is_append:
        return database.write_one(APPEND, chunk) == 1
    columns = changed(turn)

    def change() -> None:
        if database.run(APPEND, chunk) != 1:
            raise fenced(lane)
        database.run(_set(tuple(columns)), (*columns.values(), row.ordinal))
        if lone.ends:
            database.run(CLEAR, (row.ordinal,))

    database.write(change, wait=False)
    if lone.ends:
        del owned[turn.instance_id]
    else:
        row.status = columns.get("status", row.status)
    return True


def _begin(database: Database, hub: int, lane: LaneKey, turn: Turn, new: NewInstance) -> Standing:
    """Write an instance and its first turn."""
    first = {"status": "PENDING", "busy": 1, "custom_status": None, **changed(turn)}
    row = (
        *(hub, new.instance_id, new.execution_id, lane.lane_id, database.now(), new.start_at),
        *(new.name, new.version, new.created_at, new.tags and encode(new.tags), new.input),
        *(first["status"], first["busy"], first["custom_status"]),
    )
    ordinal = database.insert(BEGIN, (*row, lane.lane_id, lane.epoch, hub))
    if ordinal is None:
        raise fenced(lane)
    database.run(FIRST, (entry(ordinal, turn.sequence), turn.recorded_at, turn.chunk))
    return Standing(ordinal, new.execution_id, lane.lane_id, first["status"], None)


@cache
def _set(names: tuple[str, ...]) -> str:
    """The statement that sets columns of one instance."""
    assignments = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE instances SET {assignments} WHERE ordinal = ?"
