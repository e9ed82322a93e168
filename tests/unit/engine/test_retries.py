"""Rules of timers and retries."""

from datetime import datetime, timedelta

import pytest

from durabletask import task
from durabletask.actions import CreateSubOrchestration, CreateTimer, ScheduleTask
from durabletask.engine.retry import delay_before_retry
from durabletask.errors import InvalidRequestError
from durabletask.history import (
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durabletask.state import FailureDetails, OrchestrationStatus

from .driver import SECOND

FAILURE = FailureDetails("builtins.ValueError", "no")


def policy(attempts=3, **fields):
    return task.RetryPolicy(timedelta(seconds=2), attempts, 3, **fields)


def calling(given):
    def orchestrator(ctx):
        return (
            yield ctx.call_activity(
                "work", input=[1], retry_policy=given, version="v", tags={"k": "t"}
            )
        )

    return orchestrator


def test_retries_keep_their_number_and_arguments(run):
    """**retry-delay**, **replay-ids**: each retry timer takes a new number, the activity none."""
    r = run(calling(policy()))
    again = [ScheduleTask(1, "work", "[1]", "v", {"k": "t"})]
    assert r.start() == again
    assert r.turn(TaskFailed(1, FAILURE)) == [CreateTimer(2, 4 * SECOND)]
    assert r.turn(TimerFired(2, 0)) == again
    assert r.turn(TaskFailed(1, FAILURE)) == [CreateTimer(3, 10 * SECOND)]
    assert r.turn(TimerFired(3, 0)) == again
    r.turn(TaskFailed(1, FAILURE))
    assert r.end.status is OrchestrationStatus.FAILED
    assert r.end.failure.cause == FAILURE


def test_a_retry_may_succeed(run):
    """**retry-quiet**: a retried task completes once, with the final result."""
    r = run(calling(policy()))
    r.start()
    r.turn(TaskFailed(1, FAILURE))
    assert r.turn(TaskFailed(1, FAILURE), TaskCompleted(1, "7")) == []  # duplicates
    r.turn(TimerFired(2, 0))
    r.turn(TaskCompleted(1, "8"))
    assert r.output == 8


def test_retrying_is_no_progress(run):
    """**retry-quiet**: when_any hears neither of failures to be retried nor of their timers."""

    def orchestrator(ctx):
        call = ctx.call_activity("work", retry_policy=policy())
        timer = ctx.create_timer(timedelta(seconds=60))
        winner = yield task.when_any([call, timer])
        return "timer" if winner is timer else "call"

    r = run(orchestrator)
    r.start()
    r.turn(TaskFailed(1, FAILURE))
    r.turn(TimerFired(3, 0))
    r.turn(TimerFired(2, 0))
    assert r.output == "timer"


def test_a_retried_child_keeps_everything(run):
    """**retry-type**: id, version and tags stay; it replaces the finished child."""

    def orchestrator(ctx):
        return (
            yield ctx.call_sub_orchestration(
                "child", input=5, retry_policy=policy(), version="2", tags={"a": "b"}
            )
        )

    r = run(orchestrator)
    (first,) = r.start()
    assert first == CreateSubOrchestration(
        1, "child", first.instance_id, "5", "2", {"a": "b"}, retried=False
    )
    assert r.turn(SubOrchestrationInstanceFailed(1, FAILURE)) == [CreateTimer(2, 4 * SECOND)]
    assert r.turn(TimerFired(2, 0)) == [
        CreateSubOrchestration(1, "child", first.instance_id, "5", "2", {"a": "b"}, retried=True)
    ]
    r.turn(SubOrchestrationInstanceCompleted(1, "6"))
    assert r.output == 6


@pytest.mark.parametrize(
    "given",
    [
        policy(non_retryable_error_types=(ValueError,)),
        policy(non_retryable_error_types=(Exception,)),
        policy(non_retryable_error_types="ValueError"),
        policy(non_retryable_error_types=["builtins.ValueError"]),
        policy(retry_predicate=lambda details: details.message != "no"),
        policy(1),
        policy(retry_timeout=timedelta(seconds=2)),
    ],
)
def test_what_ends_the_trying(run, given):
    """**retry-type**, **retry-delay**: types, predicate, attempts and deadline end it."""
    r = run(calling(given))
    r.start()
    r.turn(TaskFailed(1, FAILURE))
    assert r.end.status is OrchestrationStatus.FAILED


def test_other_failures_are_retried(run):
    """**retry-type**: only what is listed ends the trying, a cause in the chain included."""
    given = policy(non_retryable_error_types=(KeyError,), retry_predicate=lambda details: True)
    r = run(calling(given))
    r.start()
    assert r.turn(TaskFailed(1, FAILURE)) == [CreateTimer(2, 4 * SECOND)]
    r.turn(TimerFired(2, 0))
    caused = FailureDetails("x.E", "m", cause=FailureDetails("builtins.KeyError", "k"))
    r.turn(TaskFailed(1, caused))
    assert r.end.status is OrchestrationStatus.FAILED


def test_non_retriable_failures(run):
    """**retry-type**: a failure that says so is not retried."""
    r = run(calling(policy(None)))
    r.start()
    r.turn(TaskFailed(1, FailureDetails("x.E", "m", non_retriable=True)))
    assert r.end.status is OrchestrationStatus.FAILED


def test_the_deadline_is_judged_on_the_replay_clock(run):
    """**retry-delay**: an attempt that would start past the deadline is not made."""
    r = run(calling(policy(None, retry_timeout=timedelta(seconds=10))))
    r.start()
    assert r.turn(TaskFailed(1, FAILURE)) == [CreateTimer(2, 4 * SECOND)]
    r.turn(TimerFired(2, 0), seconds=2)
    r.turn(TaskFailed(1, FAILURE), seconds=4)
    assert r.end.status is OrchestrationStatus.FAILED


def test_a_predicate_that_raises(run):
    """**retry-type**: what the predicate raises comes out at the yield."""

    def orchestrator(ctx):
        try:
            yield ctx.call_activity("work", retry_policy=policy(retry_predicate=lambda d: 1 / 0))
        except ZeroDivisionError:
            return "told"

    r = run(orchestrator)
    r.start()
    r.turn(TaskFailed(1, FAILURE))
    assert r.output == "told"


def test_delays():
    """**retry-delay**: first * coefficient ** (n - 1), capped, with or without an end."""
    plain = task.RetryPolicy(timedelta(seconds=1), None, 2.0)
    assert [delay_before_retry(plain, n, "") for n in (1, 2, 5)] == [
        SECOND,
        2 * SECOND,
        16 * SECOND,
    ]
    capped = task.RetryPolicy(timedelta(seconds=1), None, 2, timedelta(seconds=5))
    assert delay_before_retry(capped, 4, "") == 5 * SECOND
    assert delay_before_retry(capped, 100_000, "") == 5 * SECOND
    assert delay_before_retry(task.RetryPolicy(timedelta(0), None, 2), 100_000, "") == 0
    assert delay_before_retry(plain, 100_000, "") < 101 * 366 * 86_400 * SECOND


def test_jitter_is_derived():
    """**retry-delay**: jitter only shortens, and depends on nothing but the call and attempt."""
    given = task.RetryPolicy(timedelta(seconds=100), None, jitter=0.5)
    delays = [delay_before_retry(given, n, f"instance-{i}") for n in (1, 2) for i in range(20)]
    assert delays == [
        delay_before_retry(given, n, f"instance-{i}") for n in (1, 2) for i in range(20)
    ]
    assert len(set(delays)) == 40
    assert all(50 * SECOND <= delay <= 100 * SECOND for delay in delays)


def test_zero_interval_still_waits_by_timer(run):
    """**retry-delay**: an interval of zero is allowed."""
    r = run(calling(task.RetryPolicy(timedelta(0), 2)))
    r.start()
    assert r.turn(TaskFailed(1, FAILURE)) == [CreateTimer(2, 2 * SECOND)]


def test_timers_take_a_timedelta_or_a_datetime(run):
    """**timer-time**: anything else, and any time beyond the calendar, is a named error."""

    def orchestrator(ctx):
        with pytest.raises(task.ArgumentTypeError, match="timedelta"):
            ctx.create_timer(5)
        with pytest.raises(InvalidRequestError, match="9999"):
            ctx.create_timer(timedelta.max)
        with pytest.raises(task.ArgumentTypeError, match="RetryPolicy"):
            ctx.call_activity("work", retry_policy=3)
        yield ctx.create_timer(datetime.max)

    assert run(orchestrator).start() == [CreateTimer(2, 253_402_300_799_999_999)]
