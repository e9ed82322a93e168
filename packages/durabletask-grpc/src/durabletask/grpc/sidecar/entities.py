"""The rpcs of clients that concern entities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.grpc.convert import (
    entity_message,
    optional_text,
    read_entity_query,
    read_instant,
    text_value,
)
from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from durabletask.grpc.sidecar.calls import Call, Unary

__all__ = ["ENTITY_CALLS"]

_MESSAGE = 3 * 1024 * 1024
"""Bytes of an answer; clients take 4 MiB unless they were told otherwise."""


async def _signal(call: Call, request: pb.SignalEntityRequest) -> pb.SignalEntityResponse:
    call.hub.backend.capabilities.require("entities")
    # Some SDKs always send the instant; the epoch is none.
    at = read_instant(request.scheduledTime)
    await call.hub.backend.signal_entity(
        request.instanceId,
        request.name,
        optional_text(request, "input"),
        at if at > 0 else None,
    )
    return pb.SignalEntityResponse()


async def _get(call: Call, request: pb.GetEntityRequest) -> pb.GetEntityResponse:
    """The entity. To SDKs of others one without a state does not exist: some break at it."""
    call.hub.backend.capabilities.require("entities")
    state = await call.hub.backend.get_entity(
        request.instanceId, include_state=request.includeState
    )
    if state is None or not (state.has_state or call.is_strict):
        return pb.GetEntityResponse(exists=False)
    return pb.GetEntityResponse(exists=True, entity=entity_message(state, is_strict=call.is_strict))


async def _query(call: Call, request: pb.QueryEntitiesRequest) -> pb.QueryEntitiesResponse:
    """One page; smaller than asked for if it would be too large a message."""
    call.hub.backend.capabilities.require("entities")
    query, prefix = read_entity_query(request.query)
    while True:
        page = await call.hub.backend.query_entities(query)
        answer = pb.QueryEntitiesResponse(
            entities=[
                entity_message(state, is_strict=call.is_strict)
                for state in page.items
                if str(state.entity_id).startswith(prefix)
            ],
            continuationToken=text_value(page.continuation_token),
        )
        if query.page_size <= 1 or answer.ByteSize() <= _MESSAGE:
            return answer
        query = msgspec.structs.replace(query, page_size=query.page_size // 2)


async def _clean(
    call: Call, request: pb.CleanEntityStorageRequest
) -> pb.CleanEntityStorageResponse:
    """Backends release the locks of executions that have ended by themselves: none is orphaned."""
    call.hub.backend.capabilities.require("entities")
    removed = 0
    if request.removeEmptyEntities:
        removed = await call.hub.backend.clean_entity_storage()
    return pb.CleanEntityStorageResponse(emptyEntitiesRemoved=removed)


ENTITY_CALLS: dict[str, Unary] = {
    "SignalEntity": _signal,
    "GetEntity": _get,
    "QueryEntities": _query,
    "CleanEntityStorage": _clean,
}
"""Every rpc of clients about entities."""
