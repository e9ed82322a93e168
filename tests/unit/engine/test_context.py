"""What the context says, and its deterministic chance and quiet logs."""

import logging
from datetime import timedelta

import pytest

from durabletask import task
from durabletask.actions import CreateSubOrchestration, ScheduleTask
from durabletask.history import TaskCompleted
from durabletask.state import ParentInstance

from .driver import Run


def ids_of(run_):
    return [a.instance_id for a in run_.results[-1].actions if hasattr(a, "instance_id")]


def test_who_and_when(run):
    """Identity, version, parent and tags come from the start of the execution."""
    seen = {}

    def orchestrator(ctx):
        seen.update(
            id=ctx.instance_id,
            execution=ctx.execution_id,
            name=ctx.name,
            version=ctx.version,
            parent=ctx.parent_instance_id,
            tags=dict(ctx.tags),
        )
        with pytest.raises(TypeError):
            ctx.tags["a"] = "changed"
        yield ctx.call_activity("work")

    r = run(orchestrator)
    parent = ParentInstance("parent-1", "e", 3)
    r.start(None, version="2", parent=parent, tags={"a": "b"})
    assert seen == {
        "id": "order-1",
        "execution": "execution-1",
        "name": "orchestrator",
        "version": "2",
        "parent": "parent-1",
        "tags": {"a": "b"},
    }


def test_defaults():
    """Without a parent, a version or tags there is None, None and nothing."""

    def orchestrator(ctx):
        return [ctx.parent_instance_id, ctx.version, dict(ctx.tags)]

    r = Run(orchestrator)
    r.start()
    assert r.output == [None, None, {}]


def test_an_input_left_out_leaves_the_default(run):
    """An absent input leaves the default of the parameter in force."""

    def orchestrator(ctx, n=7):
        return n
        yield

    r = run(orchestrator)
    r.start()
    assert r.output == 7
    r.start(0)
    assert r.output == 0


def test_typed_input(run):
    """The annotation says what the input is rebuilt as."""

    def orchestrator(ctx, span: timedelta):
        return span.total_seconds()
        yield

    r = run(orchestrator)
    r.start("PT90S")
    assert r.output == 90


def test_versions_of_calls(run):
    """Explicit version, else the decorator's, else (children only) the worker's default."""

    @task.activity(version="a1")
    def act(ctx):
        return None

    @task.orchestration(name="kid", version="c1")
    def child(ctx):
        return None

    def orchestrator(ctx):
        ctx.call_activity(act)
        ctx.call_activity(act, version="a2")
        ctx.call_activity("plain")
        ctx.call_sub_orchestration(child, instance_id="1")
        ctx.call_sub_orchestration(child, instance_id="2", version="c2")
        ctx.call_sub_orchestration("plain", instance_id="3")
        yield ctx.call_sub_orchestrator(child, instance_id="4")

    actions = run(orchestrator, default_version="w").start()
    assert [(a.name, a.version) for a in actions] == [
        ("act", "a1"),
        ("act", "a2"),
        ("plain", None),
        ("kid", "c1"),
        ("kid", "c2"),
        ("plain", "w"),
        ("kid", "c1"),
    ]


def test_child_ids(run):
    """**child-id**: derived from parent, execution and number; stable at replay, never shared."""

    def orchestrator(ctx):
        ctx.call_sub_orchestration("child")
        ctx.call_sub_orchestration("child")
        yield ctx.call_sub_orchestration("child", instance_id="mine")

    r = run(orchestrator)
    r.start()
    first = ids_of(r)
    assert first[2] == "mine"
    assert all(child.startswith("order-1:") for child in first[:2])
    r.replay().dispose()
    r.start()
    second = ids_of(r)
    assert len({*first[:2], *second[:2]}) == 4
    assert len(first[0]) <= len("order-1") + 18
    other = Run(orchestrator, instance_id="order-2")
    other.start()
    assert not {*ids_of(other)[:2]} & {*first[:2]}


