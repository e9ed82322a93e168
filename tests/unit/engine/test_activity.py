"""Running activities."""

from datetime import timedelta

import pytest

from durabletask import task
from durabletask.backend import ActivityResult, ActivityWorkItem
from durabletask.engine import (
    Registry,
    activity_arguments,
    activity_failed,
    activity_succeeded,
    run_activity,
)


def item(input=None, **fields):
    fields = {"version": None, "tags": None, **fields}
    return ActivityWorkItem("order-1", "e-1", 4, "act", input, token=None, **fields)


def registered(function):
    registry = Registry()
    registry.add_activity(function, name="act")
    return registry.activity("act")


def test_the_context_tells_which_call_it_serves():
    """Identity, and a key that is the same for every run and retry of one call only."""
    (context,) = activity_arguments(
        registered(lambda ctx: None), item(version="1", tags={"a": "b"})
    )
    assert isinstance(context, task.ActivityContext)
    assert context.orchestration_id == context.instance_id == "order-1"
    assert (context.task_id, context.name, context.version) == (4, "act", "1")
    assert dict(context.tags) == {"a": "b"}
    with pytest.raises(TypeError):
        context.tags["a"] = "c"
    (again,) = activity_arguments(registered(lambda ctx: None), item())
    assert context.idempotency_key == again.idempotency_key == "order-1:e-1:4"


def test_the_input_is_rebuilt():
    """The annotation says as what; an absent input leaves a default in force."""

    def act(ctx, span: timedelta = timedelta(days=1)) -> float:
        return span.total_seconds()

    registration = registered(act)
    assert run_activity(registration, item('"PT2S"')) == ActivityResult("2.0")
    assert run_activity(registration, item()) == ActivityResult("86400.0")


def test_an_absent_input_is_none():
    """Without a default, None is passed."""
    assert run_activity(registered(lambda ctx, n: [n]), item()) == ActivityResult("[null]")


@pytest.mark.parametrize("kind", [ValueError, SystemExit, GeneratorExit, BaseException])
def test_what_it_raises_is_its_failure(kind):
    """**failure-shape**: type, message, stack and cause; the worker lives on."""

    def act(ctx):
        raise kind("no") from KeyError("why")

    failure = run_activity(registered(act), item()).failure
    assert failure.error_type == f"builtins.{kind.__name__}"
    assert failure.message == "no"
    assert failure.cause.error_type == "builtins.KeyError"
    assert "test_activity.py" in failure.stack_trace
    assert "run_activity" not in failure.stack_trace
    assert not failure.non_retriable


def test_an_interrupt_is_no_failure():
    """**failure-infra**: the process may still be stopped."""

    def act(ctx):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_activity(registered(act), item())


def test_payloads_that_cannot_be_read_or_written():
    """**failure-serialize**: fails with type and place, and is not tried again."""

    def act(ctx, n: int):
        return object()

    registration = registered(act)
    unread = run_activity(registration, item('"text"')).failure
    assert "the input of activity 'act'" in unread.message
    assert unread.non_retriable
    unwritten = run_activity(registration, item("1")).failure
    assert "the result of activity 'act'" in unwritten.message
    assert unwritten.non_retriable


def test_outcomes_made_by_hand():
    """**falsy**: what asynchronous workers use; falsy results are results."""
    for value, text in ((0, "0"), ("", '""'), ([], "[]"), (False, "false"), (None, None)):
        assert activity_succeeded(registered(lambda ctx: None), value) == ActivityResult(text)
    assert activity_failed(ValueError("no")).failure.message == "no"
