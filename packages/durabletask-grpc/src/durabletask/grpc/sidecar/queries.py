"""The rpcs of clients that concern many instances, and histories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from google.protobuf.wrappers_pb2 import BoolValue

from durabletask.errors import InvalidRequestError
from durabletask.grpc.convert import (
    plain_events,
    read_query,
    read_statuses,
    state_message,
    text_value,
)
from durabletask.grpc.extensions import QUERY
from durabletask.grpc.protocol import pb
from durabletask.grpc.sidecar.chunks import history_chunks
from durabletask.state import FINISHED, OrchestrationQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durabletask.grpc.sidecar.calls import Call, Unary

__all__ = ["QUERY_CALLS", "stream_history"]

_MESSAGE = 3 * 1024 * 1024
"""Bytes of an answer; clients take 4 MiB unless they were told otherwise."""

_LARGEST_BATCH = 500
_PAGE = 100

_decode_query = msgspec.json.Decoder(OrchestrationQuery).decode


def _whole_query(call: Call) -> OrchestrationQuery | None:
    """The query as our own backend sends it, if it does."""
    told = call.metadata.get(QUERY)
    if told is None:
        return None
    try:
        return _decode_query(told)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequestError(f"the query in {QUERY} cannot be read: {error}") from None


async def _query(call: Call, request: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:
    """One page; smaller than asked for if it would be too large a message."""
    query = _whole_query(call) or read_query(request.query)
    payloads = request.query.fetchInputsAndOutputs
    while True:
        page = await call.hub.backend.query_instances(query)
        answer = pb.QueryInstancesResponse(
            orchestrationState=[state_message(state, payloads=payloads) for state in page.items],
            continuationToken=text_value(page.continuation_token),
        )
        if len(page.items) <= 1 or answer.ByteSize() <= _MESSAGE:
            return answer
        query = msgspec.structs.replace(query, page_size=len(page.items) // 2)


async def _list_ids(call: Call, request: pb.ListInstanceIdsRequest) -> pb.ListInstanceIdsResponse:
    wanted = read_statuses(request.runtimeStatus) or FINISHED
    answer = pb.ListInstanceIdsResponse()
    if not wanted & FINISHED:
        return answer
    converted = read_query(
        pb.InstanceQuery(
            createdTimeFrom=request.completedTimeFrom
            if request.HasField("completedTimeFrom")
            else None,
            createdTimeTo=request.completedTimeTo if request.HasField("completedTimeTo") else None,
            maxInstanceCount=request.pageSize or _PAGE,
            continuationToken=text_value(request.lastInstanceKey.value or None),
        )
    )
    query = msgspec.structs.replace(
        converted,
        statuses=wanted & FINISHED,
        created_from=None,
        created_to=None,
        completed_from=converted.created_from,
        completed_to=converted.created_to,
        fetch_payloads=False,
    )
    page = await call.hub.backend.query_instances(query)
    answer.instanceIds.extend(state.instance_id for state in page.items)
    if page.continuation_token is not None:
        answer.lastInstanceKey.value = page.continuation_token
    return answer


async def _purge(call: Call, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
    targets: list[str | OrchestrationQuery]
    match request.WhichOneof("request"):
        case "instanceId":
            targets = [request.instanceId]
        case "instanceBatch":
            targets = [*request.instanceBatch.instanceIds]
            if len(targets) > _LARGEST_BATCH:
                raise InvalidRequestError(
                    f"a batch may name {_LARGEST_BATCH} instances, not {len(targets)}"
                )
        case "purgeInstanceFilter":
            targets = [_whole_query(call) or _purged(request.purgeInstanceFilter)]
        case _:
            raise InvalidRequestError("a purge names an instance, a batch or a filter")
    deleted = 0
    for target in targets:
        purged = await call.hub.backend.purge_instances(target, recursive=request.recursive)
        deleted += purged.deleted_instance_count
    return pb.PurgeInstancesResponse(deletedInstanceCount=deleted, isComplete=BoolValue(value=True))


def _purged(filter: pb.PurgeInstanceFilter) -> OrchestrationQuery:
    created = {
        field: getattr(filter, field)
        for field in ("createdTimeFrom", "createdTimeTo")
        if filter.HasField(field)
    }
    return read_query(pb.InstanceQuery(runtimeStatus=filter.runtimeStatus, **created))


async def stream_history(
    call: Call, request: pb.StreamInstanceHistoryRequest
) -> AsyncGenerator[pb.HistoryChunk, None]:
    """The history of an instance, or all past events of the turn that a worker has.

    Raises:
        InstanceNotFoundError: there is no such instance.
    """
    if request.forWorkItemProcessing:
        delivery = call.hub.desk.turn_out(request.instanceId, request.executionId.value)
        if delivery is None:
            return  # lost meanwhile: the worker's answer would change nothing
        [events] = await delivery.source.load_history([delivery.item])  # type: ignore[list-item]
        if delivery.stream is not None and delivery.stream.is_ours:
            events = plain_events(events)
    else:
        events = await call.hub.backend.get_history(request.instanceId)
    for chunk in history_chunks(events):
        yield chunk


QUERY_CALLS: dict[str, Unary] = {
    "QueryInstances": _query,
    "ListInstanceIds": _list_ids,
    "PurgeInstances": _purge,
}
"""Every rpc about many instances."""
