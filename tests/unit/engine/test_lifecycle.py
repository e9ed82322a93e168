"""Suspending, resuming and terminating."""

from durabletask import task
from durabletask.actions import CompleteOrchestration, ScheduleTask
from durabletask.engine import result_of_termination
from durabletask.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    TaskCompleted,
    TimerFired,
)
from durabletask.state import OrchestrationStatus


def two_steps(ctx):
    first = yield ctx.call_activity("work")
    second = yield ctx.call_activity("work")
    return [first, second]


def test_suspension_buffers_and_resume_replays(run):
    """**suspend**: everything waits, in order; a second suspend is a no-op."""
    r = run(two_steps)
    r.start()
    assert r.turn(ExecutionSuspended(), TaskCompleted(1, "1")) == []
    assert r.turn(ExecutionSuspended("again"), EventRaised("x")) == []
    assert r.turn(ExecutionResumed()) == [ScheduleTask(2, "work")]
    r.turn(TaskCompleted(2, "2"))
    assert r.output == [1, 2]


def test_what_came_before_the_suspension_counts(run):
    """**suspend**: a turn may act first and be suspended then; replay confirms the actions."""
    r = run(two_steps)
    r.start()
    assert r.turn(TaskCompleted(1, "1"), ExecutionSuspended()) == [ScheduleTask(2, "work")]
    assert r.turn(TaskCompleted(2, "2")) == []
    r.turn(EventRaised("x"), ExecutionResumed())
    assert r.output == [1, 2]


def test_the_buffer_is_applied_in_order(run):
    """**suspend**: timers, completions and events keep their order."""

    def orchestrator(ctx):
        timer = ctx.create_timer(ctx.current_utc_datetime)
        call, event = ctx.call_activity("work"), ctx.wait_for_external_event("x")
        order = []
        left = {timer: "timer", call: "call", event: "event"}
        while left:
            order.append(left.pop((yield task.when_any(list(left)))))
        return order

    r = run(orchestrator)
    r.start(None, ExecutionSuspended())
    r.turn(EventRaised("x"))
    r.turn(TaskCompleted(2), TimerFired(1, 0))
    r.turn(ExecutionResumed())
    assert r.output == ["event", "call", "timer"]


def test_resume_without_suspension_is_ignored(run):
    """**suspend**: a resume that finds nothing suspended changes nothing."""
    r = run(two_steps)
    r.start()
    assert r.turn(ExecutionResumed()) == []
    assert r.turn(TaskCompleted(1)) == [ScheduleTask(2, "work")]


def test_the_clock_moves_while_suspended(run):
    """**replay-clock**: the buffer is applied at the time of the resume."""

    def orchestrator(ctx):
        yield ctx.call_activity("work")
        return ctx.current_utc_datetime.second

    r = run(orchestrator)
    r.start()
    r.turn(ExecutionSuspended(), TaskCompleted(1))
    r.turn(ExecutionResumed(), seconds=8)
    assert r.output == 10


def test_termination_runs_no_user_code(run):
    """**terminate**: the reason becomes the output, and the body is only closed."""
    log = []

    def orchestrator(ctx):
        try:
            yield ctx.call_activity("work")
            log.append("ran on")
        finally:
            log.append("closed")

    r = run(orchestrator)
    r.start()
    log.clear()
    r.turn(TaskCompleted(1), ExecutionTerminated('"why"', recurse=False), EventRaised("x"))
    assert r.end == CompleteOrchestration(
        OrchestrationStatus.TERMINATED, '"why"', None, recurse=False
    )
    assert r.session.is_finished
    assert r.session.sequence == 2
    assert log[-1] == "closed"
    assert "ran on" not in log
    r.replay().dispose()


def test_termination_works_while_suspended(run):
    """**terminate**: suspension does not hold it up; recursive by default."""
    r = run(two_steps)
    r.start(None, ExecutionSuspended())
    r.turn(ExecutionTerminated())
    assert r.end == CompleteOrchestration(OrchestrationStatus.TERMINATED, recurse=True)
    r.replay().dispose()


def test_child_results_that_do_not_fit(run):
    """**failure-serialize**: a child's result, too, raises at the yield."""

    def orchestrator(ctx):
        try:
            yield ctx.call_sub_orchestration("child", return_type=int)
        except task.SerializationError as error:
            return str(error)

    r = run(orchestrator)
    r.start()
    r.turn(SubOrchestrationInstanceCompleted(1, '"text"'))
    assert "the result of orchestration 'child'" in r.output


def test_termination_before_the_start(run):
    """**terminate**: an instance terminated before its first turn never runs."""
    r = run(two_steps)
    r.start(None, ExecutionTerminated('"early"'))
    assert r.end.result == '"early"'


def test_termination_needs_no_registration():
    """**terminate**: a worker that does not know the orchestration can end it."""
    assert result_of_termination([OrchestratorStarted(1), TaskCompleted(1)]) is None
    result = result_of_termination([OrchestratorStarted(1), ExecutionTerminated("1")])
    assert result is not None
    assert result.actions == [
        CompleteOrchestration(OrchestrationStatus.TERMINATED, "1", None, True)
    ]
