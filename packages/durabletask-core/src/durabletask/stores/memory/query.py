"""Reading instances, and deleting finished ones."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Annotated

import msgspec

from durabletask.engine import to_micros
from durabletask.errors import InvalidRequestError
from durabletask.store.batch import FINISHED_STATUSES
from durabletask.store.record import InstanceRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from durabletask.state import OrchestrationQuery
    from durabletask.stores.memory.hub import Hub
    from durabletask.stores.memory.rows import Instance

__all__ = ["find", "purge", "record"]

_encode_token = msgspec.json.Encoder().encode
_Micros = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_decode_token = msgspec.json.Decoder(tuple[_Micros, str]).decode


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


def find(hub: Hub, wanted: OrchestrationQuery) -> tuple[list[InstanceRecord], str | None]:
    """One page ordered by ``(created_at, instance_id)``, and the next page's token.

    Raises:
        InvalidRequestError: the continuation token is none of ours.
    """
    after = _position(wanted.continuation_token)
    rows: Iterable[Instance] = _matching(hub, wanted)
    if after is not None:
        rows = (row for row in rows if _key(row) > after)
    page = nsmallest(wanted.page_size + 1, rows, key=_key)
    records = [record(row, payloads=wanted.fetch_payloads) for row in page[: wanted.page_size]]
    if len(page) <= wanted.page_size:
        return records, None
    return records, _encode_token(_key(page[wanted.page_size - 1])).decode()


def _key(row: Instance) -> tuple[int, str]:
    return (row.created_at, row.instance_id)


def _position(token: str | None) -> tuple[int, str] | None:
    if token is None:
        return None
    try:
        return _decode_token(token)
    except msgspec.MsgspecError as error:
        raise InvalidRequestError(
            f"the continuation token {token!r} was not given by a query of this backend"
        ) from error


def _matching(hub: Hub, wanted: OrchestrationQuery) -> list[Instance]:
    statuses = {status.value for status in wanted.statuses}
    created = (_instant(wanted.created_from), _instant(wanted.created_to))
    completed = (_instant(wanted.completed_from), _instant(wanted.completed_to))
    return [
        row
        for row in hub.instances.values()
        if (not statuses or row.status in statuses)
        and (wanted.name is None or row.name == wanted.name)
        and row.instance_id.startswith(wanted.instance_id_prefix or "")
        and wanted.tags.items() <= (row.tags or {}).items()
        and _within(row.created_at, *created)
        and _within(row.completed_at, *completed)
    ]


def _instant(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _within(instant: int | None, start: int | None, end: int | None) -> bool:
    if start is None and end is None:
        return True
    return (
        instant is not None
        and (start is None or start <= instant)
        and (end is None or instant < end)
    )


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
