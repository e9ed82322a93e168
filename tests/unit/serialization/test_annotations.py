"""What is read from the annotations of functions, evaluated and textual ones."""

import functools
import typing
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from dataclasses import dataclass
from typing import Annotated, Any, Never, NoReturn

import pytest

from durabletask.serialization import input_type_of, result_type_of


class Context:
    pass


@dataclass
class Order:
    id: int


@dataclass
class Callee:
    """Equality without a hash: an unhashable callable."""

    factor: int

    def __call__(self, ctx: Context, order: Order) -> list[Order]:
        return [order] * self.factor


class Shop:
    def sell(self, ctx: Context, order: Order) -> bool:
        return True

    @staticmethod
    def buy(ctx: Context, order: Order) -> int:
        return 1

    @classmethod
    def lend(cls, ctx: Context, order: Order) -> float:
        return 1.0


def typed(ctx: Context, order: Order) -> list[Order]:
    return [order]


def untyped(ctx, order):  # type: ignore[no-untyped-def]
    return order


def textual(ctx: "Missing", order: "Order") -> "dict[str, Order]":  # type: ignore[name-defined]  # noqa: F821
    return {}


def unresolvable(ctx: Context, order: "Missing") -> "list[Missing]":  # type: ignore[name-defined]  # noqa: F821
    return []


def without_input(ctx: Context) -> None:
    return None


def keyword_only(ctx: Context, *, order: Order) -> None:
    return None


def any_number(*arguments: Order) -> None:
    return None


def with_default(ctx: Context, order: Order | None = None, more: int = 0) -> Any:
    return order


def nothing_as_text(ctx: Context, order: "None") -> "None":
    return None


async def coroutine(ctx: Context, order: Order) -> Order:
    return order


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return wrapper


@pytest.mark.parametrize(
    ("function", "input_type", "result_type"),
    [
        (typed, Order, list[Order]),
        (untyped, None, None),
        (textual, Order, dict[str, Order]),
        (unresolvable, None, None),
        (without_input, None, None),
        (keyword_only, None, None),
        (any_number, None, None),
        (with_default, Order | None, Any),
        (nothing_as_text, None, None),
        (coroutine, Order, Order),
        (wrapped(typed), Order, list[Order]),
        (wrapped(textual), Order, dict[str, Order]),
        (functools.partial(typed), Order, list[Order]),
        (functools.partial(wrapped(textual)), Order, dict[str, Order]),
        (functools.partial(Shop.sell, Shop()), Order, bool),
        (Shop().sell, Order, bool),
        (Shop.buy, Order, int),
        (Shop.lend, Order, float),
        (Callee(2), Order, list[Order]),
        (lambda ctx, order: order, None, None),
        (dict, None, None),
        (print, None, None),
    ],
    ids=lambda part: getattr(part, "__qualname__", type(part).__qualname__),
)
def test_types_of_callables(
    function: Callable[..., Any], input_type: Any, result_type: Any
) -> None:
    for _ in range(2):
        assert input_type_of(function) == input_type
        assert result_type_of(function) == result_type


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Generator[Any, Any, Order], Order),
        (typing.Generator[Any, Any, list[Order]], list[Order]),
        (Generator[Any, Any, Order | None], Order | None),
        (Generator[Any, Any, None], None),
        (Generator, None),
        (Iterator[Order], None),
        (Iterable[Order], None),
        (AsyncIterator[Order], None),
        (Awaitable[Order], Order),
        (Coroutine[Any, Any, Order], Order),
        (Awaitable[None], None),
        (Annotated[Order, "doc"], Annotated[Order, "doc"]),
        ("Generator[Any, Any, Order]", Order),
        (None, None),
        (Never, None),
        (NoReturn, None),
    ],
    ids=str,
)
def test_the_result_is_taken_out_of_its_wrapper(annotation: Any, expected: Any) -> None:
    def orchestrator(ctx, _):  # type: ignore[no-untyped-def]
        yield ctx

    orchestrator.__annotations__["return"] = annotation
    assert result_type_of(orchestrator) == expected


def test_a_class_that_the_function_also_uses_is_found_in_its_closure() -> None:
    @dataclass
    class Local:
        n: int

    def activity(ctx: Context, item: "Local") -> "list[Local]":
        return [Local(item.n)]

    assert input_type_of(activity) is Local
    assert result_type_of(activity) == list[Local]


def test_a_name_not_yet_assigned_is_unresolved() -> None:
    def activity(ctx: Context, item: "Later") -> "Order":
        return Later(item.n)  # type: ignore[return-value]

    assert input_type_of(activity) is None
    assert result_type_of(activity) is Order

    @dataclass
    class Later:
        n: int
