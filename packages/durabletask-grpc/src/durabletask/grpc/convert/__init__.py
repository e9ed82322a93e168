"""Between the protocol's messages and our events, actions and states: pure, and by table."""

from durabletask.grpc.convert.actions import action_message, read_actions
from durabletask.grpc.convert.entity_events import AFTERWARDS
from durabletask.grpc.convert.entity_states import (
    entity_message,
    entity_query_message,
    read_entity,
    read_entity_query,
)
from durabletask.grpc.convert.entity_work import (
    entity_item,
    entity_request,
    operation_batch,
    operation_infos,
    read_result,
    remaining,
    result_message,
    started_with_tags,
)
from durabletask.grpc.convert.events import (
    add_events,
    plain_events,
    read_events,
    requests_of,
    texts_in,
)
from durabletask.grpc.convert.failures import failure_message, read_failure
from durabletask.grpc.convert.requests import Requests, number_in, request_text
from durabletask.grpc.convert.starts import Start, read_start, start_message
from durabletask.grpc.convert.states import query_message, read_query, read_state, state_message
from durabletask.grpc.convert.statuses import read_status, read_statuses, status_number
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_tags,
    read_text,
    text_value,
    timestamp,
    timestamp_of,
)

__all__ = [
    "AFTERWARDS",
    "Requests",
    "Start",
    "action_message",
    "add_events",
    "entity_item",
    "entity_message",
    "entity_query_message",
    "entity_request",
    "failure_message",
    "number_in",
    "operation_batch",
    "operation_infos",
    "optional_text",
    "plain_events",
    "query_message",
    "read_actions",
    "read_entity",
    "read_entity_query",
    "read_events",
    "read_failure",
    "read_instant",
    "read_query",
    "read_result",
    "read_start",
    "read_state",
    "read_status",
    "read_statuses",
    "read_tags",
    "read_text",
    "remaining",
    "request_text",
    "requests_of",
    "result_message",
    "start_message",
    "started_with_tags",
    "state_message",
    "status_number",
    "text_value",
    "texts_in",
    "timestamp",
    "timestamp_of",
]