@pytest.mark.parametrize("parent", ["x" * 100, "\U0001f600" * 100, "\ud800", "a" * 99 + "é"])
def test_child_ids_of_long_parents(run, parent):
    """**child-id**, **size**: ids do not grow with the depth, and still differ."""

    def orchestrator(ctx):
        ctx.call_sub_orchestration("child")
        yield ctx.call_sub_orchestration("child")

    r = run(orchestrator, instance_id=parent)
    r.start()
    twin = run(orchestrator, instance_id=parent + "!")
    twin.start()
    children = ids_of(r) + ids_of(twin)
    assert len(set(children)) == 4
    assert all(len(child) <= 100 for child in children)


def test_chance_is_repeated(run):
    """UUIDs and random numbers are the same at every replay, and differ between executions."""

    def orchestrator(ctx):
        first = [str(ctx.new_uuid()), ctx.random.random()]
        yield ctx.call_activity("work")
        return [*first, str(ctx.new_uuid()), ctx.random.random()]

    outputs = []
    r = run(orchestrator)
    for _ in range(2):
        r.start()
        r.turn(TaskCompleted(1))
        outputs.append(r.output)
    assert len({*outputs[0], *outputs[1]}) == 8
    again = Run(orchestrator)
    again.start()
    again.turn(TaskCompleted(1))
    assert again.output == outputs[0]


def test_loggers_are_quiet_while_replaying(run, caplog):
    """**dispose**, **replay-order**: a line is logged once, with the instance on it."""
    mine = logging.getLogger("mine")

    def orchestrator(ctx):
        log = ctx.create_replay_safe_logger(mine)
        log.info("first %d", 1, extra={"more": "m"})
        yield ctx.call_activity("work")
        ctx.logger.info("second")
        assert ctx.logger is ctx.logger
        yield ctx.call_activity("work")

    r = run(orchestrator)
    with caplog.at_level(logging.INFO):
        r.start()
        r.turn(TaskCompleted(1))
        r.turn(TaskCompleted(9))
    assert [record.getMessage() for record in caplog.records] == ["first 1", "second"]
    first, second = caplog.records
    assert (first.name, second.name) == ("mine", "durabletask.orchestration")
    assert first.more == "m"
    assert first.instance_id == second.instance_id == "order-1"
    assert second.orchestration == "orchestrator"


def test_tags_are_copied(run):
    """Tags changed after the call are sent as they were."""

    def orchestrator(ctx):
        tags = {"a": "1"}
        ctx.call_activity("work", tags=tags)
        ctx.call_sub_orchestration("child", instance_id="c", tags=tags)
        tags["a"] = "2"
        yield ctx.call_activity("work")

    assert run(orchestrator).start() == [
        ScheduleTask(1, "work", tags={"a": "1"}),
        CreateSubOrchestration(2, "child", "c", tags={"a": "1"}),
        ScheduleTask(3, "work"),
    ]


def test_results_by_annotation(run):
    """A call by function rebuilds the result from its annotation; return_type goes first."""

    def act(ctx) -> timedelta:
        return timedelta()

    def child(ctx) -> set[int]:
        return set()

    def orchestrator(ctx):
        span = yield ctx.call_activity(act)
        text = yield ctx.call_activity(act, return_type=str)
        return [span.total_seconds(), text]

    r = run(orchestrator)
    r.start()
    r.turn(TaskCompleted(1, '"PT1S"'))
    r.turn(TaskCompleted(2, '"PT1S"'))
    assert r.output == [1, "PT1S"]


def test_names_made_up_at_run_time(run):
    """Any number of names can be called; resolving them does not fill the memory."""
    from durabletask.engine.target import ACTIVITIES

    def orchestrator(ctx):
        for n in range(5000):
            ctx.call_activity(f"work-{n}")
        yield ctx.wait_for_external_event("x")

    assert run(orchestrator).start()[-1] == ScheduleTask(5000, "work-4999")
    assert len(ACTIVITIES) <= 4096


def test_unhashable_callables_can_be_called(run):
    """A callable object that cannot be a key of a dict is looked at at every call."""

    class Act:
        __hash__ = None
        __name__ = "act"

        def __call__(self, ctx):
            return None

    def orchestrator(ctx):
        yield ctx.call_activity(Act())

    assert run(orchestrator).start() == [ScheduleTask(1, "act")]
