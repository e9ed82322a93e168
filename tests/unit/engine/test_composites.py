"""Rules of when_all and when_any, and of cancelling."""

from datetime import timedelta

import pytest

from durabletask import task
from durabletask.actions import ScheduleTask
from durabletask.history import EventRaised, TaskCompleted, TaskFailed, TimerFired
from durabletask.state import FailureDetails


def failed(number, message):
    return TaskFailed(number, FailureDetails("builtins.ValueError", message))


def calls(ctx, count):
    return [ctx.call_activity("work", input=i) for i in range(count)]


def test_all_waits_then_raises_the_first_observed(run):
    """**all-waits**: every child is waited for; the failure that came first is raised."""

    def orchestrator(ctx):
        every = task.when_all(calls(ctx, 3))
        try:
            yield every
        except task.TaskFailedError as error:
            assert every.is_failed
            assert every.get_exception() is error
            return error.details.message

    r = run(orchestrator)
    r.start()
    assert r.turn(failed(3, "third")) == []
    assert r.turn(failed(1, "first")) == []
    r.turn(TaskCompleted(2, "2"))
    assert r.output == "third"


def test_all_keeps_input_order_and_duplicates(run):
    """**all-waits**: results keep input order; one task listed twice appears twice."""

    def orchestrator(ctx):
        a, b = calls(ctx, 2)
        every = task.when_all([b, a, b])
        assert every.pending_tasks == 3
        results = yield every
        assert every.get_completed_tasks() == [b, a, b]
        return results

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, '"a"'))
    r.turn(TaskCompleted(2, '"b"'))
    assert r.output == ["b", "a", "b"]


def test_all_of_what_has_already_failed(run):
    """**all-waits**: of failures that came before, the first in the list is raised."""

    def orchestrator(ctx):
        a, b, c = calls(ctx, 3)
        yield task.when_any([c])
        try:
            yield task.when_all([c, a, b])
        except task.TaskFailedError as error:
            return error.details.message

    r = run(orchestrator)
    r.start()
    r.turn(failed(2, "second"), failed(1, "first"), TaskCompleted(3))
    assert r.output == "first"


def test_one_task_twice_in_a_race(run):
    """**any-winner**: listed twice, a task still wins once."""

    def orchestrator(ctx):
        a, b = calls(ctx, 2)
        return (yield task.when_any([a, b, a])) is a

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    assert r.output is True


def test_empty_composites(run):
    """**all-empty**: nothing to wait for gives [] at once; nothing to choose from is an error."""

    def orchestrator(ctx):
        nothing = yield task.when_all([])
        with pytest.raises(ValueError, match="at least one task"):
            task.when_any([])
        return nothing

    r = run(orchestrator)
    r.start()
    assert r.output == []


def test_the_winner_is_the_task(run):
    """**any-winner**: identity, comparable with ==; losers are ignored."""

    def orchestrator(ctx):
        timer = ctx.create_timer(timedelta(days=3))
        approval = ctx.wait_for_external_event("Approval")
        winner = yield task.when_any([timer, approval])
        assert winner == approval
        assert winner is approval
        assert not timer.is_complete
        return (yield approval)

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("Approval", '{"approved":true}'))
    assert r.output == {"approved": True}


def test_a_failed_winner_does_not_raise(run):
    """**any-winner**: when_any never raises; yielding or reading the winner does."""

    def orchestrator(ctx):
        tasks = calls(ctx, 2)
        winner = yield task.when_any(tasks)
        assert winner is tasks[1]
        assert winner.is_failed
        with pytest.raises(task.TaskFailedError):
            _ = winner.result
        try:
            yield winner
        except task.TaskFailedError as error:
            return error.details.message

    r = run(orchestrator)
    r.start()
    r.turn(failed(2, "no"))
    assert r.output == "no"


def test_of_several_finished_the_first_listed_wins(run):
    """**any-winner**: several already finished: the first in list order."""

    def orchestrator(ctx):
        a, b, c = calls(ctx, 3)
        yield task.when_all([b, c])
        winner = yield task.when_any([a, c, b])
        assert (yield task.when_any([c, b])) is c
        return winner is c

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(2), TaskCompleted(3))
    assert r.output is True


