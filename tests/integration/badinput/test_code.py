"""Orchestrators, activities and set-ups that are wrong: each error says what, and what to do."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    ConfigurationError,
    DurableTaskError,
    InvalidRequestError,
    PayloadTooLargeError,
    RegistrationError,
    SerializationError,
)
from durabletask.state import OrchestrationState, OrchestrationStatus
from durabletask.worker import TaskHubWorker, WorkerOptions

from .refusal import HUGE, LONG, refused


@task.activity
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """An activity."""
    return value


# --- orchestrators and activities --------------------------------------------------------------


class Opaque:
    """Something that has no JSON form."""


Misstep = Callable[[task.OrchestrationContext], Any]

MISSTEPS: dict[str, tuple[Misstep, type[Exception], str]] = {
    "yield-none": (lambda ctx: None, ArgumentTypeError, "durable tasks only, not NoneType"),
    "yield-value": (lambda ctx: 3, ArgumentTypeError, "leave other awaitables .* to activities"),
    "yield-list": (lambda ctx: [ctx.call_activity(echo)], ArgumentTypeError, "task.when_all"),
    "activity-input": (
        lambda ctx: ctx.call_activity(echo, input=Opaque()),
        SerializationError,
        "the input of activity 'echo'.*`.*Opaque`",
    ),
    "activity-huge": (
        lambda ctx: ctx.call_activity(echo, input=HUGE),
        PayloadTooLargeError,
        "the input of activity 'echo' takes .*elsewhere",
    ),
    "child-input": (
        lambda ctx: ctx.call_sub_orchestration("patient", input=Opaque()),
        SerializationError,
        "'patient'.*`.*Opaque`",
    ),
    "child-id": (
        lambda ctx: ctx.call_sub_orchestration("patient", instance_id=LONG),
        InvalidRequestError,
        "at most 256",
    ),
    "activity-name": (lambda ctx: ctx.call_activity(" "), InvalidRequestError, "blank"),
    "activity-type": (lambda ctx: ctx.call_activity(3), ArgumentTypeError, "not int"),
    "event": (
        lambda ctx: ctx.send_event("other", "news", data=Opaque()),
        SerializationError,
        "'news'.*`.*Opaque`",
    ),
    "status": (lambda ctx: ctx.set_custom_status(Opaque()), SerializationError, "custom status"),
    "new-input": (lambda ctx: ctx.continue_as_new(Opaque()), SerializationError, "`.*Opaque`"),
    "timer": (lambda ctx: ctx.create_timer(3), ArgumentTypeError, "timedelta"),
    "when-any": (lambda ctx: task.when_any([]), InvalidRequestError, "at least one task"),
    "when-all": (lambda ctx: task.when_all([3]), ArgumentTypeError, "item 0 is of type int"),
    "wait-name": (lambda ctx: ctx.wait_for_external_event(""), InvalidRequestError, "blank"),
    "wait-timeout": (
        lambda ctx: ctx.wait_for_external_event("e", timeout=3),
        ArgumentTypeError,
        "timedelta",
    ),
}


@task.orchestration
def stumbles(ctx: task.OrchestrationContext, name: str):
    """Makes a misstep, survives it, and goes on; then makes it again."""
    ctx.set_custom_status("before")
    misstep, kind, _ = MISSTEPS[name]
    try:
        yield misstep(ctx)
    except kind as error:
        assert type(error) is kind
        assert (yield ctx.call_activity(echo, input=str(error))) == str(error)
    else:
        raise AssertionError("it was let through")
    yield misstep(ctx)


@task.orchestration
def returns_opaque(ctx: task.OrchestrationContext) -> Opaque:
    """Returns what cannot be stored."""
    return Opaque()


@task.orchestration
def returns_much(ctx: task.OrchestrationContext) -> str:
    """Returns too much."""
    return HUGE


@task.activity
def opaque(ctx: task.ActivityContext) -> Opaque:
    """Returns what cannot be stored."""
    return Opaque()


@task.activity
async def much(ctx: task.ActivityContext) -> str:
    """Returns too much."""
    return HUGE


@task.activity
def counts(ctx: task.ActivityContext, number: int) -> int:
    """Takes a number."""
    return number


@task.orchestration
def calls(ctx: task.OrchestrationContext, name: str):
    """Calls an activity with a text."""
    return (yield ctx.call_activity(name, input="text" if name == "counts" else None))


@task.orchestration
def takes_number(ctx: task.OrchestrationContext, number: int) -> int:
    """Takes a number."""
    return number


FAILING: list[tuple[Any, Any, type[Exception], str]] = [
    (returns_opaque, None, SerializationError, "the result of orchestration 'returns_opaque'"),
    (returns_much, None, PayloadTooLargeError, "result of orchestration.*elsewhere"),
    (takes_number, "text", SerializationError, "the input of orchestration 'takes_number'"),
    (calls, "opaque", SerializationError, "activity 'opaque'.*`.*Opaque`"),
    (calls, "much", PayloadTooLargeError, "activity 'much'.*elsewhere"),
    (calls, "counts", SerializationError, "the input of activity 'counts'"),
]


@pytest.mark.asyncio
class TestCode:
    """**failure-serialize** Bad input from user code fails that call or instance; none loops."""

    @pytest_asyncio.fixture
    async def client(self, url: str) -> AsyncIterator[TaskHubClient]:
        """A client of a hub on which a worker runs."""
        async with TaskHubClient(url) as client, TaskHubWorker(url) as worker:
            for orchestration in (stumbles, returns_opaque, returns_much, calls, takes_number):
                worker.add_orchestration(orchestration)
            for activity in (echo, opaque, much, counts):
                worker.add_activity(activity)
            await worker.start()
            yield client

    def check(self, state: OrchestrationState, error: type[Exception], hint: str) -> None:
        """It has failed because of this error, and says what to do."""
        details = state.failure_details
        assert (state.runtime_status, state.result) == (OrchestrationStatus.FAILED, None)
        assert details is not None
        assert details.is_caused_by(error)
        assert details.is_caused_by(DurableTaskError)
        assert re.search(hint, details.message), details.message

    async def test_missteps(self, client: TaskHubClient) -> None:
        """**yield-task** Thrown where the mistake is; caught, it leaves no trace."""
        for name, (_, error, hint) in MISSTEPS.items():
            instance_id = await client.schedule_new_orchestration(stumbles, input=name)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            self.check(state, error, hint)
            assert state.custom_status == "before"
        assert {state.name async for state in client.iter_orchestrations()} == {"stumbles"}

    async def test_values(self, client: TaskHubClient) -> None:
        """**failure-serialize** Outputs, and inputs that do not fit, name the place."""
        for orchestration, given, error, hint in FAILING:
            instance_id = await client.schedule_new_orchestration(orchestration, input=given)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            self.check(state, error, hint)


# --- set-up ------------------------------------------------------------------------------------


def no_parameters() -> None:
    """Takes no context."""


def three_parameters(ctx: Any, one: Any, two: Any) -> None:
    """Takes too much."""


def generates(ctx: Any) -> Any:
    """A generator."""
    yield


async def generates_async(ctx: Any) -> Any:
    """An async generator."""
    yield


SETUPS: list[tuple[Callable[[TaskHubWorker], Any], type[Exception], str]] = [
    (lambda w: w.add_activity(3), RegistrationError, "takes a function, not int"),
    (lambda w: w.add_activity(lambda ctx: 1), RegistrationError, "with a name="),
    (lambda w: w.add_activity(no_parameters), RegistrationError, r"must take \(ctx\)"),
    (lambda w: w.add_activity(three_parameters), RegistrationError, r"or \(ctx, input\)"),
    (lambda w: w.add_activity(generates), RegistrationError, "add_orchestration"),
    (lambda w: w.add_activity(stumbles), RegistrationError, "with add_orchestration"),
    (lambda w: w.add_activity(echo, name=3), RegistrationError, "visible text"),
    (lambda w: w.add_orchestration(echo), RegistrationError, "with add_activity"),
    (lambda w: w.add_orchestration(generates_async), RegistrationError, "either yield or await"),
    (lambda w: task.activity("name"), RegistrationError, r"@task.activity\(name=...\)"),
    (lambda w: task.activity(name=" ")(generates), RegistrationError, "visible text"),
    (lambda w: task.orchestration(version=3)(generates), RegistrationError, "version="),
    (lambda w: TaskHubWorker("memory://", options={}), ArgumentTypeError, "a WorkerOptions object"),
    (lambda w: TaskHubClient("memory://", data_converter=3), ArgumentTypeError, "DataConverter"),
    (lambda w: TaskHubWorker("memory://", data_converter=3), ArgumentTypeError, "DataConverter"),
]


@pytest.mark.parametrize(("call", "error", "hint"), SETUPS)
def test_set_ups_that_are_refused(
    call: Callable[[TaskHubWorker], Any], error: type[Exception], hint: str
) -> None:
    """Functions of the wrong shape, and objects of the wrong kind."""
    with refused(error, hint):
        call(TaskHubWorker("memory://"))


COUNTS = ["max_concurrent_orchestrations", "max_concurrent_activities", "max_activity_threads"]
TIMES = ["unregistered_grace", "stop_timeout", "slow_turn"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in COUNTS for value in (0, -1, 1.5, "3", None, True)),
        *(("max_cached_sessions", value) for value in (-1, 1.5, "3", None)),
        *((name, value) for name in TIMES for value in (-0.1, float("nan"), "3", None)),
        ("nondeterminism", "ignore"),
    ],
)
def test_options_that_are_refused(name: str, value: Any) -> None:
    """Negative numbers, fractions of things, NaN and other types; the option is named."""
    with refused(ConfigurationError, f"{name} must be .*, not {re.escape(repr(value))}"):
        WorkerOptions(**{name: value})
