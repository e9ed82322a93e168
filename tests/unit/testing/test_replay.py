"""The replay gate: today's code against what was recorded."""

import pytest

from durabletask import history as h
from durabletask import task
from durabletask.errors import (
    InvalidRequestError,
    NonDeterminismError,
    OrchestrationNotRegisteredError,
)
from durabletask.testing import (
    OrchestrationTester,
    Replayer,
    replay_history,
    save_history,
)

closed = []


@task.orchestration
def trip(ctx, city: str):
    yield ctx.call_activity("book_flight", input=city)
    try:
        return (yield ctx.call_activity("book_hotel", input=city))
    finally:
        closed.append(city)


@task.orchestration(name="trip")
def shorter_trip(ctx, city: str):
    yield ctx.call_activity("book_flight", input=city)


@task.orchestration(name="trip")
async def hotel_first(ctx, city: str):
    await ctx.call_activity("book_hotel", input=city)


@task.orchestration
async def renamed(ctx, city: str):
    await ctx.call_activity("book_flight", input=city)
    return await ctx.call_activity("book_hotel", input=city)


@pytest.fixture
def history():
    """Of a finished trip."""
    return [
        h.OrchestratorStarted(1),
        h.ExecutionStarted("trip", "trip-7", "0001", '"Rome"'),
        h.TaskScheduled(1, "book_flight", '"Rome"'),
        h.OrchestratorStarted(2),
        h.TaskCompleted(1),
        h.TaskScheduled(2, "book_hotel", '"Rome"'),
        h.OrchestratorStarted(3),
        h.TaskCompleted(2, '"Ritz"'),
        h.ExecutionCompleted("COMPLETED", '"Ritz"'),
    ]


def test_the_same_code_repeats_it(history):
    """**replay-check**: code that asks for the same fits, and the report says what was replayed."""
    report = replay_history(trip, history)
    assert (report.name, report.instance_id, report.execution_id) == ("trip", "trip-7", "0001")
    assert (report.status.value, report.turns, report.events) == ("COMPLETED", 3, 9)


def test_other_code_does_not(history):
    """**replay-check**: the text names both sides, the number and the turn."""
    expected = r"turn 1, call #1: history records activity 'book_flight', .* activity 'book_hotel'"
    with pytest.raises(NonDeterminismError, match=expected):
        replay_history(hotel_first, history)
    with pytest.raises(NonDeterminismError, match=r"records activity 'book_hotel', .* nothing"):
        replay_history(shorter_trip, history)


def test_the_name_does_not_matter_to_replay_history(history):
    """**async-body**: nor does it matter whether the code yields or awaits."""
    assert replay_history(renamed, history).name == "trip"


def test_an_unfinished_history_is_left_in_silence(history):
    """**dispose**: the orchestrator is closed at once, not when memory is collected."""
    closed.clear()
    report = replay_history(trip, history[:6])
    assert report.status.value == "RUNNING"
    assert closed == ["Rome"]


def test_a_replayer_chooses_by_name(history):
    replayer = Replayer()
    replayer.add_orchestration(renamed)
    with pytest.raises(OrchestrationNotRegisteredError, match=r"'trip'; registered: renamed"):
        replayer.replay(history)
    replayer.add_orchestration(trip)
    assert replayer.replay(history).turns == 3


@pytest.mark.parametrize("cut", [0, 1])
def test_what_is_no_history_of_an_execution(history, cut):
    with pytest.raises(InvalidRequestError, match="begin with OrchestratorStarted"):
        replay_history(trip, history[:cut])


def test_what_continues_as_new_is_still_running():
    @task.orchestration
    def again(ctx):
        ctx.continue_as_new(1)

    events = [
        h.OrchestratorStarted(1),
        h.ExecutionStarted("again", "again-1", "0001"),
        h.ContinuedAsNew("1"),
    ]
    assert replay_history(again, events).status.value == "RUNNING"


@pytest.mark.asyncio
async def test_from_a_test_to_a_file_to_the_gate(tmp_path):
    async with OrchestrationTester() as tester:
        tester.add_orchestration(trip)
        tester.mock_activity("book_flight", returns=None)
        tester.mock_activity("book_hotel", returns="Ritz")
        state = await tester.run(trip, input="Rome")
        path = tmp_path / "trip.json"
        save_history(path, await tester.history(state.instance_id))
    assert replay_history(trip, path).status is state.runtime_status
    with pytest.raises(NonDeterminismError):
        replay_history(shorter_trip, str(path))
