"""Reading instances, and deleting finished ones."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

from durabletask.store.batch import FINISHED_STATUSES
from durabletask.store.query import Wanted, position_of, token_of
from durabletask.store.record import InstanceRecord
from durabletask.stores.memory.rows import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.state import OrchestrationQuery
    from durabletask.store.query import Position
    from durabletask.stores.memory.hub import Hub
    from durabletask.stores.memory.rows import Instance

__all__ = ["find", "purge", "purge_idle", "record"]


def record(row: Instance, *, payloads: bool) -> InstanceRecord:
    """The row as callers see it."""
    return InstanceRecord(
        instance_id=row.instance_id,
        execution_id=row.execution_id,
        name=row.name,
        version=row.version,
        status=row.status,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        input=row.input if payloads else None,
        output=row.output if payloads else None,
        failure=row.failure,
        custom_status=row.custom_status if payloads else None,
        tags=row.tags,
        parent_instance_id=row.parent.instance_id if row.parent is not None else None,
        parked=row.parked,
    )


# --- queries -----------------------------------------------------------------------------------


def find(hub: Hub, query: OrchestrationQuery) -> tuple[list[InstanceRecord], str | None]:
    """One page ordered by ``(created_at, instance_id)``, and the next page's token.

    Raises:
        InvalidRequestError: the continuation token is none of ours.
    """
    after = position_of(query.continuation_token)
    wanted = Wanted.of(query)
    rows = (row for row in hub.instances.values() if wanted.fits(row))
    if after is not None:
        rows = (row for row in rows if _key(row) > after)
    page = nsmallest(query.page_size + 1, rows, key=_key)
    records = [record(row, payloads=query.fetch_payloads) for row in page[: query.page_size]]
    if len(page) <= query.page_size:
        return records, None
    return records, token_of(_key(page[query.page_size - 1]))


def _key(row: Instance) -> Position:
    return (row.created_at, row.instance_id)


# --- purge -------------------------------------------------------------------------------------


def purge(hub: Hub, instance_ids: Iterable[str], *, recursive: bool) -> int:
    """Delete the finished ones of the ids, and on request their finished descendants."""
    doomed: dict[str, Instance] = {}
    waiting = list(instance_ids)
    while waiting:
        instance_id = waiting.pop()
        row = hub.instances.get(instance_id)
        if row is None or instance_id in doomed or row.status not in FINISHED_STATUSES:
            continue
        doomed[instance_id] = row
        if recursive:
            waiting += hub.children.get(instance_id, {})
    for row in doomed.values():
        hub.remove(row)
    return len(doomed)


def purge_idle(hub: Hub, instance_ids: Iterable[str]) -> int:
    """Delete those of the ids that are PENDING, unowned, and wait for nothing."""
    idle = [
        row
        for instance_id in dict.fromkeys(instance_ids)
        if (row := hub.instances.get(instance_id)) is not None
        and row.status == "PENDING"
        and row.owner == NOBODY
        and row.parked is None
        and not (row.runnable or row.hidden or hub.queued.get(instance_id))
    ]
    for row in idle:
        hub.remove(row)
    return len(idle)
