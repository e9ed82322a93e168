"""**rewind**: what stays of a failed history, and that its orchestrator can go on with it."""

from datetime import timedelta

import pytest

from durabletask import history as h
from durabletask import task
from durabletask.actions import CompleteOrchestration, CreateTimer, ScheduleTask
from durabletask.engine import rewound
from durabletask.engine.open_work import open_activities, open_children, open_timers
from durabletask.errors import NonDeterminismError
from durabletask.state import FailureDetails, OrchestrationStatus

from .driver import Run

NEWS = h.ExecutionRewound("execution-1", "the service is back")
NO = FailureDetails("x.E", "no")
TWICE = task.RetryPolicy(timedelta(seconds=1), 2)


def work(ctx, name="work", **how):
    return ctx.call_activity(name, **how)


def rewind(r: Run, function=None):
    """Rewind a failed run in place; what its next turn asks for."""
    assert isinstance(r.end, CompleteOrchestration)
    assert r.end.status is OrchestrationStatus.FAILED
    after = rewound(r.history, NEWS)
    r.history = [event for turn in after.turns for event in turn]
    r.session.dispose()
    if function is not None:
        r.registration = Run(function).registration
    r.session = r.new_session()
    if r.history:
        r.session.replay(r.history)
    return r.turn(*after.received)


def unfinished(r: Run) -> list[int]:
    return [*open_activities(r.history)]


def test_a_failed_activity_runs_again(run):
    """**rewind** The failed result goes; what had succeeded stays and is not asked for again."""

    def two(ctx):
        first = yield work(ctx)
        second = yield work(ctx)
        return [first, second]

    r = run(two)
    r.start()
    r.turn(h.TaskCompleted(1, "1"))
    before = len(r.history)
    r.turn(h.TaskFailed(2, NO))
    whole = r.history
    assert rewind(r) == []
    assert [type(event) for event in r.history[:before]] == [type(e) for e in whole[:before]]
    assert r.history[before - 1] == h.TaskScheduled(2, "work", origin="execution-1")
    assert r.history[before + 1 :] == [NEWS]
    assert unfinished(r) == [2]
    r.turn(h.TaskCompleted(2, "2"))
    assert r.output == [1, 2]


def test_all_that_failed_side_by_side_run_again(run):
    """**rewind** However the failures were spread over the turns, and whatever came beside them."""

    def many(ctx):
        return (yield task.when_all([work(ctx) for _ in range(5)]))

    r = run(many)
    r.start()
    r.turn(h.TaskCompleted(1, "1"), h.TaskFailed(2, NO))
    r.turn(h.TaskFailed(3, FailureDetails("x.E", "other")))
    r.turn(h.TaskCompleted(4, "4"))
    r.turn(h.TaskFailed(5, NO))
    assert rewind(r) == []
    assert unfinished(r) == [2, 3, 5]
    r.turn(*(h.TaskCompleted(n, str(n)) for n in (2, 3, 5)))
    assert r.output == [1, 2, 3, 4, 5]


def test_compensations_are_taken_back(run):
    """**rewind** What was asked for because of the failure is not what the body does now."""

    def saga(ctx):
        yield work(ctx, "book")
        try:
            yield work(ctx, "pay")
        except task.TaskFailedError:
            yield work(ctx, "unbook")
            raise
        return "paid"

    r = run(saga)
    r.start()
    r.turn(h.TaskCompleted(1))
    r.turn(h.TaskFailed(2, NO))
    r.turn(h.TaskCompleted(3))
    assert rewind(r) == []
    assert unfinished(r) == [2]
    r.turn(h.TaskCompleted(2))
    assert r.output == "paid"


def test_failures_that_were_dealt_with_stay(run):
    """**rewind** Only what the orchestration failed of goes; the rest of its history stays."""

    def body(ctx):
        try:
            yield work(ctx, "nice to have")
        except task.TaskFailedError:
            pass
        first = yield work(ctx)
        return [first, (yield work(ctx))]

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))
    r.turn(h.TaskCompleted(2, "2"))
    r.turn(h.TaskFailed(3, FailureDetails("x.E", "another")))
    assert rewind(r) == []
    assert unfinished(r) == [3]
    r.turn(h.TaskCompleted(3, "3"))
    assert r.output == [2, 3]


def test_of_equal_failures_the_last_one_counts(run):
    """**rewind** An author's own loop of tries is left where it was."""

    def stubborn(ctx):
        for attempt in range(3):
            try:
                return (yield work(ctx))
            except task.TaskFailedError:
                if attempt == 2:
                    raise
                yield ctx.create_timer(timedelta(seconds=1))
        return None

    r = run(stubborn)
    r.start()
    for number in (1, 3):
        r.turn(h.TaskFailed(number, NO))
        r.turn(h.TimerFired(number + 1, 0))
    r.turn(h.TaskFailed(5, NO))
    assert rewind(r) == []
    assert unfinished(r) == [5]
    r.turn(h.TaskCompleted(5, "true"))
    assert r.output is True


