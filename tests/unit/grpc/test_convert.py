"""Conversion: what goes over the wire comes back as it was."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from durabletask import actions, history
from durabletask.backend import ReusePolicy, StartRequest
from durabletask.errors import InvalidRequestError
from durabletask.grpc.convert import (
    Requests,
    action_message,
    add_events,
    failure_message,
    number_in,
    query_message,
    read_actions,
    read_events,
    read_failure,
    read_instant,
    read_query,
    read_start,
    read_state,
    request_text,
    start_message,
    state_message,
    timestamp,
)
from durabletask.grpc.protocol import pb
from durabletask.state import (
    FINISHED,
    FailureDetails,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    ParentInstance,
)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
payloads = st.none() | texts
versions = st.none() | names
tags = st.none() | st.dictionaries(names, texts, min_size=1, max_size=3)
numbers = st.integers(1, 2**31 - 1)
instants = st.integers(1, 253_402_300_799_999_999)
datetimes = st.datetimes(timezones=st.just(UTC))
statuses = st.sampled_from(OrchestrationStatus)

failures: st.SearchStrategy[FailureDetails] = st.deferred(
    lambda: st.builds(
        FailureDetails,
        error_type=names,
        message=texts,
        stack_trace=st.none() | names,
        cause=st.none() | failures,
        non_retriable=st.booleans(),
    )
)
parents = st.builds(
    ParentInstance, instance_id=names, execution_id=names, task_id=numbers, name=names
)
entities = st.builds("@{}@{}".format, st.from_regex("[a-z]{1,5}", fullmatch=True), names)

BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": instants,
    "fire_at": instants,
    "scheduled_start_at": st.none() | instants,
    "task_id": numbers,
    "name": names,
    "instance_id": names,
    "execution_id": names,
    "input": payloads,
    "result": payloads,
    "output": payloads,
    "reason": payloads,
    "version": versions,
    "tags": tags,
    "parent": st.none() | parents,
    "failure": failures,
    "recurse": st.booleans(),
    "entity_id": entities,
    "operation": names,
    "scheduled_at": st.none() | instants,
    "entities": st.lists(entities, min_size=1, max_size=3).map(tuple),
    "position": st.integers(0, 2),
    "lock_id": numbers,
}
"""A strategy for each field, by its name: the same in all events and actions."""


def built(kind: type, **changed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of an event or action."""
    fields = {
        field.name: BY_TYPE[field.name]
        for field in msgspec.structs.fields(kind)
        if field.name in BY_TYPE
    }
    return st.builds(kind, **(fields | changed))


COMPLETED = built(
    history.ExecutionCompleted,
    status=st.sampled_from([status.value for status in FINISHED]),
    failure=st.none() | failures,
)
CHANGED: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    history.EntityOperationCalled: {
        "caller": st.none() | st.builds(history.EntityCaller, names, names),
        "request_id": versions,
    },
    history.EntityOperationSignaled: {"request_id": versions},
    history.EntityLockRequested: {"request_id": versions},
    history.EntityUnlockSent: {"task_id": st.integers(1, 2**30 - 1)},  # then come those of no body
    actions.CallEntity: {"request_id": versions},
    actions.SignalEntity: {"request_id": versions},
    actions.LockEntities: {"request_id": versions},
}
"""Answers, and the ends of locks, say the text of another event: a test of its own is on that."""

EVENTS = {
    kind: COMPLETED if kind is history.ExecutionCompleted else built(kind, **CHANGED.get(kind, {}))
    for kind in history.HistoryEvent.__args__
    if kind is not history.EntityAdvanced  # of the histories of entities, which never travel
}
ACTIONS = {
    kind: built(kind, **CHANGED.get(kind, {}))
    for kind in actions.Action.__args__
    if kind
    not in (actions.CompleteOrchestration, actions.ContinueAsNew, actions.CreateSubOrchestration)
} | {
    actions.CreateSubOrchestration: built(actions.CreateSubOrchestration, retried=st.just(True)),
    actions.CompleteOrchestration: built(
        actions.CompleteOrchestration,
        status=st.sampled_from(sorted(FINISHED, key=str)),
        failure=st.none() | failures,
        recurse=st.just(False),
    ),
    actions.ContinueAsNew: built(
        actions.ContinueAsNew,
        carryover=st.lists(EVENTS[history.EventRaised], max_size=3).map(tuple),
    ),
}


