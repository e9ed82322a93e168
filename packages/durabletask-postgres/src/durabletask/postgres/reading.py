"""Reading instances: rows to records, and queries to arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.errors import InvalidRequestError
from durabletask.store import InstanceRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from durabletask.state import OrchestrationQuery

__all__ = ["page", "query_arguments", "record"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

decode_tags = msgspec.json.Decoder(dict[str, str]).decode
decode_token = msgspec.json.Decoder(tuple[int, str]).decode
to_json = msgspec.json.Encoder().encode


def record(row: Record) -> InstanceRecord:
    """A row of ``instances_v1`` or ``query_v1`` as callers see it."""
    tags = row["tags"]
    return InstanceRecord(
        instance_id=row["instance_id"],
        execution_id=row["execution_id"],
        name=row["name"],
        version=row["version"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
        input=row["input"],
        output=row["output"],
        failure=row["failure"],
        custom_status=row["custom_status"],
        tags=None if tags is None else decode_tags(tags),
        parent_instance_id=row["parent_id"],
        parked=row["parked"],
    )


def query_arguments(query: OrchestrationQuery) -> tuple[Any, ...]:
    """The arguments of ``query_v1`` after the hub. One row more than the page, to see the next.

    Raises:
        InvalidRequestError: the continuation token is none of ours.
    """
    token = query.continuation_token
    created, instance_id = (None, None) if token is None else position(token)
    return (
        sorted(status.value for status in query.statuses) or None,
        query.name,
        query.instance_id_prefix or None,
        to_json(query.tags).decode() if query.tags else None,
        instant(query.created_from),
        instant(query.created_to),
        instant(query.completed_from),
        instant(query.completed_to),
        created,
        instance_id,
        query.page_size + 1,
        query.fetch_payloads,
    )


def page(rows: Sequence[Record], size: int) -> tuple[list[InstanceRecord], str | None]:
    """The records of one page, and the token of the next."""
    records = [record(row) for row in rows[:size]]
    if len(rows) <= size:
        return records, None
    return records, to_json((records[-1].created_at, records[-1].instance_id)).decode()


def instant(moment: datetime | None) -> int | None:
    """An aware moment in the unit of the columns, exactly."""
    return None if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def position(token: str) -> tuple[int, str]:
    """Where the last page ended."""
    try:
        return decode_token(token)
    except msgspec.MsgspecError as error:
        raise InvalidRequestError(
            f"the continuation token {token!r} was not given by a query of this backend"
        ) from error
