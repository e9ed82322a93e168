"""**entity-serial**, **entity-state**: what an operation does, and what is left if it fails."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import actions as a
from durabletask import history as h
from durabletask import task
from durabletask.backend import EntityWorkItem, OperationResult
from durabletask.engine import Registry, run_entity
from durabletask.errors import (
    ArgumentTypeError,
    InvalidRequestError,
    OrchestrationStateError,
    RegistrationError,
)
from durabletask.task import EntityId

OTHER = EntityId("other", "o")


def run(entity, *operations, state=None):
    """Run operations, each a name or a name and an input's JSON text."""
    registry = Registry()
    registry.add_entity(entity)
    [registration] = registry.entities.values()
    calls = [
        h.EntityOperationSignaled(0, "@e@k", *(op if isinstance(op, tuple) else (op,)))
        for op in operations
    ]
    item = EntityWorkItem("@e@k", "e/1", registration.name, 4, 1_000_000, state, calls, None)
    return asyncio.run(run_entity(registration, item))


def by_function(function):
    function.__name__ = "e"
    return function


class Counter(task.DurableEntity):
    limit = 3

    def add(self, amount: int = 1) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        self.signal_entity(OTHER, "told", total)
        if total > self.limit:
            raise ValueError("too much")
        return total

    async def wait(self) -> str:
        await asyncio.sleep(0)
        return self.entity_context.operation

    def _private(self):
        raise AssertionError


def test_each_operation_counts_alone():
    done = run(Counter, ("add", "2"), ("add", "5"), "add", "WAIT")
    assert [result.result for result in done.results] == ["2", None, "3", '"WAIT"']
    assert done.results[1].failure.error_type == "builtins.ValueError"
    assert done.state == "3"
    assert [action.input for action in done.actions] == ["2", "3"]


@pytest.mark.parametrize("name", ["_private", "get_state", "limit", "nothing", "__init__"])
def test_only_public_methods_are_operations(name):
    [result] = run(Counter, name).results
    assert "has no operation" in result.failure.message
    assert "add, delete, wait" in result.failure.message
    assert result.failure.non_retriable


def test_delete_is_an_operation_of_every_class():
    assert run(Counter, "Delete", state="1").state is None

    class Careful(task.DurableEntity):
        def delete(self) -> str:
            return "no"

    done = run(Careful, "delete", state="1")
    assert (done.state, done.results) == ("1", [OperationResult('"no"')])


def test_a_function_sees_to_everything_itself():
    @by_function
    def entity(ctx, value: timedelta | None = None):
        ctx.set_state([ctx.operation, value is None])
        return ctx.current_utc_datetime

    done = run(entity, ("a", '"P1D"'), "b", "delete")
    assert [result.result for result in done.results] == ['"1970-01-01T00:00:01Z"'] * 3
    assert done.state == '["delete",true]'


def test_state_is_a_fresh_copy():
    @by_function
    def entity(ctx):
        ctx.get_state().append(1)
        again = ctx.get_state(list[int])
        assert again == []
        again.append(2)
        ctx.set_state(again)
        again.append(3)

    assert run(entity, "x", state="[]").state == "[2]"


@pytest.mark.parametrize("value", [0, "", [], {}, False])
def test_falsy_state_is_kept(value):
    @by_function
    def entity(ctx):
        assert ctx.get_state(default="none") == "none"
        ctx.set_state(value)
        assert ctx.get_state(default="none") == value

    done = run(entity, "x")
    assert done.results == [OperationResult()]
    assert done.state is not None


def test_what_cannot_be_stored_fails_the_operation():
    """**failure-serialize** Also an input that does not fit, and a result."""

    @by_function
    def entity(ctx, value: int = 0):
        if ctx.operation == "state":
            ctx.set_state(object())
        if ctx.operation == "read":
            ctx.get_state(int)
        return object() if ctx.operation == "result" else value

    done = run(entity, "state", "result", ("in", '"x"'), "read", "in", state='"text"')
    kinds = [result.failure and result.failure.error_type for result in done.results]
    assert kinds == ["durabletask.errors.SerializationError"] * 4 + [None]
    assert done.state == '"text"'
    assert all(result.failure.non_retriable for result in done.results[:4])


def test_starting_and_signalling():
    @task.orchestration(version="2")
    def flow(ctx):
        return None

    @by_function
    def entity(ctx):
        first = ctx.schedule_new_orchestration(flow, input=1, tags={"a": "b"})
        second = ctx.schedule_new_orchestration("flow", start_at=timedelta(seconds=1))
        ctx.schedule_new_orchestration("flow", instance_id="mine", version="3")
        ctx.signal_entity(OTHER, "x", 2, signal_time=datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC))
        return [first, second]

    done = run(entity, "x", "x")
    ids = [
        action.instance_id for action in done.actions if isinstance(action, a.StartOrchestration)
    ]
    assert len({*ids}) == 5, "ids chosen here differ, the given one does not"
    assert done.actions[0] == a.StartOrchestration("flow", ids[0], "1", "2", {"a": "b"})
    assert done.actions[1] == a.StartOrchestration("flow", ids[1], start_at=2_000_000)
    assert done.actions[2] == a.StartOrchestration("flow", "mine", version="3")
    assert done.actions[3] == a.SignalEntity(0, "@other@o", "x", "2", 9_000_000)
    assert run(entity, "x").actions == done.actions[:4], "the same if the turn is made again"


