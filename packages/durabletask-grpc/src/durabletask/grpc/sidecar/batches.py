"""Our own rpcs: work items and outcomes, many in one message."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from durabletask.grpc.protocol import batches, pb
from durabletask.grpc.sidecar.many import start_instances, wait_for_completions
from durabletask.grpc.sidecar.work import (
    complete_activity,
    complete_entity,
    complete_turn,
    work_items,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from durabletask.grpc.sidecar.calls import Call, Streaming, Unary

__all__ = ["BATCH_CALLS", "BATCH_STREAMS"]

_BYTES = 1024 * 1024
"""Of a batch, unless a single item is larger."""


async def _get_work_items(
    call: Call, request: batches.Packed
) -> AsyncGenerator[batches.WorkItems, None]:
    wanted = pb.GetWorkItemsRequest.FromString(request.message)
    async with aclosing(work_items(call, wanted)) as ready:
        async for messages in ready:
            batch, size = batches.WorkItems(), 0
            for message in messages:
                packed = message.SerializeToString()
                if size and size + len(packed) > _BYTES:
                    yield batch
                    batch, size = batches.WorkItems(), 0
                batch.items.append(packed)
                size += len(packed)
            if batch.items:
                yield batch


async def _complete(call: Call, request: batches.Outcomes) -> batches.Receipt:
    """Take all of them; if one cannot be read, none, and the worker sends each by itself."""
    turns = [pb.OrchestratorResponse.FromString(packed) for packed in request.turns]
    activities = [pb.ActivityResponse.FromString(packed) for packed in request.activities]
    entities = [pb.EntityBatchResult.FromString(packed) for packed in request.entities]
    desk = call.hub.desk
    for turn in turns:
        complete_turn(desk, turn)
    for activity in activities:
        complete_activity(desk, activity)
    for entity in entities:
        complete_entity(desk, entity)
    return batches.Receipt()


BATCH_CALLS: dict[str, Unary] = {"Complete": _complete, "StartInstances": start_instances}
BATCH_STREAMS: dict[str, Streaming] = {
    "GetWorkItems": _get_work_items,
    "WaitForCompletions": wait_for_completions,
}
