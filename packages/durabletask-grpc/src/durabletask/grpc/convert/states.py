"""Instance states and queries as messages and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.engine import from_micros
from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.statuses import read_status, read_statuses, status_number
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_text,
    text_value,
    timestamp_of,
)
from durabletask.grpc.protocol import pb
from durabletask.state import OrchestrationQuery, OrchestrationState

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["query_message", "read_query", "read_state", "state_message"]

_LARGEST_PAGE = 1000


def state_message(state: OrchestrationState, *, payloads: bool = True) -> pb.OrchestrationState:
    """A state as a message; without ``payloads`` input and output stay out."""
    completed = state.completed_at
    failure = state.failure_details
    return pb.OrchestrationState(
        instanceId=state.instance_id,
        name=state.name,
        version=text_value(state.version),
        orchestrationStatus=status_number(state.runtime_status),
        createdTimestamp=timestamp_of(state.created_at),
        lastUpdatedTimestamp=timestamp_of(state.last_updated_at),
        completedTimestamp=None if completed is None else timestamp_of(completed),
        input=text_value(state.serialized_input) if payloads else None,
        output=text_value(state.serialized_output) if payloads else None,
        customStatus=text_value(state.serialized_custom_status),
        failureDetails=None if failure is None else failure_message(failure),
        executionId=text_value(state.execution_id),
        parentInstanceId=text_value(state.parent_instance_id),
        tags=state.tags,
    )


def read_state(
    message: pb.OrchestrationState, *, payloads: bool = True, parked_reason: str | None = None
) -> OrchestrationState:
    """The state of a message; without ``payloads`` input, output and custom status stay out."""
    failure = message.failureDetails
    # Some servers send an empty message for no failure.
    failed = message.HasField("failureDetails") and bool(failure.errorType or failure.errorMessage)
    return OrchestrationState(
        instance_id=message.instanceId,
        name=message.name,
        runtime_status=read_status(message.orchestrationStatus),
        created_at=from_micros(read_instant(message.createdTimestamp)),
        last_updated_at=from_micros(read_instant(message.lastUpdatedTimestamp)),
        completed_at=_instant_or_none(message, "completedTimestamp"),
        execution_id=message.executionId.value,
        version=optional_text(message, "version"),
        serialized_input=read_text(message, "input") if payloads else None,
        serialized_output=read_text(message, "output") if payloads else None,
        serialized_custom_status=optional_text(message, "customStatus") if payloads else None,
        failure_details=read_failure(failure) if failed else None,
        parked_reason=parked_reason,
        parent_instance_id=optional_text(message, "parentInstanceId"),
        tags=dict(message.tags),
    )


def query_message(query: OrchestrationQuery) -> pb.InstanceQuery:
    """A query as a message, as far as the protocol can say it: no name, no tags, no ends."""
    return pb.InstanceQuery(
        runtimeStatus=[status_number(status) for status in query.statuses],
        createdTimeFrom=_optional_timestamp(query.created_from),
        createdTimeTo=_optional_timestamp(query.created_to),
        maxInstanceCount=query.page_size,
        continuationToken=text_value(query.continuation_token),
        instanceIdPrefix=text_value(query.instance_id_prefix),
        fetchInputsAndOutputs=query.fetch_payloads,
    )


def read_query(message: pb.InstanceQuery) -> OrchestrationQuery:
    """The query of a message; what asks for more than a page holds gets a page.

    Raises:
        ValueError: a status is unknown.
    """
    wanted = message.maxInstanceCount
    return OrchestrationQuery(
        statuses=read_statuses(message.runtimeStatus),
        instance_id_prefix=optional_text(message, "instanceIdPrefix"),
        created_from=_instant_or_none(message, "createdTimeFrom"),
        created_to=_instant_or_none(message, "createdTimeTo"),
        page_size=min(wanted, _LARGEST_PAGE) if wanted > 0 else _LARGEST_PAGE,
        continuation_token=optional_text(message, "continuationToken"),
        fetch_payloads=True,  # custom status is wanted whether inputs are or not
    )


def _optional_timestamp(instant: datetime | None) -> Timestamp | None:
    return None if instant is None else timestamp_of(instant)


def _instant_or_none(message: object, field: str) -> datetime | None:
    if not message.HasField(field):  # type: ignore[attr-defined]
        return None
    return from_micros(read_instant(getattr(message, field)))
