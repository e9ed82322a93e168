"""Rules of external events."""

from datetime import timedelta

import pytest

from durabletask import task
from durabletask.actions import CreateTimer, ScheduleTask, SendEvent
from durabletask.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    TaskCompleted,
    TimerFired,
)
from durabletask.state import OrchestrationStatus

from .driver import SECOND


def test_names_ignore_case_and_order_is_kept(run):
    """**event-name**: first in, first out per name, events and waiters; one event, one waiter."""

    def orchestrator(ctx):
        first = ctx.wait_for_external_event("Go")
        second = ctx.wait_for_external_event("gO")
        third = ctx.wait_for_external_event("GO")
        values = yield task.when_all([first, second])
        assert not third.is_complete
        return values

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("other", "0"), EventRaised("go", "1"))
    r.turn(EventRaised("GO", "2"))
    assert r.output == [1, 2]


def test_unicode_names_fold(run):
    """**event-name**: case is folded, not only lowered."""

    def orchestrator(ctx):
        return (yield ctx.wait_for_external_event("STRASSE"))

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("straße", "7"))
    assert r.output == 7


def test_early_events_are_kept(run):
    """**event-buffer**: what arrives before any waiter finishes a later wait at once."""

    def orchestrator(ctx):
        yield ctx.call_activity("work")
        values = []
        for _ in range(3):
            values.append((yield ctx.wait_for_external_event("x")))
        return values

    r = run(orchestrator)
    r.start(None, EventRaised("x", "1"), EventRaised("X", "2"))
    r.turn(TaskCompleted(1))
    r.turn(EventRaised("x", "3"))
    assert r.output == [1, 2, 3]


def test_events_are_kept_across_suspension(run):
    """**event-buffer**: also those that arrive while suspended."""

    def orchestrator(ctx):
        yield ctx.call_activity("work")
        one = yield ctx.wait_for_external_event("x")
        return [one, (yield ctx.wait_for_external_event("x"))]

    r = run(orchestrator)
    r.start(None, EventRaised("x", "1"), ExecutionSuspended())
    assert r.turn(EventRaised("x", "2"), TaskCompleted(1)) == []
    r.turn(ExecutionResumed())
    assert r.output == [1, 2]


@pytest.mark.parametrize("payload", ["0", '""', "[]", "{}", "false"])
def test_falsy_payloads_arrive_as_themselves(run, payload):
    """**falsy**: only an absent payload is None."""

    def orchestrator(ctx):
        value = yield ctx.wait_for_external_event("x")
        absent = yield ctx.wait_for_external_event("x")
        assert absent is None
        return [value, value is None]

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("x", payload), EventRaised("x"))
    assert r.results[-1].actions[-1].result == f"[{payload},false]"


def test_blank_names_are_refused(run):
    """**event-missing**: blank names are a ValueError, other types a TypeError."""

    def orchestrator(ctx):
        for blank in ("", "  "):
            with pytest.raises(ValueError, match="blank"):
                ctx.wait_for_external_event(blank)
            with pytest.raises(ValueError, match="blank"):
                ctx.send_event("x", blank)
            with pytest.raises(ValueError, match="blank"):
                ctx.send_event(blank, "x")
        with pytest.raises(TypeError, match="must be text"):
            ctx.wait_for_external_event(5)
        yield ctx.call_activity("work")

    r = run(orchestrator)
    assert r.start() == [ScheduleTask(1, "work")]


def test_sending(run):
    """**falsy**, **replay-ids**: a sent event has a number and its payload."""

    def orchestrator(ctx):
        ctx.send_event("a", "X")
        ctx.send_event("b", "y", data=[])
        yield ctx.call_activity("work")
        yield ctx.call_activity("work")

    r = run(orchestrator)
    assert r.start()[:2] == [SendEvent(1, "a", "X"), SendEvent(2, "b", "y", "[]")]
    r.turn(TaskCompleted(3))


@pytest.mark.parametrize("keyword", ["data_type", "return_type"])
def test_typed_payloads(run, keyword):
    """**failure-serialize**: a payload that does not fit raises at the yield, and says where."""

    def orchestrator(ctx):
        assert (yield ctx.wait_for_external_event("x", **{keyword: set[int]})) == {1, 2}
        try:
            yield ctx.wait_for_external_event("x", **{keyword: int})
        except task.SerializationError as error:
            return str(error)

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("x", "[1,2]"), EventRaised("x", '"text"'))
    assert "'x'" in r.output
    assert "int" in r.output


def test_timeout_raises_inside(run):
    """**event-timeout**: TimeoutError inside; an event that comes later is kept."""

    def orchestrator(ctx):
        try:
            yield ctx.wait_for_external_event("x", timeout=timedelta(seconds=30))
        except TimeoutError as error:
            text = str(error)
        late = yield ctx.wait_for_external_event("x")
        return [text, late]

    r = run(orchestrator)
    assert r.start() == [CreateTimer(1, 31 * SECOND)]
    r.turn(TimerFired(1, 31 * SECOND))
    r.turn(EventRaised("x", "5"))
    assert r.output == ["no external event 'x' arrived within 0:00:30", 5]


def test_an_event_in_time_beats_the_timeout(run):
    """**event-timeout**: the timer is then ignored; a kept event needs none."""

    def orchestrator(ctx):
        first = yield ctx.wait_for_external_event("x", timeout=timedelta(seconds=30))
        second = yield ctx.wait_for_external_event("x", timeout=timedelta(seconds=30))
        yield ctx.call_activity("work")
        return [first, second]

    r = run(orchestrator)
    r.start()
    assert r.turn(EventRaised("x", "1"), EventRaised("x", "2")) == [ScheduleTask(3, "work")]
    assert r.turn(TimerFired(1, 0)) == []
    r.turn(TaskCompleted(3))
    assert r.output == [1, 2]


def test_cancelling_a_wait_with_a_timeout(run):
    """**cancel**: the timeout goes with the wait."""

    def orchestrator(ctx):
        wait = ctx.wait_for_external_event("x", timeout=timedelta(seconds=30))
        yield ctx.call_activity("work")
        wait.cancel()
        yield ctx.call_activity("work")
        return wait.is_cancelled

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(2))
    r.turn(TimerFired(1, 0))
    r.turn(TaskCompleted(3))
    assert r.output is True
    assert r.end.status is OrchestrationStatus.COMPLETED