def test_composites_nest_and_share(run):
    """**any-winner**, **all-waits**: composites nest, and share their children."""

    def orchestrator(ctx):
        a, b, c = calls(ctx, 3)
        both = task.when_all([a, b])
        first = yield task.when_any([both, c])
        assert first is both
        one = yield task.when_any([a, c])
        assert one is a
        return (yield both)

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, "1"))
    r.turn(TaskCompleted(2, "2"))
    assert r.output == [1, 2]


def test_a_long_lived_loser_gathers_nothing(run):
    """**any-winner**: a task raced again and again does not keep the races it has lost."""

    def orchestrator(ctx):
        stop = ctx.wait_for_external_event("stop")
        for _ in range(5):
            yield task.when_any([stop, ctx.create_timer(timedelta(seconds=1)), stop])
        return len(stop._parents or [])

    r = run(orchestrator)
    r.start()
    for number in range(1, 6):
        r.turn(TimerFired(number, 0))
    assert r.output == 0


def test_completing_without_the_losers(run):
    """**any-winner**: the instance completes while losers still run."""

    def orchestrator(ctx):
        yield task.when_any(calls(ctx, 2))
        return "done"

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1), TaskCompleted(2))
    assert r.output == "done"


@pytest.mark.parametrize("wrong", [5, [None], ["text"]])
@pytest.mark.parametrize("compose", [task.when_all, task.when_any])
def test_composites_take_tasks(compose, wrong):
    """Wrong arguments are named errors at the call."""
    with pytest.raises(task.ArgumentTypeError, match=compose.__name__):
        compose(wrong)


def test_cancelling_a_timer(run):
    """**cancel**: True once; the firing that comes all the same is ignored."""

    def orchestrator(ctx):
        timer = ctx.create_timer(timedelta(hours=1))
        yield ctx.call_activity("work")
        answers = [timer.cancel(), timer.cancel()]
        assert timer.is_complete
        assert timer.is_cancelled
        assert timer.is_failed
        try:
            yield timer
        except task.TaskCancelledError as error:
            answers.append("#1" in str(error))
        yield ctx.call_activity("work")
        return answers

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(2))
    assert r.turn(TimerFired(1, 0)) == []
    r.turn(TaskCompleted(3))
    assert r.output == [True, False, True]


def test_a_timer_cancelled_in_its_own_turn_is_never_sent(run):
    """**cancel**, **replay-ids**: the number is used up all the same."""

    def orchestrator(ctx):
        assert ctx.create_timer(timedelta(hours=1)).cancel()
        yield ctx.call_activity("work")
        yield ctx.call_activity("work")

    r = run(orchestrator)
    assert r.start() == [ScheduleTask(2, "work")]
    assert r.turn(TaskCompleted(2)) == [ScheduleTask(3, "work")]


def test_cancelling_a_wait(run):
    """**cancel**: a cancelled wait takes no event; a finished task cannot be cancelled."""

    def orchestrator(ctx):
        first = ctx.wait_for_external_event("x")
        second = ctx.wait_for_external_event("x")
        assert first.cancel()
        value = yield second
        assert not second.cancel()
        with pytest.raises(task.TaskCancelledError, match="'x'"):
            first.get_result()
        return value

    r = run(orchestrator)
    r.start()
    r.turn(EventRaised("x", "1"))
    assert r.output == 1


def test_a_cancelled_task_is_finished_to_composites(run):
    """**cancel**: composites see a cancelled child as one that has failed."""

    def orchestrator(ctx):
        timer = ctx.create_timer(timedelta(hours=1))
        any_of, all_of = task.when_any([timer, *calls(ctx, 1)]), task.when_all([timer])
        timer.cancel()
        assert (yield any_of) is timer
        try:
            yield all_of
        except task.TaskCancelledError:
            return "cancelled"

    r = run(orchestrator)
    r.start()
    assert r.output == "cancelled"


def test_reading_an_unfinished_task(run):
    """A task says that it has no result yet, and no failure."""

    def orchestrator(ctx):
        (call,) = calls(ctx, 1)
        with pytest.raises(task.OrchestrationStateError, match="not finished"):
            call.get_result()
        with pytest.raises(task.OrchestrationStateError, match="not failed"):
            call.get_exception()
        yield call

    r = run(orchestrator)
    assert len(r.start()) == 1
