"""Rules of finding out that code and history disagree."""

from datetime import timedelta

import pytest

from durabletask import task
from durabletask.errors import NonDeterminismError, WorkerStateError
from durabletask.history import EventRaised, OrchestratorStarted, TaskCompleted

from .driver import Run

HOUR = timedelta(hours=1)

CALLS = {
    "activity 'a'": lambda ctx: ctx.call_activity("a"),
    "activity 'b'": lambda ctx: ctx.call_activity("b"),
    "sub-orchestration 'a'": lambda ctx: ctx.call_sub_orchestration("a"),
    "sub-orchestration 'b'": lambda ctx: ctx.call_sub_orchestration("b"),
    "a timer": lambda ctx: ctx.create_timer(HOUR),
    "event 'a' to instance 'x'": lambda ctx: ctx.send_event("x", "a"),
    "event 'a' to instance 'y'": lambda ctx: ctx.send_event("y", "a"),
    "event 'b' to instance 'x'": lambda ctx: ctx.send_event("x", "b"),
    "nothing": lambda ctx: None,
}


def asking(call):
    def orchestrator(ctx):
        CALLS[call](ctx)
        yield ctx.wait_for_external_event("never")

    return orchestrator


@pytest.mark.parametrize("now", CALLS)
@pytest.mark.parametrize("then", CALLS)
def test_a_confirmation_must_match(then, now):
    """**replay-check**: by number, kind, name and target; the text names both sides."""
    r = Run(asking(then))
    r.start()
    if then == now:
        r.replay().dispose()
        return
    with pytest.raises(NonDeterminismError) as caught:
        r.replay(asking(now))
    text = str(caught.value)
    assert f"history records {then}, but the code now asks for {now}" in text
    assert "#1" in text
    assert "turn 1" in text
    assert "'orchestrator'" in text
    assert "'order-1'" in text
    assert "must do the same at every replay" in text


def test_inputs_and_letter_case_of_events_are_not_compared():
    """**replay-check**: inputs may differ; event names ignore case."""

    def old(ctx):
        ctx.send_event("x", "Name", data=1)
        yield ctx.call_activity("a", input=1)

    def new(ctx):
        ctx.send_event("x", "nAME", data=2)
        yield ctx.call_activity("a", input=2)

    r = Run(old)
    r.start()
    r.replay(new).dispose()


def test_a_number_too_many_or_too_few():
    """**replay-check**: more, or fewer, calls than history has, in a turn that is over."""

    def calls(count):
        def orchestrator(ctx):
            for _ in range(count):
                ctx.call_activity("a")
            yield ctx.wait_for_external_event("x")
            yield ctx.wait_for_external_event("x")

        return orchestrator

    r = Run(calls(2))
    r.start()
    r.turn(EventRaised("x"))
    with pytest.raises(NonDeterminismError, match=r"#3: history records nothing.* activity 'a'"):
        r.replay(calls(3))
    with pytest.raises(NonDeterminismError, match=r"#2: history records activity 'a'.* nothing"):
        r.replay(calls(1))


def test_an_end_that_history_does_not_have():
    """**replay-check**: code that now returns, or fails, where it used to wait."""

    def waiting(ctx):
        yield ctx.wait_for_external_event("x")

    def returning(ctx):
        return None

    def failing(ctx):
        raise ValueError

    r = Run(waiting)
    r.start()
    with pytest.raises(NonDeterminismError, match=r"nothing, but .* the end as COMPLETED"):
        r.replay(returning)
    with pytest.raises(NonDeterminismError, match=r"nothing, but .* the end as FAILED"):
        r.replay(failing)


def test_an_end_that_the_code_does_not_come_to():
    """**replay-check**: the end is compared by how it came, in both directions."""

    def returning(ctx):
        return None

    def failing(ctx):
        raise ValueError

    def waiting(ctx):
        yield ctx.wait_for_external_event("x")

    def continuing(ctx):
        ctx.continue_as_new(None)

    ends = {
        returning: "the end as COMPLETED",
        failing: "the end as FAILED",
        continuing: "continue_as_new",
    }
    for old, recorded in ends.items():
        r = Run(old)
        r.start()
        for new in (returning, failing, waiting, continuing):
            if new is old:
                r.replay(new).dispose()
                continue
            with pytest.raises(NonDeterminismError, match=f"history records {recorded}, but"):
                r.replay(new)


def test_retries_and_timeouts_are_named():
    """**replay-check**: timers that the engine made are described by what they are for."""

    def retrying(ctx):
        yield ctx.wait_for_external_event("x", timeout=HOUR)

    def old(ctx):
        yield ctx.call_activity("a")

    r = Run(old)
    r.start()
    with pytest.raises(NonDeterminismError, match="a timer to end the wait for event 'x'"):
        r.replay(retrying)


def test_a_session_that_disagreed_is_over():
    """**replay-park**: the error goes to the caller, the orchestrator is closed."""
    log = []

    def other(ctx):
        try:
            yield ctx.call_activity("b")
        finally:
            log.append("closed")

    r = Run(asking("activity 'a'"))
    r.start()
    registry_run = Run(other)
    session = registry_run.session
    with pytest.raises(NonDeterminismError):
        session.replay(r.history)
    assert set(log) == {"closed"}
    assert not session.is_finished
    with pytest.raises(WorkerStateError):
        session.run_turn([OrchestratorStarted(1), TaskCompleted(1)])


def test_a_random_orchestrator_is_caught():
    """**replay-check**: state kept outside the context shows at the next replay."""
    runs = []

    @task.orchestration
    def impure(ctx):
        runs.append(1)
        for _ in runs:
            ctx.call_activity("a")
        yield ctx.wait_for_external_event("x")

    r = Run(impure)
    r.start()
    with pytest.raises(NonDeterminismError):
        r.replay()
