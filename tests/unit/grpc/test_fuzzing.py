"""Whatever message comes over the wire: conversion gives a value, or says what is wrong with it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.grpc.messages import damaged, messages

from durabletask.backend import EntityWorkItem
from durabletask.errors import DurableTaskError
from durabletask.grpc.client.turns import activity_item, turn_item
from durabletask.grpc.convert import (
    action_message,
    add_events,
    entity_item,
    entity_message,
    entity_request,
    failure_message,
    operation_batch,
    operation_infos,
    read_actions,
    read_entity,
    read_entity_query,
    read_events,
    read_failure,
    read_query,
    read_result,
    read_start,
    read_state,
    result_message,
    state_message,
)
from durabletask.grpc.protocol import pb
from durabletask.grpc.sidecar.asked import checked_outcome
from durabletask.grpc.sidecar.filters import WorkItemFilter
from durabletask.history import EntityCaller, EntityOperationSignaled, decode_chunk, encode_chunk

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])


def events(message: pb.HistoryEvent) -> None:
    """Events of the wire are events of a history: storable, and to be sent on."""
    read = read_events([message])
    assert decode_chunk(encode_chunk(read)) == read
    chunk = pb.HistoryChunk()
    add_events(chunk.events, read)
    assert read_events(pb.HistoryChunk.FromString(chunk.SerializeToString()).events) == read


def actions(message: pb.OrchestratorAction) -> None:
    """Actions of the wire can be written again."""
    for action in read_actions([message]):
        action_message(action, EntityCaller("i", "x"), "scope")


def failures(message: pb.TaskFailureDetails) -> None:
    """A chain of causes of any length becomes one that every receiver takes."""
    message = failure_message(read_failure(message))
    event = pb.HistoryEvent(taskFailed=pb.TaskFailedEvent(failureDetails=message))
    action = pb.CompleteOrchestrationAction(carryoverEvents=[event])
    response = pb.OrchestratorResponse(actions=[{"completeOrchestration": action}])
    assert pb.OrchestratorResponse.FromString(response.SerializeToString()) == response


def states(message: pb.OrchestrationState) -> None:
    """A state of the wire can be passed on."""
    state_message(read_state(message))


def operations(request: pb.EntityBatchRequest | pb.EntityRequest) -> None:
    """Work of the wire, in either form, can be passed on in both."""
    item = entity_item(request, 1, None)
    operation_infos(item)
    for message in (entity_request(item), operation_batch(item)):
        assert entity_item(message, 1, None).operations == entity_item(message, 1, None).operations


def outcomes(message: pb.EntityBatchResult) -> None:
    """An outcome of the wire is one of a list of operations: storable, or refused."""
    result = read_result(message)
    result_message(result, 1, 2)
    waiting = [EntityOperationSignaled(0, "@a@b", "o") for _ in result.results]
    item = EntityWorkItem("@a@b", "x", "a", 0, 1, None, [*waiting], None)
    with contextlib.suppress(DurableTaskError):
        checked_outcome(result, item, 0, 1000)


def entities(message: pb.EntityMetadata) -> None:
    """An entity of the wire can be passed on."""
    state = read_entity(message, include_state=True)
    assert read_entity(entity_message(state, is_strict=True), include_state=True) == state


CONVERSIONS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "event": (pb.HistoryEvent, events),
    "action": (pb.OrchestratorAction, actions),
    "failure": (pb.TaskFailureDetails, failures),
    "start": (pb.CreateInstanceRequest, read_start),
    "state": (pb.OrchestrationState, states),
    "query": (pb.InstanceQuery, read_query),
    "filter": (pb.GetWorkItemsRequest, WorkItemFilter),
    "turn": (pb.OrchestratorRequest, lambda request: turn_item(request, "token")),
    "operations": (pb.EntityRequest, operations),
    "operations in the older form": (pb.EntityBatchRequest, operations),
    "outcome": (pb.EntityBatchResult, outcomes),
    "entity": (pb.EntityMetadata, entities),
    "query of entities": (pb.EntityQuery, read_entity_query),
    "activity": (pb.ActivityRequest, lambda request: activity_item(request, "token")),
}


@pytest.mark.parametrize("name", CONVERSIONS)
@settings(LARGE, max_examples=200)
@given(data=st.data())
def test_a_message_is_a_value_or_refused(name: str, data: st.DataObject) -> None:
    """**failure-infra** No message ends in an error that nobody expects."""
    kind, convert = CONVERSIONS[name]
    message = data.draw(messages(kind))
    try:
        convert(message)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("name", CONVERSIONS)
@settings(LARGE, max_examples=100)
@given(data=st.data())
def test_bytes_are_a_message_or_none(name: str, data: st.DataObject) -> None:
    """The same of bytes that were changed on the way."""
    kind, convert = CONVERSIONS[name]
    try:
        convert(kind.FromString(data.draw(damaged(kind))))
    except (DecodeError, ValueError) as error:
        assert str(error)
