"""Rules of failures."""

import asyncio

import pytest
from msgspec import UNSET

from durabletask import task
from durabletask.actions import ScheduleTask
from durabletask.engine import failure_of
from durabletask.history import (
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
)
from durabletask.state import FailureDetails, OrchestrationStatus


class OrderError(Exception):
    """An error of the author's."""


def test_an_unhandled_exception_fails_the_instance(run):
    """**failure-shape**: fully qualified type, message, stack, and the chain of causes."""

    def orchestrator(ctx):
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise OrderError("outer") from error
        yield

    r = run(orchestrator)
    r.start()
    assert r.end.status is OrchestrationStatus.FAILED
    failure = r.end.failure
    assert failure.error_type == f"{__name__}.OrderError"
    assert failure.message == "outer"
    assert "test_failures.py" in failure.stack_trace
    assert "body.py" not in failure.stack_trace
    assert failure.cause.error_type == "builtins.KeyError"
    assert failure.cause.cause is None


def test_a_failed_activity_reaches_the_orchestrator(run):
    """**failure-shape**: TaskFailedError names activity and cause; details and is_caused_by."""

    def orchestrator(ctx):
        try:
            yield ctx.call_activity("charge")
        except Exception as error:
            assert isinstance(error, task.TaskFailedError)
            assert error.details == details
            assert error.is_caused_by(LookupError)
            assert error.is_caused_by("KeyError")
            assert error.is_caused_by(OSError)
            assert not error.is_caused_by(ValueError)
            return str(error)

    details = FailureDetails("builtins.KeyError", "k", cause=FailureDetails("builtins.OSError", ""))
    r = run(orchestrator)
    r.start()
    r.turn(TaskFailed(1, details))
    assert r.output == "activity 'charge' (#1) failed: KeyError: k"


def test_an_escaping_task_failure_keeps_its_details(run):
    """**failure-shape**: the activity's failure is the cause of the instance's."""

    def orchestrator(ctx):
        yield ctx.call_sub_orchestration("child", instance_id="c-1")

    details = FailureDetails("x.Terminated", "gone")
    r = run(orchestrator)
    r.start()
    r.turn(SubOrchestrationInstanceFailed(1, details))
    failure = r.end.failure
    assert failure.error_type == "durabletask.errors.TaskFailedError"
    assert "'child'" in failure.message
    assert "'c-1'" in failure.message
    assert failure.cause == details


def test_a_failure_read_again_and_again_does_not_grow(run):
    """**yield-done**, **failure-shape**: the stack tells the last raise only."""

    def orchestrator(ctx):
        call = ctx.call_activity("work")
        for _ in range(5):
            try:
                yield call
            except task.TaskFailedError:
                pass
        yield call

    r = run(orchestrator)
    r.start()
    r.turn(TaskFailed(1, FailureDetails("x.E", "no")))
    assert r.end.failure.stack_trace.count("in orchestrator") == 1


def test_from_none_ends_the_chain():
    """**failure-shape**: raise ... from None ends the chain of causes."""

    def raised(suppress):
        try:
            try:
                raise KeyError("inner")
            except KeyError:
                if suppress:
                    raise OrderError("outer") from None
                raise OrderError("outer")  # noqa: B904 - the implicit context is what is tested
        except OrderError as error:
            return failure_of(error)

    assert raised(True).cause is None
    assert raised(False).cause.error_type == "builtins.KeyError"


def test_odd_exceptions_are_described():
    """**failure-shape**: rings, texts that cannot be made, and text that is no text."""
    ring = ValueError("ring")
    ring.__cause__ = ring
    assert failure_of(ring).cause is not None

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    assert "Silent" in failure_of(Silent()).message
    assert failure_of(ValueError("\ud800")).message == "\\ud800"
    assert failure_of(ValueError("x")).stack_trace is None
    assert failure_of(ValueError("x"), non_retriable=True).non_retriable


def test_an_output_that_cannot_be_serialized(run):
    """**failure-serialize**: fails the instance with type and place; it never loops."""

    def orchestrator(ctx):
        yield ctx.call_activity("work")
        return object()

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    assert r.end.status is OrchestrationStatus.FAILED
    assert "result of orchestration 'orchestrator'" in r.end.failure.message
    assert "object" in r.end.failure.message
    r.replay().dispose()