def test_a_retried_activity_is_given_its_last_attempt_again(run):
    """**rewind** The earlier attempts and their timers stay, so replay finds what it expects."""

    def body(ctx):
        return (yield work(ctx, retry_policy=TWICE))

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))
    r.turn(h.TimerFired(2, 0))
    r.turn(h.TaskFailed(1, NO))
    assert rewind(r) == []
    assert unfinished(r) == [1]
    r.turn(h.TaskFailed(1, NO))
    assert rewind(r) == []
    r.turn(h.TaskCompleted(1, "1"))
    assert r.output == 1


def test_attempts_after_a_rewind_are_of_the_same_call(run):
    """**rewind** So they have the idempotency key of those before it."""

    def body(ctx):
        first, second = work(ctx), work(ctx, retry_policy=TWICE)
        yield first
        return (yield second)

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))
    rewind(r)
    r.turn(h.TaskCompleted(1), h.TaskFailed(2, NO))
    assert r.turn(h.TimerFired(3, 0)) == [ScheduleTask(2, "work", origin="execution-1")]


def test_retries_side_by_side(run):
    """**rewind** Turns with nobody's calls but retries stay, without the failures that were final.

    #1 fails at once and for good, #2 fails twice, #3 fails and is then tried with success.
    """

    def body(ctx):
        once = task.RetryPolicy(timedelta(seconds=1), 2, non_retryable_error_types=["x.Bad"])
        calls = [work(ctx, retry_policy=once) for _ in range(3)]
        return (yield task.when_all(calls))

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, FailureDetails("x.Bad", "bad")), h.TaskFailed(2, NO))  # timer 4
    r.turn(h.TaskFailed(3, NO))  # timer 5
    r.turn(h.TimerFired(4, 0))
    r.turn(h.TimerFired(5, 0))
    r.turn(h.TaskCompleted(3, "3"))
    r.turn(h.TaskFailed(2, NO))
    assert rewind(r) == []
    assert unfinished(r) == [1, 2]
    assert not open_timers(r.history)
    r.turn(h.TaskCompleted(1, "1"), h.TaskCompleted(2, "2"))
    assert r.output == [1, 2, 3]


def test_an_attempt_that_waits_goes_on_waiting(run):
    """**rewind** A retry whose hour had not come when another call ended the orchestration."""

    def body(ctx):
        first = work(ctx)
        second = work(ctx, retry_policy=TWICE)
        yield first
        return (yield second)

    r = run(body)
    r.start()
    assert [type(action) for action in r.turn(h.TaskFailed(2, NO))] == [CreateTimer]
    r.turn(h.TaskFailed(1, NO))
    assert rewind(r) == []
    assert unfinished(r) == [1]
    [timer] = open_timers(r.history).values()
    r.turn(h.TaskCompleted(1))
    assert [type(action) for action in r.turn(timer)] == [ScheduleTask]
    r.turn(h.TaskCompleted(2, "2"))
    assert r.output == 2


def test_a_race_may_be_won_by_another(run):
    """**rewind** What came in beside the failure is given to the body as something new."""

    def race(ctx):
        calls = [work(ctx), work(ctx)]
        winner = yield task.when_any(calls)
        value = yield winner
        return [value, (yield work(ctx, "after"))]

    r = run(race)
    r.start()
    r.turn(h.TaskFailed(1, NO), h.TaskCompleted(2, "2"), h.EventRaised("x", "1"))
    assert [type(action) for action in rewind(r)] == [ScheduleTask]
    r.turn(h.TaskCompleted(3, "3"))
    assert r.output == [2, 3]


def test_what_was_only_waited_for_stays_waited_for(run):
    """**rewind** Events and timers that came in later are not lost."""

    def body(ctx):
        timer, event = ctx.create_timer(timedelta(seconds=5)), ctx.wait_for_external_event("go")
        yield work(ctx)
        yield timer
        return (yield event)

    r = run(body)
    r.start()
    r.turn(h.EventRaised("go", "7"), h.ExecutionSuspended())
    r.turn(h.TimerFired(1, 0), h.TaskFailed(2, NO))
    r.turn(h.ExecutionResumed())
    rewind(r)
    assert unfinished(r) == [2]
    r.turn(h.TaskCompleted(2))
    assert r.output == 7


def test_an_exception_of_the_body_is_repaired_by_other_code(run):
    """**rewind** The end goes, and today's code is replayed."""

    def broken(ctx):
        yield work(ctx)
        raise ValueError("a bug")

    def mended(ctx):
        return (yield work(ctx))

    r = run(broken)
    r.start()
    r.turn(h.TaskCompleted(1, "1"))
    rewind(r, mended)
    assert r.output == 1


