"""Work items as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem, EntityWorkItem, OrchestrationWorkItem
from durabletask.grpc.convert import (
    add_events,
    entity_request,
    operation_batch,
    plain_events,
    requests_of,
    text_value,
    texts_in,
)
from durabletask.grpc.extensions import CONTINUES, NAME, REQUESTS, SEQUENCE, VERSION
from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.grpc.sidecar.delivery import Delivery
    from durabletask.grpc.sidecar.desk import Desk
    from durabletask.history import HistoryEvent

__all__ = ["item_messages"]

_INLINE = 1024 * 1024
"""Bytes of history sent with an item to a worker that could fetch it itself."""


async def item_messages(deliveries: Sequence[Delivery], desk: Desk) -> list[pb.WorkItem]:
    """The messages of what is to be sent; each is out from here on.

    The histories that go with them are read together. A turn that was lost while they were is
    left out.
    """
    histories = await _histories(deliveries)
    messages: list[pb.WorkItem] = []
    for delivery in deliveries:
        item = delivery.item
        if isinstance(item, ActivityWorkItem):
            messages.append(pb.WorkItem(activityRequest=_activity(item)))
            desk.traces.put_in_activity(messages[-1].activityRequest)
        elif isinstance(item, EntityWorkItem):
            messages.append(_operations(delivery))
        elif delivery in histories and not histories[delivery].pastEvents:
            desk.drop(delivery)
            continue
        else:
            turn = histories.get(delivery) or pb.OrchestratorRequest()
            messages.append(pb.WorkItem(orchestratorRequest=_fill(turn, item, delivery)))
            desk.traces.put_in_turn(messages[-1].orchestratorRequest)
        messages[-1].completionToken = desk.sent(delivery)
    return messages


async def _histories(
    deliveries: Sequence[Delivery],
) -> dict[Delivery, pb.OrchestratorRequest]:
    """The turns that are sent with their history, begun with that history."""
    wanted = [delivery for delivery in deliveries if _needs_history(delivery)]
    turns: dict[Delivery, pb.OrchestratorRequest] = {}
    for source in {delivery.source for delivery in wanted}:
        group = [delivery for delivery in wanted if delivery.source is source]
        items = [one.item for one in group if isinstance(one.item, OrchestrationWorkItem)]
        for delivery, events in zip(group, await source.load_history(items), strict=True):
            turns[delivery] = turn = pb.OrchestratorRequest()
            add_events(turn.pastEvents, _as_told(events, delivery))
            delivery.requests = requests_of(events)
    return turns


def _as_told(events: list[HistoryEvent], delivery: Delivery) -> list[HistoryEvent]:
    """The events as the worker wants them."""
    is_ours = delivery.stream is not None and delivery.stream.is_ours
    return plain_events(events) if is_ours else events


def _needs_history(delivery: Delivery) -> bool:
    item, stream = delivery.item, delivery.stream
    if not isinstance(item, OrchestrationWorkItem) or not item.sequence or stream is None:
        return False
    return delivery.with_history or not (stream.is_ours and stream.streams_history)


def _fill(
    turn: pb.OrchestratorRequest, item: OrchestrationWorkItem, delivery: Delivery
) -> pb.OrchestratorRequest:
    stream = delivery.stream
    turn.instanceId = item.instance_id
    turn.executionId.value = item.execution_id
    add_events(turn.newEvents, _as_told(item.events, delivery))
    if item.sequence and stream is not None and stream.streams_history:
        if not delivery.with_history and turn.ByteSize() > _INLINE:
            turn.ClearField("pastEvents")
        turn.requiresHistoryStreaming = not turn.pastEvents
        properties = turn.properties
        properties[SEQUENCE].number_value = item.sequence
        # What its source says holds for the owner's worker, not for one that stands in for it.
        properties[CONTINUES].bool_value = item.continues and stream is delivery.owner
        properties[NAME].string_value = item.name
        if not stream.is_ours:
            for text, number in texts_in(item.events):
                properties[REQUESTS].struct_value.fields[text].number_value = number
        if item.version is not None:
            properties[VERSION].string_value = item.version
    return turn


def _activity(item: ActivityWorkItem) -> pb.ActivityRequest:
    return pb.ActivityRequest(
        name=item.name,
        version=text_value(item.version),
        input=text_value(item.input),
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId=item.instance_id, executionId=text_value(item.origin or item.execution_id)
        ),
        taskId=item.task_id,
        tags=item.tags,
    )


def _operations(delivery: Delivery) -> pb.WorkItem:
    """Operations of an entity. Every SDK reads the older form; ours wants what the other adds."""
    if delivery.stream is not None and delivery.stream.is_ours:
        return pb.WorkItem(entityRequestV2=entity_request(delivery.rest))
    return pb.WorkItem(entityRequest=operation_batch(delivery.rest))
