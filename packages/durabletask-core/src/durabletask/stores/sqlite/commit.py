"""Applying a batch inside a write transaction.

One query reads the rows of all instances that the batch names; every check is then made against
these, in Python, and each kind of write is one statement for the whole batch. A turn in the
middle of an instance's life costs one row of ``history`` and nothing else.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any

from durabletask.errors import LaneFencedError
from durabletask.store import FINISHED_STATUSES, CommitResult
from durabletask.stores.sqlite.changes import changed
from durabletask.stores.sqlite.erase import erase
from durabletask.stores.sqlite.lanes import fenced, is_live
from durabletask.stores.sqlite.schema import REWAKE, THEIR_ENTRIES, entry
from durabletask.stores.sqlite.standing import Owned, Standing, may_replace, mentioned
from durabletask.stores.sqlite.values import encode, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from durabletask.store import Batch, Message, NewInstance, Turn
    from durabletask.stores.sqlite.database import Database

__all__ = ["CLEAN", "commit"]

RECORD = "UPDATE lanes SET batch = ?, outcome = ? WHERE lane_id = ?"

MENTIONED = (
    "SELECT instance_id, ordinal, execution_id, lane, status, parent_id FROM instances "
    "WHERE hub = {hub:d} AND instance_id IN ("
)

NEW_INSTANCE = (
    "INSERT INTO instances (ordinal, hub, instance_id, execution_id, lane, wake_at, freed_at, "
    "start_at, name, version, created_at, parent_id, parent, tags, input, status, busy) VALUES "
)

NEW_MESSAGE = "INSERT INTO inbox (instance, visible_at, bound, urgent, body) VALUES "

NEW_ACTIVITY = (
    "INSERT INTO activities (hub, instance, execution_id, task_id, name, queued_at, body) VALUES "
)

CONSUME = (
    "DELETE FROM inbox WHERE message_id IN (SELECT m.message_id FROM (VALUES ",
    ") AS v CROSS JOIN inbox AS m ON m.message_id = v.column1 AND m.instance = v.column2)",
)

CHILDREN = (
    "SELECT ordinal FROM instances WHERE hub = ? AND parent_id = ? AND completed_at IS NULL "
    "ORDER BY ordinal"
)

UNPARK = (
    "UPDATE instances SET parked = NULL, parked_code = NULL, crashes = 0, "
    "freed_at = CASE WHEN parked IS NULL THEN freed_at ELSE ? END "
    "WHERE ordinal IN (SELECT value FROM json_each(?))"
)

CLAIMED = "activity_id = v.column1 AND token = v.column2 AND lane <> 0"
"""An activity whose current claim has this token: tokens count the claims of a row."""

BORN_WITH = {"status": 15, "busy": 16}
"""Where columns that a first turn changes stand in a row of NEW_INSTANCE."""


def commit(database: Database, hub: int, batch: Batch, owned: Owned) -> CommitResult:
    """Apply ``batch``. To be called inside a write transaction.

    Args:
        owned: what the batch's lane is known to own; brought up to date. If the transaction is
            not committed it is wrong afterwards and must be dropped.

    Raises:
        LaneFencedError: as ``Store.commit`` says; the transaction is to be rolled back.
    """
    lane = batch.lane
    if not is_live(database, hub, lane):
        raise fenced(lane)
    result = Application(database, hub, batch, owned).apply()
    if not batch.turns or result is not CLEAN:
        # Else the last turn's row of history is what ``resolve`` goes by, and the lane's row,
        # which would be one page more in every commit, stays as it is.
        outcome = None if result is CLEAN else encode(result)
        database.run(RECORD, (batch.number, outcome, lane.lane_id))
    return result


class Application:
    """One batch on its way into the tables."""

    def __init__(self, database: Database, hub: int, batch: Batch, owned: Owned) -> None:
        self._database = database
        self._hub = hub
        self._batch = batch
        self._lane = batch.lane.lane_id
        self._now = database.now()
        self._owned = owned
        self._rows = self._read(mentioned(batch))
        # Ordinals whose ``wake_at`` has to be derived anew when everything is written.
        self._touched: set[int] = set()
        # Rows of new instances by ordinal, until they are written.
        self._fresh: dict[int, list[Any]] = {}

    def apply(self) -> CommitResult:
        """Write everything, in the order of the batch's fields."""
        batch = self._batch
        refused = self._create(batch.creates) if batch.creates else frozenset[int]()
        for wave in waves(batch.turns):
            self._turns(wave)
        if self._fresh:
            self._insert_fresh()
        self._tell_children()
        missing = self._deliver(batch.messages)
        if batch.activities:
            self._queue()
        if batch.finished:
            self._finish()
        if batch.parked or batch.released:
            self._give_up()
        if batch.returned:
            self._return()
        if self._touched:
            self._database.run(REWAKE, (numbers(self._touched),))
        self._remember()
        return CommitResult(refused, missing) if refused or missing else CLEAN

    def _read(self, instance_ids: set[str]) -> dict[str, Standing]:
        """Where these instances stand.

        Nobody but the lane changes what it owns, and the fence has just shown that it still is
        its owner: so what is known from earlier batches need not be read.
        """
        known = self._owned
        rows = {name: known[name] for name in instance_ids if name in known}
        if len(rows) < len(instance_ids):
            wanted = [(name,) for name in instance_ids if name not in rows]
            query = MENTIONED.format(hub=self._hub)
            for instance_id, *row in self._database.gather(query, "?", wanted, ")"):
                rows[instance_id] = Standing(*row)
        return rows

    def _remember(self) -> None:
        for instance_id, row in self._rows.items():
            if row.lane == self._lane:
                self._owned[instance_id] = row
            else:
                self._owned.pop(instance_id, None)

    # --- creates -------------------------------------------------------------------------------

    def _create(self, creates: list[NewInstance]) -> frozenset[int]:
        refused: set[int] = set()
        replaced: list[int] = []
        fresh: set[str] = set()
        (last,) = self._database.rows("SELECT coalesce(max(ordinal), 0) FROM instances")[0]
        for position, new in enumerate(creates):
            existing = self._rows.get(new.instance_id)
            if existing is not None:
                if new.instance_id in fresh or not may_replace(new, existing):
                    refused.add(position)
                    continue
                replaced.append(existing.ordinal)
            last += 1
            fresh.add(new.instance_id)
            self._fresh[last] = self._new_row(new, last)
        if replaced:
            erase(self._database, replaced)
        refusals = [creates[position].refusal for position in sorted(refused)]
        self._deliver([refusal for refusal in refusals if refusal is not None])
        return frozenset(refused)

    def _new_row(self, new: NewInstance, ordinal: int) -> list[Any]:
        parent = new.parent
        parent_id = parent.instance_id if parent is not None else None
        owner = self._lane if new.owned else 0
        self._rows[new.instance_id] = Standing(
            ordinal, new.execution_id, owner, "PENDING", parent_id
        )
        return [
            ordinal,
            self._hub,
            new.instance_id,
            new.execution_id,
            owner,
            None if owner else max(self._now, new.start_at),
            self._now,
            new.start_at,
            new.name,
            new.version,
            new.created_at,
            parent_id,
            None if parent is None else encode(parent),
            None if new.tags is None else encode(new.tags),
            new.input,
            "PENDING",
            1,
        ]

    def _insert_fresh(self) -> None:
        """Write the new instances, as their first turns in this batch have left them."""
        self._database.spread(NEW_INSTANCE, places(17), list(self._fresh.values()))
        self._fresh = {}

    # --- turns ---------------------------------------------------------------------------------

    def _turns(self, turns: list[Turn]) -> None:
        """Apply turns of different instances."""
        chunks: list[tuple[Any, ...]] = []
        consumed: list[tuple[int, int]] = []
        timers: list[tuple[Any, ...]] = []
        changes: dict[tuple[str, ...], list[list[Any]]] = {}
        ended: list[int] = []
        renewed: list[int] = []
        for turn in turns:
            row = self._owned_row(turn)
            ordinal = row.ordinal
            chunks.append((entry(ordinal, turn.sequence), turn.recorded_at, turn.chunk))
            if turn.consumed or turn.timers:
                consumed += [(message_id, ordinal) for message_id in turn.consumed]
                timers += [message_row(ordinal, timer, self._now, 1) for timer in turn.timers]
                self._touched.add(ordinal)
            if turn.update is not None or turn.next is not None or turn.crashes_cleared:
                columns = changed(turn)
                row.status = columns.get("status", row.status)
                self._move(turn, row)
                if ordinal in self._fresh and columns.keys() <= BORN_WITH.keys():
                    # The usual first turn: what it changes is written with the new row.
                    for name, value in columns.items():
                        self._fresh[ordinal][BORN_WITH[name]] = value
                elif columns:
                    changes.setdefault(tuple(columns), []).append([ordinal, *columns.values()])
                if row.status in FINISHED_STATUSES:
                    ended.append(ordinal)
                elif turn.next is not None:
                    renewed.append(ordinal)
        if self._fresh:
            self._insert_fresh()
        self._append(chunks)
        self._consume(consumed)
        if timers:
            self._database.spread(NEW_MESSAGE, places(5), timers)
        for names, values in changes.items():
            self._change(names, values)
        self._end_executions(ended, renewed)

    def _owned_row(self, turn: Turn) -> Standing:
        row = self._rows.get(turn.instance_id)
        if row is None or row.lane != self._lane or row.execution_id != turn.execution_id:
            raise LaneFencedError(
                f"lane {self._lane} does not own the instance {turn.instance_id!r} under execution "
                f"{turn.execution_id!r}: nothing of the batch was written. Drop what the lane holds"
            )
        return row

    def _append(self, chunks: list[tuple[Any, ...]]) -> None:
        try:
            self._database.spread("INSERT INTO history VALUES ", "(?,?,?)", chunks)
        except sqlite3.IntegrityError as error:
            raise LaneFencedError(
                f"a turn of the batch of lane {self._lane} is in the history already, so somebody "
                "else has written it; nothing of the batch was. Drop what the lane holds"
            ) from error

    def _consume(self, consumed: list[tuple[int, int]]) -> None:
        head, tail = CONSUME
        if consumed and self._database.spread(head, "(?,?)", consumed, tail) != len(consumed):
            raise LaneFencedError(
                f"a message that lane {self._lane} has consumed is not in its inbox any more: "
                "nothing of the batch was written. Drop what the lane holds"
            )

    def _move(self, turn: Turn, row: Standing) -> None:
        """Keep account of where a turn takes its instance."""
        if row.status in FINISHED_STATUSES:
            row.lane = 0
        elif turn.next is not None:
            row.execution_id = turn.next.execution_id
            self._touched.add(row.ordinal)

    def _change(self, names: tuple[str, ...], values: list[list[Any]]) -> None:
        """Set the columns ``names``; each row of ``values`` begins with the ordinal."""
        self._database.spread(
            change(names), places(len(names) + 1), values, ") AS v WHERE ordinal = v.column1"
        )

    def _end_executions(self, ended: list[int], renewed: list[int]) -> None:
        if ended:
            self._database.run(f"DELETE FROM inbox WHERE instance IN {THESE}", (numbers(ended),))
        if renewed:
            these = (numbers(renewed),)
            self._database.run(f"DELETE FROM history WHERE {THEIR_ENTRIES}", these)
            self._database.run(f"DELETE FROM inbox WHERE bound AND instance IN {THESE}", these)

    # --- messages ------------------------------------------------------------------------------

    def _tell_children(self) -> None:
        rows: list[tuple[Any, ...]] = []
        children: set[int] = set()
        for turn in self._batch.turns:
            if turn.to_children is not None:
                for (child,) in self._database.rows(CHILDREN, (self._hub, turn.instance_id)):
                    rows.append((child, self._now, 0, 1, turn.to_children))
                    children.add(child)
        self._database.spread(NEW_MESSAGE, places(5), rows)
        self._unpark(children)

    def _unpark(self, ordinals: set[int]) -> None:
        if ordinals:
            self._database.run(UNPARK, (self._now, numbers(ordinals)))
            self._touched |= ordinals

    def _deliver(self, messages: Iterable[Message]) -> frozenset[int]:
        """Put messages into inboxes. Returns the positions of those without a receiver."""
        rows: list[tuple[Any, ...]] = []
        missing: set[int] = set()
        unparked: set[int] = set()
        for position, message in enumerate(messages):
            receiver = self._rows.get(message.instance_id)
            if receiver is None:
                missing.add(position)
            elif receiver.receives(message):
                bound = int(message.execution_id is not None)
                rows.append(message_row(receiver.ordinal, message, self._now, bound))
                self._touched.add(receiver.ordinal)
                if message.unpark:
                    unparked.add(receiver.ordinal)
        self._database.spread(NEW_MESSAGE, places(5), rows)
        self._unpark(unparked)
        return frozenset(missing)

    # --- activities ----------------------------------------------------------------------------

    def _queue(self) -> None:
        rows = [
            (
                self._hub,
                self._rows[row.instance_id].ordinal,
                row.execution_id,
                row.task_id,
                row.name,
                self._now,
                row.body,
            )
            for row in self._batch.activities
            if row.instance_id in self._rows
        ]
        self._database.spread(NEW_ACTIVITY, places(7), rows)

    def _finish(self) -> None:
        claims = [(outcome.activity_id, outcome.token) for outcome in self._batch.finished]
        ours = {
            activity_id
            for (activity_id,) in self._database.gather(
                "SELECT activity_id FROM (VALUES ",
                "(?,?)",
                claims,
                f") AS v CROSS JOIN activities ON {CLAIMED}",
            )
        }
        if ours:
            self._database.run(
                f"DELETE FROM activities WHERE activity_id IN {THESE}", (numbers(ours),)
            )
            accepted: list[Message] = []
            for outcome in self._batch.finished:
                if outcome.activity_id in ours:
                    ours.discard(outcome.activity_id)
                    accepted.append(outcome.message)
            self._deliver(accepted)

    def _return(self) -> None:
        self._database.spread(
            "UPDATE activities SET lane = 0 FROM (VALUES ",
            "(?,?)",
            self._batch.returned,
            f") AS v WHERE {CLAIMED}",
        )

    # --- ownership -----------------------------------------------------------------------------

    def _give_up(self) -> None:
        parked: list[list[Any]] = []
        released: list[list[Any]] = []
        for park in self._batch.parked:
            row = self._rows.get(park.instance_id)
            if row is not None and row.lane == self._lane and row.execution_id == park.execution_id:
                row.lane = 0
                parked.append([row.ordinal, 0, self._now, park.reason, park.code])
        for instance_id, busy in self._batch.released:
            row = self._rows.get(instance_id)
            if row is not None and row.lane == self._lane:
                row.lane = 0
                released.append([row.ordinal, 0, self._now, int(busy)])
        self._change(("lane", "freed_at", "parked", "parked_code"), parked)
        self._change(("lane", "freed_at", "busy"), released)
        self._touched.update(row[0] for row in parked)
        self._touched.update(row[0] for row in released)


CLEAN = CommitResult()

THESE = "(SELECT value FROM json_each(?))"


def waves(turns: list[Turn]) -> Iterator[list[Turn]]:
    """Cut the turns where an instance comes again: its earlier turn has to be written first."""
    wave: list[Turn] = []
    seen: set[str] = set()
    for turn in turns:
        if turn.instance_id in seen:
            yield wave
            wave = []
            seen.clear()
        seen.add(turn.instance_id)
        wave.append(turn)
    if wave:
        yield wave


def message_row(ordinal: int, message: Message, now: int, bound: int) -> tuple[Any, ...]:
    """A row of the inbox. What is visible at once is visible since now."""
    return (ordinal, message.visible_at or now, bound, int(message.urgent), message.body)


@cache
def change(names: tuple[str, ...]) -> str:
    """The head of a statement that sets columns of instances."""
    assignments = ", ".join(f"{name} = v.column{n}" for n, name in enumerate(names, start=2))
    return f"UPDATE instances SET {assignments} FROM (VALUES "


@cache
def places(count: int) -> str:
    """A row of parameters."""
    return "(" + ",".join("?" * count) + ")"