def over_the_wire(message: Any) -> Any:
    """A message as its receiver sees it."""
    return type(message).FromString(message.SerializeToString())


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_comes_back(kind: type, data: st.DataObject) -> None:
    """Every kind of event, every field of it."""
    event = data.draw(EVENTS[kind])
    chunk = pb.HistoryChunk()
    add_events(chunk.events, [event])
    assert read_events(over_the_wire(chunk).events) == [event]


@given(st.lists(st.one_of(*EVENTS.values()), max_size=20), instants)
def test_a_history_comes_back(events: list[history.HistoryEvent], clock: int) -> None:
    """In order; each message shows the time of its turn, and the id of its action or -1."""
    chunk = pb.HistoryChunk()
    last = add_events(chunk.events, events, clock)
    received = over_the_wire(chunk)
    assert read_events(received.events) == events
    for event, message in zip(events, received.events, strict=True):
        if isinstance(event, history.OrchestratorStarted):
            clock = event.timestamp
        assert read_instant(message.timestamp) == clock
        asked = isinstance(
            event,
            (
                history.TaskScheduled,
                history.TimerCreated,
                history.EventSent,
                history.SubOrchestrationInstanceCreated,
                history.EntityOperationCalled,
                history.EntityOperationSignaled,
                history.EntityLockRequested,
                history.EntityUnlockSent,
            ),
        )
        assert message.eventId == (event.task_id if asked else -1)
    assert clock == last


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_action_comes_back(kind: type, data: st.DataObject) -> None:
    """Every kind of action, every field of it."""
    action = data.draw(ACTIONS[kind])
    caller = data.draw(st.none() | st.builds(history.EntityCaller, names, names))
    assert read_actions([over_the_wire(action_message(action, caller, data.draw(texts)))]) == [
        action
    ]


@given(failures)
def test_a_failure_comes_back(failure: FailureDetails) -> None:
    """With the chain of its causes."""
    assert read_failure(over_the_wire(failure_message(failure))) == failure


@given(
    st.builds(
        OrchestrationState,
        instance_id=names,
        name=names,
        runtime_status=statuses,
        created_at=datetimes,
        last_updated_at=datetimes,
        completed_at=st.none() | datetimes,
        execution_id=names,
        version=versions,
        serialized_input=payloads,
        serialized_output=payloads,
        serialized_custom_status=st.none() | names,
        failure_details=st.none() | failures,
        parked_reason=payloads,
        parent_instance_id=versions,
        tags=st.dictionaries(names, texts, max_size=3),
    )
)
def test_a_state_comes_back(state: OrchestrationState) -> None:
    """All of it but the reason of parking, which the protocol does not know."""
    message = over_the_wire(state_message(state))
    assert read_state(message, parked_reason=state.parked_reason) == state


@given(
    st.builds(
        StartRequest,
        name=names,
        instance_id=names,
        input=st.none() | names,
        version=versions,
        tags=tags,
        start_at=st.none() | instants,
        reuse=st.builds(
            ReusePolicy, replace=st.frozensets(st.sampled_from(sorted(FINISHED, key=str)))
        ),
    )
)
def test_a_start_comes_back(request: StartRequest) -> None:
    """With its reuse policy."""
    assert request.instance_id is not None
    start = read_start(over_the_wire(start_message(request, request.instance_id)))
    assert start.request == request
    assert start.replaced_alive == frozenset()


@given(
    st.builds(
        OrchestrationQuery,
        statuses=st.frozensets(statuses),
        instance_id_prefix=versions,
        created_from=st.none() | datetimes,
        created_to=st.none() | datetimes,
        page_size=st.integers(1, 1000),
        continuation_token=versions,
    )
)
def test_a_query_comes_back(query: OrchestrationQuery) -> None:
    """As far as the protocol can say it."""
    assert read_query(over_the_wire(query_message(query))) == query


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_an_instant_comes_back(micros: int) -> None:
    """To the microsecond, before the epoch as well."""
    assert read_instant(timestamp(micros)) == micros