def test_returning_a_task_is_explained(run):
    """**failure-serialize**: a forgotten yield is named."""

    def orchestrator(ctx):
        return ctx.call_activity("work")

    r = run(orchestrator)
    assert r.start()[0] == ScheduleTask(1, "work")
    assert "await it" in r.end.failure.message


def test_an_input_that_cannot_be_serialized(run):
    """**failure-serialize**: raises at the call; whoever catches it replays the same way."""
    values = []

    def orchestrator(ctx):
        caught = 0
        for call in (ctx.call_activity, ctx.call_sub_orchestration):
            try:
                call("work", input=object())
            except task.SerializationError as error:
                assert "'work'" in str(error)
                caught += 1
        try:
            ctx.send_event("other", "x", data=object())
        except task.SerializationError:
            caught += 1
        result = yield ctx.call_activity("work", input=caught)
        values.append(caught)
        return [caught, result]

    r = run(orchestrator)
    assert r.start() == [ScheduleTask(4, "work", "3")]
    r.turn(TaskCompleted(4, "1"))
    assert r.output == [3, 1]
    r.replay().dispose()
    assert set(values) == {3}


def test_a_fallback_that_looks_alike_is_still_told_apart(run):
    """**failure-serialize**: replay takes the branch that was taken, not one that looks like it."""

    def orchestrator(ctx):
        fallback = False
        try:
            call = ctx.call_activity("work", input=object())
        except task.SerializationError:
            fallback = True
            call = ctx.call_activity("work", input="text")
        yield call
        return fallback

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(2))
    assert r.output is True


def test_a_status_that_cannot_be_serialized(run):
    """**failure-serialize**: raises at the call, at every replay too; the status stays."""

    def orchestrator(ctx):
        ctx.set_custom_status({"step": 1})
        yield ctx.call_activity("work")
        with pytest.raises(task.SerializationError, match="custom status"):
            ctx.set_custom_status(object())
        yield ctx.call_activity("work")
        ctx.set_custom_status(None)

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1))
    r.turn(TaskCompleted(2))
    assert [result.custom_status for result in r.results] == ['{"step":1}', UNSET, None]


def test_a_result_that_does_not_fit(run):
    """**failure-serialize**: raises at the yield with a text that names type and place."""

    def orchestrator(ctx):
        try:
            yield ctx.call_activity("work", return_type=int)
        except task.SerializationError as error:
            return str(error)

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, '"text"'))
    assert "the result of activity 'work'" in r.output
    assert "int" in r.output


def test_an_input_of_the_wrong_type(run):
    """**failure-serialize**: the orchestration's own input fails the instance."""

    def orchestrator(ctx, n: int):
        yield ctx.call_activity("work")

    r = run(orchestrator)
    r.start("text")
    assert r.end.status is OrchestrationStatus.FAILED
    assert "the input of orchestration 'orchestrator'" in r.end.failure.message
    r.replay().dispose()


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit, BaseException])
def test_odd_exits_fail_the_instance(run, kind):
    """**base-exception**: what is no Exception fails the instance as well."""

    def orchestrator(ctx):
        raise kind("out")
        yield

    r = run(orchestrator)
    r.start()
    assert r.end.status is OrchestrationStatus.FAILED


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_the_process_may_still_be_stopped(run, kind):
    """**failure-infra**: an interrupt is no failure of the instance."""

    def orchestrator(ctx):
        if ctx.instance_id:
            raise kind
        yield

    with pytest.raises(kind):
        run(orchestrator).start()


def test_wrong_arguments_are_named(run):
    """Arguments of the wrong type or shape are named errors at the call."""

    @task.activity
    def act(ctx):
        return None

    def orchestrator(ctx):
        with pytest.raises(task.ArgumentTypeError, match="function or its registered name"):
            ctx.call_activity(5)
        with pytest.raises(task.ArgumentTypeError, match="function or its registered name"):
            ctx.call_activity([])
        with pytest.raises(task.InvalidRequestError, match="blank"):
            ctx.call_activity(" ")
        with pytest.raises(task.ArgumentTypeError, match=r"@task\.activity"):
            ctx.call_sub_orchestration(act)
        with pytest.raises(task.ArgumentTypeError, match="tags"):
            ctx.call_activity(act, tags={"a": 1})
        with pytest.raises(task.InvalidRequestError, match="blank"):
            ctx.call_sub_orchestration("child", instance_id="")
        yield ctx.call_activity(act)

    assert run(orchestrator).start() == [ScheduleTask(1, "act")]
