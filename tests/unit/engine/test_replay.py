"""Rules of replay."""

import asyncio
import gc
import logging
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import task
from durabletask.actions import CompleteOrchestration, CreateTimer, ScheduleTask, SendEvent
from durabletask.engine.body import unclosable
from durabletask.history import (
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durabletask.state import FailureDetails, OrchestrationStatus

from .driver import SECOND


def work(ctx, n):
    return n


def test_a_sequence_runs_step_by_step(run):
    """**yield-done**, **replay-ids**: each completion lets the body take its next step."""

    def orchestrator(ctx, n):
        first = yield ctx.call_activity(work, input=n)
        second = yield ctx.call_activity("named", input=first + 1)
        return [first, second]

    r = run(orchestrator)
    assert r.start(10) == [ScheduleTask(1, "work", "10")]
    assert r.turn(TaskCompleted(1, "11")) == [ScheduleTask(2, "named", "12")]
    assert r.turn(TaskCompleted(2, '"x"')) == [
        CompleteOrchestration(OrchestrationStatus.COMPLETED, '[11,"x"]')
    ]
    assert r.session.is_finished
    assert r.session.sequence == 3
    assert r.session.execution_id == "execution-1"


def test_async_body_gives_the_same_history(run):
    """**async-body**: await and yield give one and the same history."""

    def generator(ctx, n):
        values = yield task.when_all([ctx.call_activity(work, input=i) for i in range(n)])
        yield ctx.create_timer(timedelta(seconds=5))
        return sum(values)

    async def coroutine(ctx, n):
        values = await task.when_all([ctx.call_activity(work, input=i) for i in range(n)])
        await ctx.create_timer(timedelta(seconds=5))
        return sum(values)

    histories = []
    for body in (generator, coroutine):
        body.__name__ = "body"
        r = run(body)
        r.start(2)
        r.turn(TaskCompleted(2, "5"), TaskCompleted(1, "4"))
        r.turn(TimerFired(3, 0))
        assert r.output == 9
        histories.append(r.history)
    assert histories[0] == histories[1]


def test_is_replaying(run):
    """**replay-order**: true for committed history, false for what is new."""
    seen = []

    def orchestrator(ctx):
        seen.append(("a", ctx.is_replaying))
        yield ctx.call_activity(work, input=1)
        seen.append(("b", ctx.is_replaying))
        yield ctx.call_activity(work, input=2)

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    live = [name for name, replaying in seen if not replaying]
    assert live == ["a", "b"]
    seen.clear()
    r.replay().dispose()
    assert seen == [("a", True), ("b", True)]


def test_the_clock_is_the_turns(run):
    """**replay-clock**: aware, still within a turn, never going back."""
    times = []

    def orchestrator(ctx):
        for _ in range(3):
            assert ctx.current_utc_datetime == ctx.current_utc_datetime
            times.append(ctx.current_utc_datetime)
            yield ctx.call_activity(work, input=1)
        return None

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1), seconds=2.5)
    r.turn(TaskCompleted(2), seconds=-2)
    expected = [1, 3.5, 3.5]
    assert times[-3:] == [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s) for s in expected]
    assert times[0].tzinfo is UTC


def test_naive_datetimes_mean_utc(run):
    """**replay-clock**, **timer-time**: a naive datetime is UTC, a timedelta adds to the clock."""

    def orchestrator(ctx):
        naive = ctx.current_utc_datetime.replace(tzinfo=None)
        ctx.create_timer(naive + timedelta(hours=1))
        ctx.create_timer(timedelta(hours=1))
        ctx.create_timer(timedelta(days=-1))
        yield ctx.create_timer(timedelta(days=3650))

    hour, day = 3600 * SECOND, 86_400 * SECOND
    assert run(orchestrator).start() == [
        CreateTimer(1, SECOND + hour),
        CreateTimer(2, SECOND + hour),
        CreateTimer(3, SECOND - day),
        CreateTimer(4, SECOND + 3650 * day),
    ]


def test_numbers(run):
    """**replay-ids**: every scheduling call takes the next number, a wait for an event none."""

    def orchestrator(ctx):
        ctx.call_activity(work, input=1)
        ctx.wait_for_external_event("x")
        ctx.create_timer(timedelta(1))
        ctx.call_sub_orchestration("child", instance_id="c")
        ctx.send_event("other", "x", data=0)
        yield ctx.call_activity(work, input=1)

    actions = run(orchestrator).start()
    assert [action.task_id for action in actions] == [1, 2, 3, 4, 5]
    assert actions[3] == SendEvent(4, "other", "x", "0")