@given(st.integers(0, 10**9), st.integers(0, 999_999_999))
def test_nothing_becomes_due_early(seconds: int, nanos: int) -> None:
    """**timer-time** What is finer than a microsecond rounds up."""
    micros = read_instant(Timestamp(seconds=seconds, nanos=nanos))
    assert micros * 1000 >= seconds * 10**9 + nanos
    assert micros * 1000 - (seconds * 10**9 + nanos) < 1000


def test_what_has_no_counterpart_is_left_out() -> None:
    """Events that say nothing to an orchestrator of ours."""
    chunk = pb.HistoryChunk()
    for kind in ("orchestratorCompleted", "genericEvent", "historyState"):
        getattr(chunk.events.add(), kind).SetInParent()
    chunk.events.add()
    add_events(chunk.events, [history.TaskCompleted(1, "2")])
    assert read_events(chunk.events) == [history.TaskCompleted(1, "2")]


def test_an_epoch_and_an_empty_input_were_not_given() -> None:
    """Some SDKs always send both fields."""
    message = pb.CreateInstanceRequest(instanceId="i", name="n")
    message.input.value = ""
    message.version.value = ""
    message.scheduledStartTimestamp.FromDatetime(datetime(1970, 1, 1, tzinfo=UTC))
    assert read_start(message).request == StartRequest(name="n", instance_id="i")


def test_running_instances_are_replaced_only_with_terminated_ones() -> None:
    """**start-duplicate** They are terminated first, so TERMINATED has to be replaceable."""
    policy = pb.OrchestrationIdReusePolicy(
        replaceableStatus=[pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_FAILED]
    )
    message = pb.CreateInstanceRequest(name="n", orchestrationIdReusePolicy=policy)
    with pytest.raises(ValueError, match="cannot exclude 'Terminated' while also allowing reuse"):
        read_start(message)
    policy.replaceableStatus.append(pb.ORCHESTRATION_STATUS_TERMINATED)
    message = pb.CreateInstanceRequest(name="n", orchestrationIdReusePolicy=policy)
    start = read_start(message)
    assert start.replaced_alive == {OrchestrationStatus.RUNNING}
    assert start.request.reuse.replace == {
        OrchestrationStatus.FAILED,
        OrchestrationStatus.TERMINATED,
    }


def test_unknown_actions_and_statuses_are_named() -> None:
    """Not guessed at."""
    with pytest.raises(ValueError, match="terminateOrchestration"):
        read_actions([pb.OrchestratorAction(terminateOrchestration={"instanceId": "x"})])
    with pytest.raises(ValueError, match="99 is no status"):
        read_query(pb.InstanceQuery(runtimeStatus=[99]))


def test_a_failure_from_a_deep_tree_can_be_read() -> None:
    """Parsers refuse a hundred levels, and each orchestration of a tree adds one."""
    failure = FailureDetails("E", "at the bottom")
    for level in range(200):
        failure = FailureDetails("E", f"level {level}", cause=failure)
    event = history.ExecutionCompleted("FAILED", None, failure)
    chunk = pb.HistoryChunk()
    add_events(chunk.events, [event])
    [read] = read_events(over_the_wire(chunk).events)
    causes = 0
    told = read.failure
    while told.cause is not None:
        told, causes = told.cause, causes + 1
    assert (read.failure.message, causes) == ("level 199", 32)


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(2**63 - 1, 0), (-(2**63), 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000)],
)
def test_an_instant_outside_the_calendar_is_refused(seconds: int, nanos: int) -> None:
    """No store could hold it."""
    with pytest.raises(InvalidRequestError, match="between the years 1 and 9999"):
        read_instant(Timestamp(seconds=seconds, nanos=nanos))


def test_the_end_of_the_calendar_is_an_instant() -> None:
    """Some SDKs mean "never" by it, with a fraction that must not round up into the year 10000."""
    never = Timestamp(seconds=253_402_300_799, nanos=999_999_900)
    assert read_instant(never) == 253_402_300_799_999_999


