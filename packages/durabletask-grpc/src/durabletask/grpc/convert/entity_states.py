"""What clients see of entities as messages and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.engine import from_micros
from durabletask.entities import EntityId, EntityQuery, EntityState
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    text_value,
    timestamp_of,
)
from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["entity_message", "entity_query_message", "read_entity", "read_entity_query"]

_LARGEST_PAGE = 1000
_PAGE = 100


def entity_message(state: EntityState, *, is_strict: bool = False) -> pb.EntityMetadata:
    """An entity; for callers of ours an empty text stands for a state that is not sent along."""
    shown = state.serialized_state
    if shown is None and state.has_state and is_strict:
        shown = ""
    return pb.EntityMetadata(
        instanceId=str(state.entity_id),
        lastModifiedTime=timestamp_of(state.last_modified),
        backlogQueueSize=state.backlog,
        lockedBy=text_value(state.locked_by),
        serializedState=text_value(shown),
    )


def read_entity(message: pb.EntityMetadata, *, include_state: bool) -> EntityState:
    """The entity of a message.

    Raises:
        InvalidRequestError: it is of no entity, or was changed at no instant.
    """
    return EntityState(
        entity_id=EntityId.parse(message.instanceId),
        last_modified=from_micros(read_instant(message.lastModifiedTime)),
        serialized_state=optional_text(message, "serializedState") if include_state else None,
        has_state=message.HasField("serializedState"),
        locked_by=optional_text(message, "lockedBy"),
        backlog=message.backlogQueueSize,
    )


def entity_query_message(query: EntityQuery, *, include_state: bool) -> pb.EntityQuery:
    """A query as a message."""
    prefix = None if query.name is None else f"@{query.name.lower()}@{query.key_prefix or ''}"
    start, end = query.modified_from, query.modified_to
    message = pb.EntityQuery(
        instanceIdStartsWith=text_value(prefix),
        lastModifiedFrom=None if start is None else timestamp_of(start),
        lastModifiedTo=None if end is None else timestamp_of(end),
        includeState=include_state,
        includeTransient=query.include_transient,
        continuationToken=text_value(query.continuation_token),
    )
    message.pageSize.value = query.page_size
    return message


def read_entity_query(message: pb.EntityQuery) -> tuple[EntityQuery, str]:
    """The query of a message, and the text with which the ids of what it finds have to begin.

    A page may hold more than that: we look for whole names only.
    """
    prefix = message.instanceIdStartsWith.value
    if prefix and not prefix.startswith("@"):
        prefix = f"@{prefix}"
    name, mark, key = prefix[1:].partition("@")
    wanted = message.pageSize.value
    query = EntityQuery(
        name=name if mark and name else None,
        key_prefix=key if mark and name and key else None,
        modified_from=_instant_or_none(message, "lastModifiedFrom"),
        modified_to=_instant_or_none(message, "lastModifiedTo"),
        include_state=message.includeState,
        include_transient=message.includeTransient,
        page_size=min(wanted, _LARGEST_PAGE) if wanted > 0 else _PAGE,
        continuation_token=optional_text(message, "continuationToken"),
    )
    return query, f"@{name.lower()}{mark}{key}" if prefix else ""


def _instant_or_none(message: object, field: str) -> datetime | None:
    if not message.HasField(field):  # type: ignore[attr-defined]
        return None
    return from_micros(read_instant(getattr(message, field)))
