"""Between the protocol's messages and our events, actions and states: pure, and by table."""

from durabletask.grpc.convert.actions import action_message, read_actions
from durabletask.grpc.convert.events import add_events, read_events
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
    "Requests",
    "Start",
    "action_message",
    "add_events",
    "failure_message",
    "number_in",
    "optional_text",
    "query_message",
    "read_actions",
    "read_events",
    "read_failure",
    "read_instant",
    "read_query",
    "read_start",
    "read_state",
    "read_status",
    "read_statuses",
    "read_tags",
    "read_text",
    "request_text",
    "start_message",
    "state_message",
    "status_number",
    "text_value",
    "timestamp",
    "timestamp_of",
]