@given(numbers, texts)
def test_our_own_text_tells_its_number(number: int, scope: str) -> None:
    """It is a UUID, as some SDKs want it, and of no kind that they make."""
    text = request_text(number, scope)
    assert number_in(text) == number
    assert (str(uuid.UUID(text)), uuid.UUID(text).version) == (text, 8)
    assert number_in(f"{text}0") is number_in(text.upper()) is number_in(str(uuid.uuid4())) is None


def test_texts_of_different_scopes_differ() -> None:
    """What is asked of one entity may come from anywhere."""
    scopes = ["", *(f"execution {n}" for n in range(100))]
    assert len({request_text(1, scope) for scope in scopes}) == len(scopes)


def asked_and_answered(name: str | None) -> list[history.HistoryEvent]:
    """A call, a lock and what came of both, by a worker that names them so."""
    other = None if name is None else f"{name} too"
    return [
        history.EntityOperationCalled(3, "@a@1", "add", "1", request_id=name),
        history.EntityLockRequested(4, ("@a@1", "@b@2"), request_id=other),
        history.EntityOperationCompleted(3, "2", name),
        history.EntityOperationFailed(3, FailureDetails("E", "again"), name),
        history.EntityLockGranted(4, other),
        history.EntityUnlockSent(5, "@a@1", 4, request_id=other),
    ]


@pytest.mark.parametrize("name", [None, "their own", request_text(99, "of another execution")])
def test_answers_find_their_questions(name: str | None) -> None:
    """Whoever has chosen the text, it comes back as it was, and the number is found by it."""
    events = asked_and_answered(name)
    chunk = pb.HistoryChunk()
    add_events(chunk.events, events)
    texts = [
        value
        for message in chunk.events
        for field, value in getattr(message, message.WhichOneof("eventType") or "").ListFields()
        if field.name in ("requestId", "criticalSectionId")
    ]
    assert texts[0] == texts[2] == texts[3] != texts[1] == texts[4] == texts[5]
    assert name is None or texts[0] == name
    received = over_the_wire(chunk).events
    assert read_events(received) == events
    # The turns of an execution come one by one, and in each are the answers of earlier ones.
    requests = Requests(only_known=True)
    assert read_events(received[:2], requests) == events[:2]
    assert read_events(received[2:], requests) == events[2:]


@pytest.mark.parametrize("name", [None, "their own"])
def test_an_answer_to_an_execution_that_is_over_is_left_out(name: str | None) -> None:
    """It may have the number of a call that has been made since."""
    chunk = pb.HistoryChunk()
    add_events(chunk.events, [*asked_and_answered(name)[2:5], history.TaskCompleted(1, "2")])
    assert read_events(chunk.events, Requests(only_known=True)) == [history.TaskCompleted(1, "2")]


@pytest.mark.parametrize("name", [None, "their own"])
def test_a_lock_is_given_up_by_the_text_it_was_asked_for(name: str | None) -> None:
    """In the turn in which it was asked for, or in a later one."""
    asked = actions.LockEntities(4, ("@a@1", "@b@2"), name)
    given_up = actions.UnlockEntity(5, "@b@2", 4, name)
    caller = history.EntityCaller("instance", "execution")
    messages = [over_the_wire(action_message(action, caller)) for action in (asked, given_up)]
    assert read_actions(messages) == [asked, given_up]
    requests = Requests()
    if name is not None:
        with pytest.raises(ValueError, match="was not asked for"):
            read_actions(messages[1:], requests)
        requests.note(name, 4)
    assert read_actions(messages[1:], requests) == [given_up]


def test_what_is_asked_of_entities_says_by_whom() -> None:
    """Servers of others send the answer there, and take no text twice."""
    call = actions.CallEntity(4, "@a@1", "get")
    texts = set()
    for execution in ("one", "two"):
        caller = history.EntityCaller("instance", execution)
        message = action_message(call, caller, f"a turn of {execution}")
        called = message.sendEntityMessage.entityOperationCalled
        assert (message.id, called.parentInstanceId.value) == (4, "instance")
        assert called.parentExecutionId.value == execution
        texts.add(called.requestId)
    assert len(texts) == 2


def test_the_history_of_an_entity_does_not_travel() -> None:
    """What only entities have in theirs has no message."""
    with pytest.raises(KeyError):
        add_events(pb.HistoryChunk().events, [history.EntityAdvanced()])
