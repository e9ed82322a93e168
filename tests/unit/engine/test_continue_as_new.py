"""Rules of continue_as_new."""

from datetime import timedelta

import pytest
from msgspec import UNSET

from durabletask import task
from durabletask.actions import ContinueAsNew, CreateTimer, ScheduleTask, SendEvent
from durabletask.history import (
    ContinuedAsNew,
    EventRaised,
    ExecutionSuspended,
    TaskCompleted,
    TimerFired,
)
from durabletask.state import OrchestrationStatus


def test_it_ends_at_the_return(run):
    """**can-ends**: what was scheduled is sent; the return value and later calls are ignored."""

    def orchestrator(ctx, n):
        ctx.send_event("other", "ping")
        ctx.continue_as_new(n + 1)
        assert not ctx.call_activity("work").is_complete
        ctx.create_timer(timedelta(1))
        ctx.send_event("other", "late")
        ctx.set_custom_status("late")
        ctx.continue_as_new("second thoughts")
        return "ignored"

    r = run(orchestrator)
    assert r.start(1) == [SendEvent(1, "other", "ping"), ContinueAsNew("2")]
    assert r.session.is_finished
    assert r.history[-1] == ContinuedAsNew("2")
    r.replay().dispose()


@pytest.mark.parametrize("finished", [False, True])
def test_it_ends_at_the_next_yield(run, finished):
    """**can-ends**: code after that yield never runs, even if its task has finished."""
    log = []

    def orchestrator(ctx):
        before = ctx.wait_for_external_event("x")
        if finished:
            yield before
        ctx.continue_as_new(None)
        try:
            yield before
            log.append("ran on")
        finally:
            log.append("closed")

    r = run(orchestrator)
    r.start(None, EventRaised("x"))
    assert r.end == ContinueAsNew()
    assert log == ["closed"]


def test_an_exception_after_it_is_not_lost(run):
    """**can-ends**: it ends at a yield or a return; an exception is neither."""

    def orchestrator(ctx):
        ctx.continue_as_new(1)
        raise ValueError("not lost")

    r = run(orchestrator)
    r.start()
    assert r.end.status is OrchestrationStatus.FAILED
    r.replay().dispose()


def test_unconsumed_events_carry_over_in_order(run):
    """**can-events**: with save_events, across names, in arrival order."""

    def orchestrator(ctx):
        yield ctx.wait_for_external_event("b")
        ctx.continue_as_new(None, save_events=True, new_version="2")

    r = run(orchestrator)
    r.start(None, EventRaised("a", "1"), EventRaised("c", "2"), EventRaised("A", "3"))
    r.turn(EventRaised("b", '"taken"'), EventRaised("b", "4"), EventRaised("a", "5"))
    assert r.end == ContinueAsNew(
        None,
        (
            EventRaised("a", "1"),
            EventRaised("c", "2"),
            EventRaised("A", "3"),
            EventRaised("b", "4"),
            EventRaised("a", "5"),
        ),
        "2",
    )


def test_without_save_events_nothing_carries_over(run):
    """**can-events**: they are dropped."""

    def orchestrator(ctx):
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new(None)

    r = run(orchestrator)
    r.start(None, EventRaised("a", "1"), EventRaised("go"), EventRaised("a", "2"))
    assert r.end == ContinueAsNew()


def test_a_fresh_start(run):
    """**can-fresh**: new execution id, numbers and clock; late completions do not match."""
    seen = []

    def orchestrator(ctx, n):
        seen.append((ctx.execution_id, ctx.current_utc_datetime.second, ctx.new_uuid()))
        ctx.set_custom_status(n)
        yield ctx.call_activity("work", input=n)
        ctx.continue_as_new(n + 1)

    r = run(orchestrator)
    r.start(1)
    assert r.results[-1].custom_status == "1"
    r.turn(TaskCompleted(1))
    assert r.results[-1].custom_status is None
    assert r.start(2) == [ScheduleTask(1, "work", "2")]
    first, last = seen[0], seen[-1]
    assert first[0] != last[0]
    assert last[1] == 3
    assert first[2] != last[2]


def test_an_input_that_cannot_be_serialized(run):
    """**failure-serialize**: continue_as_new raises at the call, and the execution goes on."""

    def orchestrator(ctx):
        try:
            ctx.continue_as_new(object())
        except task.SerializationError:
            yield ctx.call_activity("work")
            return "went on"

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    assert r.output == "went on"


def test_what_follows_in_the_same_turn_is_ignored(run):
    """**can-ends**: completions and lifecycle events of the turn change nothing any more."""

    def orchestrator(ctx):
        timer = ctx.create_timer(timedelta(seconds=1))
        yield ctx.call_activity("work")
        ctx.continue_as_new(None)
        yield timer

    r = run(orchestrator)
    assert CreateTimer(1, 2_000_000) in r.start()
    r.turn(TaskCompleted(2), TimerFired(1, 0), ExecutionSuspended(), TaskCompleted(9))
    assert r.end == ContinueAsNew()
    assert r.results[0].custom_status is UNSET
    r.replay().dispose()
