"""The orchestrations and activities that are measured.

Orchestrations call activities by name, so that one orchestration runs with any of the three ways
to write an activity. Every result depends on its input, so that no mix-up goes unnoticed.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from durabletask import task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Orchestrator = Generator[task.Task[Any], Any, Any]

__all__ = [
    "ACTIVITIES",
    "FLAVOURS",
    "ORCHESTRATIONS",
    "Flavour",
    "add_up",
    "count_up",
    "greetings",
    "hello_cities",
    "hold_on",
    "square_all",
    "stuck",
    "tally",
    "wait_for_event",
    "wait_with_timer",
]

Flavour = Literal["async", "threads", "inline"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)

CITIES = ("Tokyo", "Seattle", "London")
FAR_AWAY = timedelta(days=1)


def say_hello(ctx: task.ActivityContext, city: str) -> str:
    """Greet a city."""
    return f"Hello {city}!"


def add_one(ctx: task.ActivityContext, number: int) -> int:
    """The next number."""
    return number + 1


def square(ctx: task.ActivityContext, number: int) -> int:
    """A number times itself."""
    return number * number


async def say_hello_async(ctx: task.ActivityContext, city: str) -> str:
    """As ``say_hello``."""
    return say_hello(ctx, city)


async def add_one_async(ctx: task.ActivityContext, number: int) -> int:
    """As ``add_one``."""
    return add_one(ctx, number)


async def hold_async(ctx: task.ActivityContext, number: int) -> int:
    """Give the number back."""
    return number


def hold(ctx: task.ActivityContext, number: int) -> int:
    """As ``hold_async``."""
    return number


async def stuck(ctx: task.ActivityContext, number: int) -> int:
    """As ``hold``, on a worker that does not live to see the end of it."""
    await asyncio.Event().wait()
    return number


async def square_async(ctx: task.ActivityContext, number: int) -> int:
    """As ``square``."""
    return square(ctx, number)


def _inline(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(ctx: task.ActivityContext, value: Any) -> Any:
        return function(ctx, value)

    return task.activity(name=function.__name__, inline=True)(run)


ACTIVITIES: dict[Flavour, dict[str, Callable[..., Any]]] = {
    "async": {
        "say_hello": say_hello_async,
        "add_one": add_one_async,
        "square": square_async,
        "hold": hold_async,
    },
    "threads": {"say_hello": say_hello, "add_one": add_one, "square": square, "hold": hold},
    "inline": {
        "say_hello": _inline(say_hello),
        "add_one": _inline(add_one),
        "square": _inline(square),
        "hold": _inline(hold),
    },
}
"""The activities by the way they are run, then by the name they are registered under."""


@task.orchestration
def hello_cities(ctx: task.OrchestrationContext, number: int) -> Orchestrator:
    """Three activities, one after another; returns the three greetings."""
    said = []
    for city in CITIES:
        greeting = yield ctx.call_activity("say_hello", input=f"{city} {number}", return_type=str)
        said.append(greeting)
    return said


def greetings(number: int) -> list[str]:
    """What ``hello_cities`` returns for this input."""
    return [f"Hello {city} {number}!" for city in CITIES]


@task.orchestration
def count_up(ctx: task.OrchestrationContext, steps: int) -> Orchestrator:
    """So many activities, one after another, each with the result of the one before."""
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity("add_one", input=number, return_type=int)
    return number


@task.orchestration
def square_all(ctx: task.OrchestrationContext, count: int) -> Orchestrator:
    """So many activities at once; returns their results in order."""
    calls = [ctx.call_activity("square", input=number, return_type=int) for number in range(count)]
    return (yield task.when_all(calls))


@task.orchestration
def hold_on(ctx: task.OrchestrationContext, number: int) -> Orchestrator:
    """One activity, which gives the number back."""
    return (yield ctx.call_activity("hold", input=number, return_type=int))


@task.orchestration
def wait_for_event(ctx: task.OrchestrationContext, number: int) -> Orchestrator:
    """Wait until somebody raises ``go``; returns the input and the event's data."""
    data = yield ctx.wait_for_external_event("go", return_type=int)
    return [number, data]


@task.orchestration
def wait_with_timer(ctx: task.OrchestrationContext, number: int) -> Orchestrator:
    """As ``wait_for_event``, with a timer beside it that is not due for a day."""
    event = ctx.wait_for_external_event("go", return_type=int)
    yield task.when_any([ctx.create_timer(FAR_AWAY), event])
    return [number, event.get_result()]


def tally(ctx: task.EntityContext, amount: int = 0) -> int:
    """An entity: a number, to which amounts are added."""
    total = ctx.get_state(int, 0) + amount
    ctx.set_state(total)
    return total


@task.orchestration
def add_up(ctx: task.OrchestrationContext, order: list[Any]) -> Orchestrator:
    """So many calls of one tally, one after another; returns what it was told last."""
    key, steps = order
    total = 0
    for _ in range(steps):
        total = yield ctx.call_entity(task.EntityId("tally", key), "add", 1, return_type=int)
    return total


ORCHESTRATIONS: tuple[Callable[..., Any], ...] = (
    hello_cities,
    count_up,
    square_all,
    hold_on,
    wait_for_event,
    wait_with_timer,
    add_up,
)
