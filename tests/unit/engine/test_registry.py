"""Registering functions."""

import functools

import pytest

from durabletask import task
from durabletask.engine import Registry
from durabletask.engine.fingerprint import fingerprint_of
from durabletask.errors import (
    ActivityNotRegisteredError,
    OrchestrationNotRegisteredError,
    RegistrationError,
)


@task.orchestration(name="named", version="2")
def decorated(ctx, order: dict[str, int]):
    yield


async def plain(ctx):
    return None


@task.activity(inline=True)
def quick(ctx, n: int = 3) -> int:
    return n


def test_decorated_and_plain_functions():
    """Names, versions and shapes are taken from the decorator, else from the function."""
    registry = Registry()
    assert registry.add_orchestration(decorated) is decorated
    registry.add_orchestration(plain)
    first, second = registry.orchestration("named"), registry.orchestration(plain)
    assert (first.name, first.version, first.input_type) == ("named", "2", dict[str, int])
    assert (first.is_async, first.takes_input, first.has_default) == (False, True, False)
    assert (second.name, second.is_async, second.takes_input) == ("plain", True, False)
    assert registry.orchestrations.keys() == {"named", "plain"}
    assert registry.orchestration(decorated) is first


def test_activities():
    """Activities know whether they may run inline."""
    registry = Registry()
    registry.add_activity(quick)
    registration = registry.activity(quick)
    assert registration is registry.activity("quick")
    assert (registration.inline, registration.has_default, registration.is_async) == (
        True,
        True,
        False,
    )
    assert registration.input_type is int
    assert registry.activities.keys() == {"quick"}


def test_a_name_of_the_callers_choice():
    """name= wins over the decorator; one function may have several names."""
    registry = Registry()
    registry.add_orchestration(decorated, name="other")
    registry.add_orchestration(decorated)
    registry.add_activity(lambda ctx: None, name="lambda")
    assert registry.orchestrations.keys() == {"other", "named"}
    assert registry.orchestration("other").version == "2"
    assert registry.activity("lambda").takes_input is False


def test_taken_names():
    """The same function twice is fine; another function of the same name is not."""
    registry = Registry()
    registry.add_activity(quick)
    registry.add_activity(quick)
    with pytest.raises(RegistrationError, match=r"'quick' is taken by .* another name="):
        registry.add_activity(lambda ctx: None, name="quick")
    registry.add_orchestration(plain, name="quick")


class Shapes:
    """Functions of shapes that do and do not fit."""

    @staticmethod
    def none():
        return None

    @staticmethod
    def three(ctx, a, b):
        return None

    @staticmethod
    def keyword(ctx, *, key):
        return None

    @staticmethod
    async def asyncgen(ctx):
        yield 1

    def method(self, ctx, n):
        return n

    @staticmethod
    def spread(*arguments):
        return None

    @staticmethod
    def optional(ctx, n, more=1, *, key=2):
        return None


@pytest.mark.parametrize("shape", ["none", "three", "keyword", "asyncgen"])
def test_wrong_shapes(shape):
    """A function that cannot be called with (ctx) or (ctx, input) is refused."""
    with pytest.raises(RegistrationError, match=shape):
        Registry().add_orchestration(getattr(Shapes, shape))


@pytest.mark.parametrize("shape", ["method", "spread", "optional"])
def test_unusual_shapes_that_fit(shape):
    """Methods, functions of any arguments, and further defaults are fine."""
    registry = Registry()
    function = getattr(Shapes(), shape)
    registry.add_activity(function)
    registry.add_activity(function)
    assert registry.activity(shape).takes_input


def test_what_is_no_function():
    """Each wrong argument is a named error that says what to do."""
    registry = Registry()
    with pytest.raises(RegistrationError, match="takes a function, not str"):
        registry.add_orchestration("named")
    with pytest.raises(RegistrationError, match="visible text"):
        registry.add_activity(quick, name=" ")
    with pytest.raises(RegistrationError, match="no name of its own"):
        registry.add_activity(lambda ctx: None)
    with pytest.raises(RegistrationError, match="no name of its own"):
        registry.add_activity(functools.partial(quick, n=1))
    with pytest.raises(RegistrationError, match=r"register it with add_activity"):
        registry.add_orchestration(quick)
    with pytest.raises(RegistrationError, match=r"register it with add_activity"):
        registry.add_orchestration(quick, name="x")


def test_unknown_names_list_the_known():
    """**failure-unregistered**: the text lists the registered names."""
    registry = Registry()
    registry.add_orchestration(plain)
    registry.add_activity(quick)
    with pytest.raises(OrchestrationNotRegisteredError, match=r"'plian'; registered: plain"):
        registry.orchestration("plian")
    with pytest.raises(ActivityNotRegisteredError, match=r"'plain'; registered: quick"):
        registry.activity(plain)


def helper(n):
    return n + 1


def variant(step, uses_helper=False, text="a"):
    """Two modules' worth of the same function, made from source."""
    source = (
        f"def helper(n):\n    return n + {step}\n"
        f"def body(ctx, kinds={{1}}):\n    if ctx in {{'a', 'b', {text!r}}}:\n        pass\n"
        + ("    return helper(1)\n" if uses_helper else "    return 1\n")
    )
    module = {"__name__": "made"}
    exec(compile(source, f"{step}.py", "exec"), module)
    return module["body"]


def test_fingerprints():
    """**replay-park**: other code has another fingerprint; the same code elsewhere the same."""
    same = fingerprint_of(variant(1))
    assert same == fingerprint_of(variant(2))
    assert same != fingerprint_of(variant(1, text="c"))
    assert fingerprint_of(variant(1, True)) != fingerprint_of(variant(2, True))
    assert fingerprint_of(functools.partial(variant(1))) == same
    assert fingerprint_of(Shapes().method) == fingerprint_of(Shapes.method)
    assert fingerprint_of(len) != same
    assert len(same) == 16
    registry = Registry()
    registry.add_orchestration(decorated)
    assert registry.orchestration(decorated).fingerprint == fingerprint_of(decorated)


def test_fingerprints_of_callable_objects():
    """A callable object is as its __call__."""

    class One:
        def __call__(self, ctx):
            return 1

    class Two:
        def __call__(self, ctx):
            return 2

    assert fingerprint_of(One()) == fingerprint_of(One())
    assert fingerprint_of(One()) != fingerprint_of(Two())


def test_async_callables_are_seen():
    """Partials and callable objects around an async def are async."""

    class Act:
        async def __call__(self, ctx):
            return 1

    registry = Registry()
    registry.add_activity(Act(), name="object")
    registry.add_activity(functools.partial(plain), name="partial")
    assert registry.activity("object").is_async
    assert registry.activity("partial").is_async


@pytest.mark.parametrize("kind", [int, "str", dict])
def test_the_context_comes_first(kind):
    """A function that takes its input alone would get the context for it."""

    def alone(data):
        return data

    alone.__annotations__["data"] = kind
    for add in (Registry().add_activity, Registry().add_orchestration):
        with pytest.raises(RegistrationError, match="the context comes first"):
            add(alone)
