"""Reading instances and histories, and deleting instances that are finished or idle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.engine import to_micros
from durabletask.entities import is_entity
from durabletask.store import InstanceRecord
from durabletask.store.query import position_of, token_of
from durabletask.stores.sqlite.erase import erase
from durabletask.stores.sqlite.schema import OF_ENTITIES, OF_ORCHESTRATIONS, entries
from durabletask.stores.sqlite.values import decode_tags, encode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from durabletask.state import OrchestrationQuery
    from durabletask.stores.sqlite.database import Database

__all__ = ["find", "get", "histories", "purge", "purge_idle"]

COLUMNS = f"""
SELECT instance_id, execution_id, name, version, status, created_at,
    coalesce((
        SELECT h.recorded_at FROM history AS h WHERE {entries("ordinal")}
        ORDER BY entry DESC LIMIT 1
    ), nullif(recorded_at, 0), created_at),
    completed_at, failure, tags, parent_id, parked, {{payloads}}
FROM instances
"""

WITH_PAYLOADS = COLUMNS.format(payloads="input, output, custom_status")
WITHOUT_PAYLOADS = COLUMNS.format(payloads="NULL, NULL, NULL")

CHUNKS = f"""
SELECT chunk FROM instances CROSS JOIN history ON {entries("ordinal")}
WHERE hub = ? AND instance_id = ? AND execution_id = ?
ORDER BY entry
"""

IDLE = (
    "SELECT ordinal FROM instances "
    "WHERE lane = 0 AND wake_at IS NULL AND parked IS NULL AND status = 'PENDING' "
    "AND NOT EXISTS (SELECT 1 FROM activities WHERE instance = instances.ordinal) "
    "AND hub = {hub:d} AND instance_id IN ("
)
"""Instances that wait for nothing. Of one that nobody owns, that is not parked and that has not
finished, a NULL ``wake_at`` says all the rest: it has had a turn in its execution, it is not busy,
and it has no message, visible or not. Activities alone are not in it."""

TAGGED = "EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)"


def record(row: tuple[Any, ...]) -> InstanceRecord:
    """A row of ``COLUMNS`` as callers see it."""
    return InstanceRecord(
        instance_id=row[0],
        execution_id=row[1],
        name=row[2],
        version=row[3],
        status=row[4],
        created_at=row[5],
        updated_at=row[6],
        completed_at=row[7],
        failure=row[8],
        tags=None if row[9] is None else decode_tags(row[9]),
        parent_instance_id=row[10],
        parked=row[11],
        input=row[12],
        output=row[13],
        custom_status=row[14],
    )


def get(
    database: Database, hub: int, instance_ids: Sequence[str], *, payloads: bool
) -> dict[str, InstanceRecord]:
    """The rows of those instances that exist."""
    select = WITH_PAYLOADS if payloads else WITHOUT_PAYLOADS
    rows = database.gather(
        f"{select} WHERE hub = {hub:d} AND instance_id IN (",
        "?",
        [(instance_id,) for instance_id in instance_ids],
        ")",
    )
    return {row[0]: record(row) for row in rows}


def histories(
    database: Database, hub: int, executions: Sequence[tuple[str, str]]
) -> list[list[bytes]]:
    """The chunks of each execution; none for one that is not the instance's current one."""
    return [
        [chunk for (chunk,) in database.rows(CHUNKS, (hub, *execution))] for execution in executions
    ]


# --- queries -----------------------------------------------------------------------------------


def find(
    database: Database, hub: int, query: OrchestrationQuery
) -> tuple[list[InstanceRecord], str | None]:
    """One page ordered by ``(created_at, instance_id)``, and the next page's token.

    Raises:
        InvalidRequestError: the continuation token is none of ours.
    """
    conditions = Conditions(hub)
    conditions.add_all(query)
    sql = page(conditions, payloads=query.fetch_payloads)
    rows = database.rows(sql, (*conditions.values, query.page_size + 1))
    records = [record(row) for row in rows[: query.page_size]]
    if len(rows) <= query.page_size:
        return records, None
    return records, token_of((records[-1].created_at, records[-1].instance_id))


def page(conditions: Conditions, *, payloads: bool) -> str:
    """The statement that reads a page; its last parameter is how many rows at most."""
    select = WITH_PAYLOADS if payloads else WITHOUT_PAYLOADS
    return f"{select} WHERE {conditions.sql} ORDER BY created_at, instance_id LIMIT ?"


class Conditions:
    """A WHERE clause in the making: fixed texts, with every value bound."""

    def __init__(self, hub: int) -> None:
        self._texts = ["hub = ?"]
        self.values: list[object] = [hub]

    @property
    def sql(self) -> str:
        """The clause, for ``values`` in their order."""
        return " AND ".join(self._texts)

    def add(self, text: str, *values: object) -> None:
        """Narrow the answer."""
        self._texts.append(text)
        self.values += values

    def add_all(self, query: OrchestrationQuery) -> None:
        """Narrow the answer by every given field of a query."""
        if query.statuses:
            statuses = encode(sorted(status.value for status in query.statuses))
            self.add("status IN (SELECT value FROM json_each(?))", statuses)
        if query.name is not None:
            self.add("name = ?", query.name)
        prefix = query.instance_id_prefix or ""
        self.add(OF_ENTITIES if is_entity(prefix) else OF_ORCHESTRATIONS)
        if prefix:
            self.add("substr(instance_id, 1, ?) = ?", len(prefix), prefix)
        for key, value in query.tags.items():
            self.add(TAGGED, key, value)
        self._add_range("created_at", query.created_from, query.created_to)
        self._add_range("completed_at", query.completed_from, query.completed_to)
        after = position_of(query.continuation_token)
        if after is not None:
            self.add("(created_at, instance_id) > (?, ?)", *after)

    def _add_range(self, column: str, start: datetime | None, end: datetime | None) -> None:
        if start is not None:
            self.add(f"{column} >= ?", to_micros(start))
        if end is not None:
            self.add(f"{column} < ?", to_micros(end))


# --- purge -------------------------------------------------------------------------------------


def purge(database: Database, hub: int, instance_ids: Sequence[str], *, recursive: bool) -> int:
    """Delete the finished ones, and on request their finished descendants. In a transaction.

    Descendants are reached through what is deleted: those of an unfinished child stay.
    """
    doomed: dict[str, int] = {}
    column, ids = "instance_id", list(instance_ids)
    while ids:
        found = database.gather(
            "SELECT instance_id, ordinal FROM instances WHERE completed_at IS NOT NULL "
            f"AND hub = {hub:d} AND {column} IN (",
            "?",
            [(instance_id,) for instance_id in ids],
            ")",
        )
        fresh = {name: ordinal for name, ordinal in found if name not in doomed}
        doomed |= fresh
        column, ids = "parent_id", list(fresh) if recursive else []
    erase(database, doomed.values())
    return len(doomed)


def purge_idle(database: Database, hub: int, instance_ids: Sequence[str]) -> int:
    """Delete those that wait for nothing. In a transaction.

    Writers come one after another, so a batch is applied before this or after it as a whole: what
    it has not found it has created.
    """
    ids = [(instance_id,) for instance_id in instance_ids]
    found = database.gather(IDLE.format(hub=hub), "?", ids, ")")
    idle = {ordinal for (ordinal,) in found}
    erase(database, idle)
    return len(idle)
