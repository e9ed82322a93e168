"""Conversion of the work of entities and of what clients see: it comes back as it was."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.grpc.test_convert import (
    entities,
    failures,
    instants,
    names,
    numbers,
    over_the_wire,
    payloads,
    tags,
    versions,
)

from durabletask.actions import SignalEntity, StartOrchestration
from durabletask.backend import EntityResult, EntityWorkItem, OperationResult
from durabletask.entities import EntityId, EntityQuery, EntityState
from durabletask.errors import InvalidRequestError
from durabletask.grpc.convert import (
    entity_item,
    entity_message,
    entity_query_message,
    entity_request,
    number_in,
    operation_batch,
    operation_infos,
    read_entity,
    read_entity_query,
    read_result,
    remaining,
    result_message,
    started_with_tags,
)
from durabletask.grpc.protocol import pb
from durabletask.history import EntityCaller, EntityOperationCalled, EntityOperationSignaled

CART = "@cart@ada"
given_texts = st.none() | names

calls = st.builds(
    EntityOperationCalled,
    task_id=numbers,
    entity_id=st.just(CART),
    operation=names,
    input=payloads,
    caller=st.builds(EntityCaller, instance_id=names, execution_id=names),
    request_id=versions,
)
signals = st.builds(
    EntityOperationSignaled,
    task_id=st.just(0) | numbers,
    entity_id=st.just(CART),
    operation=names,
    input=payloads,
    scheduled_at=st.none() | instants,
    request_id=versions,
)
items = st.builds(
    EntityWorkItem,
    instance_id=st.just(CART),
    execution_id=names,
    name=st.just("cart"),
    sequence=st.integers(0, 1000),
    started_at=instants,
    state=given_texts,
    operations=st.lists(calls | signals, min_size=1, max_size=5),
    token=st.none(),
)


def without_names(item: EntityWorkItem) -> list[Any]:
    """The operations of an item but for their texts."""
    return [msgspec.structs.replace(one, request_id=None) for one in item.operations]


@given(items)
def test_work_comes_back(item: EntityWorkItem) -> None:
    """In the newer form all of it, and every operation with a text of its own, or the given one."""
    read = entity_item(over_the_wire(entity_request(item)), 1, "token")
    assert without_names(read) == without_names(item)
    assert (read.instance_id, read.name, read.state) == (item.instance_id, "cart", item.state)
    assert (read.execution_id, read.started_at, read.token) == (
        item.execution_id,
        item.started_at,
        "token",
    )
    for one, other in zip(item.operations, read.operations, strict=True):
        assert other.request_id
        assert one.request_id in (None, other.request_id)
        if one.request_id is None:
            assert uuid.UUID(other.request_id)
            if isinstance(one, EntityOperationCalled):
                assert number_in(other.request_id) == one.task_id


@given(items)
def test_work_in_the_older_form(item: EntityWorkItem) -> None:
    """Every SDK reads it; it says the same but for whose the calls are."""
    batch = over_the_wire(operation_batch(item))
    newer = entity_item(over_the_wire(entity_request(item)), 1, None)
    read = entity_item(batch, 77, None)
    assert [one.operation for one in read.operations] == [one.operation for one in item.operations]
    assert [one.input for one in read.operations] == [one.input for one in item.operations]
    assert [one.request_id for one in read.operations] == [
        one.request_id for one in newer.operations
    ]
    assert (read.state, read.started_at, read.sequence) == (item.state, 77, newer.sequence)


@given(items, st.data())
def test_what_is_left_keeps_its_texts(item: EntityWorkItem, data: st.DataObject) -> None:
    """The worker may go by them."""
    done = data.draw(st.integers(0, len(item.operations)))
    rest = remaining(item, done, '"so far"')
    texts = [one.requestId for one in operation_batch(item).operations]
    assert [one.requestId for one in operation_batch(rest).operations] == texts[done:]
    assert (rest.state, without_names(rest)) == ('"so far"', without_names(item)[done:])


@given(items)
def test_turns_are_told_apart(item: EntityWorkItem) -> None:
    """Ids of what an entity starts depend on it: the same when a turn comes again, else others."""
    signal = EntityOperationSignaled(0, CART, "o")
    item = msgspec.structs.replace(item, operations=[*item.operations, signal])
    following = msgspec.structs.replace(item, sequence=item.sequence + 1)
    read, again, other = (
        entity_item(entity_request(one), 1, None) for one in (item, item, following)
    )
    assert read.sequence == again.sequence != other.sequence


def test_where_results_go() -> None:
    """A server that leaves it to workers to know is told for each operation."""
    caller = EntityCaller("instance", "execution")
    item = EntityWorkItem(
        CART,
        "x",
        "cart",
        0,
        1,
        None,
        [
            EntityOperationCalled(1, CART, "a", caller=caller, request_id="one"),
            EntityOperationSignaled(2, CART, "b", request_id="two"),
            EntityOperationCalled(3, CART, "c", caller=EntityCaller("i", ""), request_id="three"),
        ],
        None,
    )
    one, two, three = operation_infos(item)
    assert (one.requestId, one.responseDestination.instanceId) == ("one", "instance")
    assert one.responseDestination.executionId.value == "execution"
    assert (two.requestId, two.HasField("responseDestination")) == ("two", False)
    assert three.responseDestination.instanceId == "i"
    assert not three.responseDestination.HasField("executionId")


outcomes = st.builds(OperationResult, result=given_texts) | st.builds(
    OperationResult, failure=failures
)
starts = st.builds(
    StartOrchestration,
    name=names,
    instance_id=names,
    input=given_texts,
    version=versions,
    tags=tags,
    start_at=st.none() | instants,
)
sent = st.builds(
    SignalEntity,
    task_id=st.just(0),
    entity_id=entities,
    operation=names,
    input=given_texts,
    scheduled_at=st.none() | instants,
)


@given(
    st.builds(
        EntityResult,
        results=st.lists(outcomes, max_size=4),
        actions=st.lists(starts | sent, max_size=4),
        state=given_texts,
    ),
    instants,
)
def test_an_outcome_comes_back(result: EntityResult, began: int) -> None:
    """All of it; tags travel beside the message."""
    message = over_the_wire(result_message(result, began, began + 1))
    assert read_result(message, started_with_tags(result.actions)) == result


@given(
    st.builds(
        EntityState,
        entity_id=st.builds(
            EntityId, st.from_regex("[a-z]{1,5}", fullmatch=True), names.filter(str.strip)
        ),
        last_modified=st.datetimes(timezones=st.just(UTC)),
        serialized_state=given_texts,
        has_state=st.booleans(),
        locked_by=versions,
        backlog=st.integers(0, 2**31 - 1),
    )
)
def test_an_entity_comes_back(state: EntityState) -> None:
    """To callers of ours also without the state that it has."""
    if state.serialized_state is not None:
        state = msgspec.structs.replace(state, has_state=True)
    message = over_the_wire(entity_message(state, is_strict=True))
    assert read_entity(message, include_state=True) == state
    bare = msgspec.structs.replace(state, serialized_state=None)
    assert read_entity(message, include_state=False) == bare
    others = over_the_wire(entity_message(bare))
    assert not others.HasField("serializedState")


keys = st.none() | names


@given(
    st.builds(
        EntityQuery,
        name=st.from_regex("[a-z]{1,5}", fullmatch=True),
        key_prefix=keys,
        modified_from=st.none() | st.datetimes(timezones=st.just(UTC)),
        modified_to=st.none() | st.datetimes(timezones=st.just(UTC)),
        include_state=st.booleans(),
        include_transient=st.booleans(),
        page_size=st.integers(1, 1000),
        continuation_token=versions,
    )
)
def test_a_query_comes_back(query: EntityQuery) -> None:
    """Names, and prefixes of keys, are what the protocol can say."""
    message = entity_query_message(query, include_state=query.include_state)
    read, prefix = read_entity_query(over_the_wire(message))
    assert read == query
    assert prefix == f"@{query.name}@{query.key_prefix or ''}"


@pytest.mark.parametrize(
    ("given", "name", "key", "prefix"),
    [
        ("", None, None, ""),
        ("@", None, None, "@"),
        ("Ca", None, None, "@ca"),
        ("@Cart", None, None, "@cart"),
        ("Cart@", "Cart", None, "@cart@"),
        ("@Cart@Ada@x", "Cart", "Ada@x", "@cart@Ada@x"),
        ("@@x", None, None, "@@x"),
    ],
)
def test_prefixes_of_others(given: str, name: str | None, key: str | None, prefix: str) -> None:
    """What is not a whole name is looked for by the text."""
    message = pb.EntityQuery(instanceIdStartsWith={"value": given})
    read, wanted = read_entity_query(message)
    assert (read.name, read.key_prefix, wanted) == (name, key, prefix)


def test_work_of_no_entity() -> None:
    """It is refused, and given back."""
    with pytest.raises(InvalidRequestError, match="looks like '@name@key'"):
        entity_item(pb.EntityRequest(instanceId="cart"), 1, None)