def test_unknown_completions_are_ignored(run, caplog):
    """**replay-unknown**: duplicates and losers are ignored, and logged only the first time."""

    def orchestrator(ctx):
        yield ctx.call_activity(work, input=1)
        yield ctx.call_activity(work, input=2)
        return "done"

    failure = FailureDetails("x.E", "late")
    with caplog.at_level(logging.DEBUG, logger="durabletask.engine"):
        r = run(orchestrator)
        r.start()
        r.turn(TaskCompleted(1), TaskCompleted(1), TaskFailed(1, failure), TimerFired(9, 0))
        assert len(caplog.records) == 3
        caplog.clear()
        r.replay().dispose()
        assert caplog.records == []
    r.turn(TaskCompleted(2))
    assert r.output == "done"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("wrong", [None, 3, [1], "text"])
def test_yielding_something_else_is_a_type_error(run, wrong, first):
    """**yield-task**: a TypeError at that yield, the first one included."""

    def orchestrator(ctx):
        if not first:
            yield ctx.call_activity(work, input=1)
        try:
            yield wrong
        except TypeError as error:
            assert isinstance(error, task.DurableTaskError)
            text = str(error)
        yield ctx.call_activity(work, input=2)
        return text

    r = run(orchestrator)
    r.start()
    if not first:
        r.turn(TaskCompleted(1))
    r.turn(TaskCompleted(1 if first else 2))
    assert type(wrong).__name__ in r.output


def test_yielding_a_finished_task_again(run):
    """**yield-done**: resumes at once, any number of times, also with the failure."""

    def orchestrator(ctx):
        good, bad = ctx.call_activity(work, input=1), ctx.call_activity(work, input=2)
        yield task.when_any([good])
        texts = []
        for _ in range(3):
            texts.append((yield good))
            try:
                yield bad
            except task.TaskFailedError as error:
                texts.append(error.details.message)
        return texts

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, "1"), TaskFailed(2, FailureDetails("x.E", "no")))
    assert r.output == [1, "no"] * 3


def test_many_events_advance_many_steps(run):
    """**yield-many**: several events of one turn may advance the body several steps."""

    def orchestrator(ctx):
        tasks = [ctx.call_activity(work, input=i) for i in range(3)]
        total = 0
        for t in tasks:
            total += yield t
        return total

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(3, "3"), TaskCompleted(1, "1"), TaskCompleted(2, "2"))
    assert r.output == 6


def test_disposal_closes_now_and_deaf(run, caplog):
    """**dispose**: finally blocks run at disposal; their calls do nothing, their logs are lost."""
    log = []

    def orchestrator(ctx):
        try:
            yield ctx.call_activity(work, input=1)
        finally:
            ctx.call_activity(work, input=2)
            ctx.create_timer(timedelta(1))
            ctx.set_custom_status("closing")
            ctx.send_event("other", "x")
            ctx.continue_as_new(1)
            assert not ctx.wait_for_external_event("x").is_complete
            assert not ctx.call_sub_orchestration("c").is_complete
            ctx.logger.error("closing")
            log.append("closed")

    r = run(orchestrator)
    r.start()
    session = r.session
    with caplog.at_level(logging.DEBUG, logger="durabletask"):
        session.dispose()
        session.dispose()
    assert log == ["closed"]
    assert caplog.records == []
    assert session.ledger.actions.keys() == {1}


def test_disposal_closes_coroutines_and_the_stubborn(run, caplog):
    """**dispose**: a coroutine is closed too, and a body that yields while it is closed."""
    log = []

    async def coroutine(ctx):
        try:
            await ctx.call_activity(work, input=1)
        finally:
            log.append("coroutine")

    def stubborn(ctx):
        for _ in range(3):
            try:
                yield ctx.call_activity(work, input=1)
            except GeneratorExit:
                log.append("again")

    def failing(ctx):
        try:
            yield ctx.call_activity(work, input=1)
        finally:
            raise ValueError("in finally")

    for body in (coroutine, stubborn, failing):
        r = run(body)
        r.start()
        r.session.dispose()
    gc.collect()
    assert log == ["coroutine", "again", "again", "again"]
    assert "raised while it was being closed" in caplog.text


def test_a_body_that_never_ends_is_given_up(run, caplog):
    """**dispose**: even a body that yields for ever does not stop its worker."""

    def endless(ctx):
        while True:
            try:
                yield ctx.call_activity(work, input=1)
            except GeneratorExit:
                closings.append(ctx.instance_id)
                if stop:
                    return

    closings, stop = [], []
    r = run(endless)
    r.start()
    r.session.dispose()
    assert "goes on yielding" in caplog.text
    times = len(closings)
    del r
    gc.collect()
    assert len(closings) == times
    stop.append(True)
    unclosable.clear()


