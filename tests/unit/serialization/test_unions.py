"""Unions that JSON text alone does not tell apart."""

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from durabletask.errors import SerializationError
from durabletask.serialization import DEFAULT_CONVERTER


class Rank(enum.IntEnum):
    LOW = 1


class Size(enum.StrEnum):
    SMALL = "s"


@dataclasses.dataclass
class Cat:
    name: str


@dataclasses.dataclass
class Dog:
    name: str
    age: int = 0


@dataclasses.dataclass
class Twin:
    name: str


@dataclasses.dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclasses.dataclass
class Account:
    number: str
    kind: Literal["account"] = "account"


class Bird(msgspec.Struct):
    name: str
    wings: int


class Plant(TypedDict):
    name: str
    height: float


def read(data: str, annotation: Any) -> Any:
    return DEFAULT_CONVERTER.deserialize(data, annotation, where="the result of activity 'x'")


def round_trip(annotation: Any, value: Any) -> Any:
    data = DEFAULT_CONVERTER.serialize(value, where="the result of activity 'x'")
    assert data is not None
    return read(data, annotation)


@pytest.mark.parametrize("annotation", [Cat | Dog, Dog | Cat, Cat | Dog | None])
def test_the_exact_record_wins_whatever_the_order(annotation: Any) -> None:
    for value in (Cat("a"), Dog("a", 0), Dog("a", 3)):
        assert round_trip(annotation, value) == value
        assert round_trip(list[annotation], [value]) == [value]
        assert round_trip(dict[str, annotation | None], {"k": value}) == {"k": value}


def test_key_order_does_not_matter() -> None:
    assert read('{"age":3,"name":"a"}', Cat | Dog) == Dog("a", 3)


def test_without_an_exact_member_the_first_that_accepts_wins() -> None:
    data = '{"name":"a","age":3,"new":true}'
    assert read(data, Cat | Dog) == Cat("a")
    assert read(data, Dog | Cat) == Dog("a", 3)


def test_records_of_one_shape_come_back_as_the_first() -> None:
    assert read('{"name":"a"}', Cat | Twin) == Cat("a")
    assert read('{"name":"a"}', Twin | Cat) == Twin("a")


def test_the_order_of_equal_unions_is_kept_apart_in_the_cache() -> None:
    assert hash(str | Decimal) == hash(Decimal | str)
    for _ in range(2):
        assert read('"1.5"', Decimal | str) == Decimal("1.5")
        assert read('"1.5"', str | Decimal) == "1.5"


def test_a_literal_field_tells_records_apart() -> None:
    for value in (Card("1"), Account("1")):
        assert round_trip(Card | Account, value) == value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Decimal | str, Decimal("1.50")),
        (Decimal | str, "hello"),
        (dt.datetime | str, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        (dt.datetime | str, "2024-13-01"),
        (dt.datetime | dt.date, dt.date(2024, 1, 1)),
        (dt.date | dt.datetime, dt.datetime(2024, 1, 1)),
        (uuid.UUID | str, uuid.UUID(int=1)),
        (uuid.UUID | str, uuid.UUID(int=1).hex),
        (Rank | int, Rank.LOW),
        (Rank | int, 5),
        (Size | str, Size.SMALL),
        (Size | str, "m"),
        (float | int | Cat | Dog, 1),
        (float | int | Cat | Dog, 1.0),
        (bool | int | Cat | Dog, True),
        (bool | int | Cat | Dog, 1),
        (int | bool | Cat | Dog, True),
        (list[int] | list[str], ["a"]),
        (list[int] | list[str], [1]),
        (dict[str, int] | Cat, {"a": 1}),
        (Cat | dict[str, Any], {"name": "a", "x": 1}),
        (Cat | dict[str, Any], Cat("a")),
        (Cat | Bird, Bird("a", 2)),
        (Cat | Plant, {"name": "a", "height": 1.0}),
        (Literal["a"] | Decimal, "a"),
        (Annotated[Cat | Dog, {"doc": "unhashable"}], Dog("a", 1)),
        (tuple[Cat | Dog, ...], (Cat("a"), Dog("b"))),
        (tuple[Decimal | str, int], (Decimal("1"), 1)),
    ],
    ids=str,
)
def test_a_member_survives(annotation: Any, value: Any) -> None:
    back = round_trip(annotation, value)
    assert back == value
    assert type(back) is type(value)


def test_none_is_a_member() -> None:
    assert read("null", Cat | Dog | None) is None
    assert read('[null,{"name":"a"}]', list[Cat | Dog | None]) == [None, Cat("a")]


def test_a_union_that_nothing_fits_names_every_reason() -> None:
    with pytest.raises(SerializationError) as caught:
        read('{"pets":[{"name":1}]}', dict[str, list[Cat | Dog]])
    text = str(caught.value)
    assert "Cat: Expected `str`, got `int` at `$.name`" in text
    assert "Dog: Expected `str`, got `int` at `$.name`" in text
    assert "- at `$[...][0]`" in text
    assert "the result of activity 'x'" in text


def test_many_annotations_do_not_fill_the_memory() -> None:
    for n in range(3000):
        assert read("1", Literal[n, 1]) == 1
    assert read('"a"', Decimal | str) == "a"