def test_a_failure_in_the_first_turn_leaves_nothing(run):
    """**rewind** The execution begins again, with the events that it had."""

    def broken(ctx):
        raise ValueError("a bug")

    def mended(ctx, value):
        return [value, (yield ctx.wait_for_external_event("x"))]

    r = run(broken)
    r.start(5, h.EventRaised("x", "6"))
    after = rewound(r.history, NEWS)
    assert after.turns == []
    rewind(r, mended)
    assert r.output == [5, 6]


def test_errors_that_were_collected(run):
    """**rewind** Failures after which nothing was asked for go, whatever the body raised."""

    def body(ctx):
        calls = [work(ctx) for _ in range(3)]
        errors = 0
        for call in calls:
            try:
                yield call
            except task.TaskFailedError:
                errors += 1
        if errors:
            raise RuntimeError(f"{errors} failed")
        return "fine"

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))
    r.turn(h.TaskCompleted(2))
    r.turn(h.TaskFailed(3, NO))
    rewind(r)
    assert unfinished(r) == [1, 3]
    r.turn(h.TaskCompleted(1), h.TaskCompleted(3))
    assert r.output == "fine"


def test_of_a_failed_child_only_the_failure_goes(run):
    """**rewind** That the child was started stays."""

    def body(ctx):
        return (yield ctx.call_sub_orchestration("child", instance_id="c"))

    r = run(body)
    r.start()
    r.turn(h.SubOrchestrationInstanceFailed(1, NO))
    rewind(r)
    assert [child.instance_id for child in open_children(r.history).values()] == ["c"]
    r.turn(h.SubOrchestrationInstanceCompleted(1, "1"))
    assert r.output == 1


def test_rewinding_again_keeps_the_record_of_the_first(run):
    """**rewind** For whoever reads the history: each rewind is in it, in order."""

    def body(ctx):
        return (yield work(ctx))

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))
    rewind(r)
    r.turn(h.TaskFailed(1, NO))
    rewind(r)
    rewinds = [event for event in r.history if isinstance(event, h.ExecutionRewound)]
    assert rewinds == [NEWS, NEWS]
    r.turn(h.TaskCompleted(1, "1"))
    assert r.output == 1


def test_what_is_asked_for_once_more_is_no_mismatch(run):
    """**replay-check** After a rewind, for servers that run nothing by themselves; else it is."""

    def body(ctx):
        timer = ctx.create_timer(timedelta(hours=1))
        return (yield task.when_all([work(ctx), timer]))

    r = run(body)
    r.start()
    again = [h.TaskScheduled(2, "work"), h.TimerCreated(1, 3600 * 1_000_000)]
    r.history += [h.OrchestratorStarted(2), NEWS, *again]
    r.replay()
    r.history.remove(NEWS)
    with pytest.raises(NonDeterminismError):
        r.replay()


def test_a_retry_that_succeeded_after_the_failure_is_not_given_again(run):
    """**rewind** Nobody asked for it because of the failure, so it stays, and counts once."""

    def body(ctx):
        try:
            return (yield task.when_all([work(ctx, retry_policy=TWICE), work(ctx)]))
        except task.TaskFailedError:
            yield work(ctx, "apologise")
            raise

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))  # timer 3
    r.turn(h.TimerFired(3, 0), h.TaskFailed(2, FailureDetails("x.Bad", "bad")))
    r.turn(h.TaskCompleted(1, "1"))
    r.turn(h.TaskCompleted(4))
    assert rewind(r) == []
    assert unfinished(r) == [2]
    assert [e for e in r.history if isinstance(e, h.TaskCompleted)] == [h.TaskCompleted(1, "1")]
    r.turn(h.TaskCompleted(2, "2"))
    assert r.output == [1, 2]


def test_a_retry_that_is_taken_back_takes_its_result_along(run):
    """**rewind** No result comes before the attempt that it is the result of."""

    def body(ctx):
        tried, plain = work(ctx, retry_policy=TWICE), work(ctx)
        try:
            first = yield plain
        except task.TaskFailedError:
            yield work(ctx, "apologise")
            yield tried
            raise
        return [first, (yield tried)]

    r = run(body)
    r.start()
    r.turn(h.TaskFailed(1, NO))  # timer 3
    r.turn(h.TimerFired(3, 0), h.TaskFailed(2, FailureDetails("x.Bad", "bad")))
    r.turn(h.TaskCompleted(1, "1"), h.TaskCompleted(4))
    assert [type(action) for action in rewind(r)] == [ScheduleTask]
    assert sorted(unfinished(r)) == [1, 2]
    assert not any(isinstance(event, h.TaskCompleted) for event in r.history)
    r.turn(h.TaskCompleted(2, "2"), h.TaskCompleted(1, "1"))
    assert r.output == [2, 1]