def test_except_exception_does_not_stop_disposal(run):
    """**base-exception**: what is thrown to close a body passes by except Exception."""
    log = []

    def orchestrator(ctx):
        while True:
            try:
                yield ctx.call_activity(work, input=1)
            except Exception:
                log.append("eaten")

    r = run(orchestrator)
    r.start()
    r.session.dispose()
    assert log == []


@pytest.mark.parametrize("foreign", ["sleep", "future", "bare"])
def test_awaiting_anything_else_is_an_error(run, foreign):
    """**async-body**: no foreign event loop inside an orchestrator, and an error that says so."""

    async def orchestrator(ctx):
        if foreign == "sleep":
            await asyncio.sleep(0)
        elif foreign == "future":
            loop = asyncio.new_event_loop()
            try:
                await loop.create_future()
            finally:
                loop.close()
        else:
            await _Bare()

    r = run(orchestrator)
    r.start()
    assert r.end.status is OrchestrationStatus.FAILED
    assert r.end.failure.is_caused_by(TypeError)
    assert "durable tasks only" in r.end.failure.message


@pytest.mark.parametrize(
    ("yielded", "instead"),
    [
        (lambda ctx: [ctx.call_activity("a"), ctx.call_activity("b")], "task.when_all"),
        (lambda ctx: (n for n in ()), "yield from"),
        (lambda ctx: 5, "activities"),
    ],
    ids=["list", "generator", "number"],
)
def test_what_was_meant_instead_of_a_foreign_value(run, yielded, instead):
    """The usual mistakes get the usual remedy."""

    def orchestrator(ctx):
        yield yielded(ctx)

    r = run(orchestrator)
    r.start()
    assert instead in r.end.failure.message


def test_a_task_that_was_not_waited_for_is_no_input(run):
    """**failure-serialize** The missing yield is named, however deep the task is in the data."""

    def orchestrator(ctx):
        first = ctx.call_activity("a")
        yield ctx.call_activity("b", input={"result": [first]})

    r = run(orchestrator)
    r.start()
    message = r.end.failure.message
    assert "it is a task that was not waited for - at `$.result[0]`" in message
    assert "Write yield or await" in message


class _Bare:
    def __await__(self):
        yield 5


def test_a_plain_function_may_just_return(run):
    """Orchestrators need not wait for anything."""
    r = run(_plain)
    r.start(1)
    assert r.output == 2


def _plain(ctx, n):
    return n + 1


def test_a_plain_function_may_fail(run):
    """**failure-shape**: what it raises fails the instance."""

    def orchestrator(ctx):
        raise ValueError("at once")

    r = run(orchestrator)
    r.start()
    assert r.end.failure.error_type == "builtins.ValueError"


def test_a_second_start_is_ignored(run):
    """**replay-unknown**: an execution starts once."""
    calls = []

    def orchestrator(ctx):
        calls.append(ctx)
        yield ctx.call_activity(work, input=1)

    r = run(orchestrator)
    r.start()
    calls.clear()
    assert r.turn(r.history[1]) == []
    assert len(calls) == r.replayed


def test_an_interrupt_while_replaying(run):
    """**failure-infra**: it goes to the caller, and the orchestrator is closed."""

    def orchestrator(ctx):
        yield ctx.call_activity(work, input=1)
        if interrupting:
            raise KeyboardInterrupt
        yield ctx.call_activity(work, input=2)

    interrupting = []
    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    interrupting.append(True)
    with pytest.raises(KeyboardInterrupt):
        r.replay()


def test_helpers_by_yield_from(run):
    """**yield-many**: sub-generators and nested coroutines take part."""

    def helper(ctx, n):
        return (yield ctx.call_activity(work, input=n))

    def orchestrator(ctx):
        first = yield from helper(ctx, 1)
        second = yield from helper(ctx, 2)
        return first + second

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, "1"))
    r.turn(TaskCompleted(2, "2"))
    assert r.output == 3


def test_a_finished_session_refuses_more(run):
    """A session that is over says so."""
    r = run(_plain)
    r.start(1)
    with pytest.raises(Exception, match="is over"):
        r.session.run_turn([OrchestratorStarted(9)])
    with pytest.raises(Exception, match="new session"):
        r.session.replay(r.history)


def test_inputs_are_taken_at_the_call(run):
    """A value changed after the call is sent as it was."""

    def orchestrator(ctx):
        value = [1]
        ctx.call_activity(work, input=value)
        value.append(2)
        yield ctx.call_activity(work, input=value)

    assert [a.input for a in run(orchestrator).start()] == ["[1]", "[1,2]"]