def test_bad_arguments():
    @by_function
    def entity(ctx):
        for call in (
            lambda: ctx.signal_entity("@other@o", "x"),
            lambda: ctx.signal_entity(OTHER, "x", signal_time=5),
            lambda: ctx.schedule_new_orchestration(5),
            lambda: ctx.schedule_new_orchestration("flow", tags=["a"]),
        ):
            with pytest.raises(ArgumentTypeError):
                call()
        for call in (
            lambda: ctx.signal_entity(OTHER, ""),
            lambda: ctx.schedule_new_orchestration("flow", instance_id="@e@k"),
        ):
            with pytest.raises(InvalidRequestError):
                call()

    done = run(entity, "x")
    assert done.results == [OperationResult()]
    assert done.actions == []


def test_what_comes_after_the_operation_is_too_late():
    kept = []

    @by_function
    def entity(ctx):
        kept.append(ctx)
        if len(kept) > 1:
            kept[0].set_state("late")
            kept[0].signal_entity(OTHER, "late")

    done = run(entity, "x", "x")
    assert (done.state, done.actions) == (None, [])


def test_what_stops_the_worker_is_no_failure():
    @by_function
    def entity(ctx):
        raise KeyboardInterrupt if ctx.operation == "stop" else SystemExit(3)

    with pytest.raises(KeyboardInterrupt):
        run(entity, "exit", "stop")
    [result] = run(entity, "exit").results
    assert result.failure.error_type == "builtins.SystemExit"


class Plain:
    def add(self):
        pass


def generator(ctx):
    yield


async def agenerator(ctx):
    yield


class Yielding(task.DurableEntity):
    def op(self):
        yield


class Demanding(task.DurableEntity):
    def op(self, a, b):
        pass


class Made(task.DurableEntity):
    def __init__(self, start):
        self.start = start


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (Plain, "must derive from task.DurableEntity"),
        (generator, "return the result"),
        (agenerator, "not both"),
        (Yielding, "return the result"),
        (Demanding, r"takes \(self, a, b\)\. If it is no operation, .* underscore"),
        (Made, r"takes \(start\): keep in the state"),
        (Counter(), "an object of the class Counter: register the class itself"),
        (5, "takes a class or function, not int"),
    ],
)
def test_what_cannot_be_registered(wrong, text):
    with pytest.raises(RegistrationError, match=text):
        Registry().add_entity(wrong)


@pytest.mark.parametrize("kind", ["activity", "orchestration"])
@pytest.mark.parametrize("given", [Counter, Counter(), task.entity(type("Marked", (Counter,), {}))])
def test_an_entity_is_registered_as_one(kind, given):
    with pytest.raises(RegistrationError, match="with add_entity"):
        getattr(Registry(), f"add_{kind}")(given)


def test_a_static_method_is_no_operation():
    class Helped(task.DurableEntity):
        @staticmethod
        def between(low, value, high):
            return max(low, min(value, high))

        def clip(self, value: int) -> int:
            return self.between(0, value, 9)

    done = run(Helped, ("clip", "12"), "between")
    assert done.results[0] == OperationResult("9")
    assert "has no operation 'between'; it has: clip, delete" in done.results[1].failure.message


def test_outside_of_an_operation_there_is_no_context():
    class Early(task.DurableEntity):
        def __init__(self):
            self.total = self.get_state(int, 0)

        def get(self):
            return self.total

    with pytest.raises(OrchestrationStateError, match="this Counter runs no operation"):
        Counter().get_state()
    [result] = run(Early, "get").results
    assert "not yet in __init__" in result.failure.message


@pytest.mark.parametrize("default", [0, 1.5, True, [], {}, set(), ()])
def test_a_default_is_no_type(default):
    @by_function
    def entity(ctx):
        return ctx.get_state(default)

    [result] = run(entity, "x").results
    assert f"get_state({type(default).__name__}, {default!r})" in result.failure.message


def test_an_entity_is_not_its_state():
    class Whole(task.DurableEntity):
        def keep(self):
            self.set_state(self)

    [result] = run(Whole, "keep").results
    assert "not what the entity remembers" in result.failure.message


def test_names():
    registry = Registry()
    assert registry.add_entity(Counter) is Counter
    registry.add_entity(Counter)
    registry.add_entity(Counter, name="Other")
    assert [*registry.entities] == ["counter", "other"]

    @task.entity(name="COUNTER")
    class Another(task.DurableEntity):
        pass

    class Sub(Another):
        pass

    with pytest.raises(RegistrationError, match="taken"):
        registry.add_entity(Another)
    registry.add_entity(Sub)
    assert "sub" in registry.entities, "a subclass has a name of its own"
    for wrong in ("a@b", " ", 3):
        with pytest.raises(RegistrationError):
            registry.add_entity(Counter, name=wrong)
    with pytest.raises(RegistrationError, match=r"marked @task\.activity"):
        registry.add_entity(_marked())


def _marked():
    @task.activity
    def busy(ctx):
        return None

    return busy


def test_a_changed_method_changes_the_fingerprint():
    def of(method):
        kind = type("Counter", (task.DurableEntity,), {"op": method})
        registry = Registry()
        registry.add_entity(kind)
        return registry.entities["counter"].fingerprint

    assert of(lambda self: 1) == of(lambda self: 1)
    assert of(lambda self: 1) != of(lambda self: 2)
