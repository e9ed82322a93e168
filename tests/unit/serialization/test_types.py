"""Every kind of type that is rebuilt from an annotation, alone and nested."""

import collections
import dataclasses
import datetime as dt
import enum
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from durabletask.serialization import DEFAULT_CONVERTER

Item = TypeVar("Item")
Euro = NewType("Euro", int)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.StrEnum):
    SMALL = "s"
    LARGE = "l"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Mixed(enum.Enum):
    TEXT = "a"
    NUMBER = 1
    REAL = 1.0
    PAIR = (1, 2)
    NONE = None


@dataclasses.dataclass(frozen=True)
class Line:
    article: str
    price: Decimal
    count: int = 1


@dataclasses.dataclass
class Order:
    id: uuid.UUID
    at: dt.datetime
    lines: list[Line]
    colour: Colour = Colour.RED
    note: str | None = None
    parent: "Order | None" = None


@attrs.frozen
class Customer:
    name: str
    since: dt.date
    orders: tuple[Order, ...] = ()


class Point(msgspec.Struct, frozen=True):
    x: int
    y: int = 0


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Movie(TypedDict):
    title: str
    year: int


@dataclasses.dataclass
class Box(Generic[Item]):
    content: Item


class Moment(dt.datetime):
    pass


class Day(dt.date):
    pass


class Clock(dt.time):
    pass


class Span(dt.timedelta):
    pass


class Money(Decimal):
    pass


class Key(uuid.UUID):
    pass


class Blob(bytes):
    pass


UTC = dt.UTC
LINE = Line("pen", Decimal("1.10"), 3)
ORDER = Order(uuid.UUID(int=7), dt.datetime(2024, 2, 29, 12, tzinfo=UTC), [LINE], Colour.BLUE)

SAMPLES: list[tuple[Any, Any]] = [
    (Colour, Colour.RED),
    (Size, Size.LARGE),
    (Rank, Rank.HIGH),
    (Right, Right.READ | Right.WRITE),
    *((Mixed, member) for member in Mixed),
    (dt.datetime, dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
    (dt.datetime, dt.datetime(2024, 1, 2)),
    (dt.datetime, dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3)))),
    (dt.date, dt.date(2024, 2, 29)),
    (dt.time, dt.time(23, 59, 59, 1)),
    (dt.timedelta, dt.timedelta(days=-1, seconds=5, microseconds=3)),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("-Infinity")),
    (uuid.UUID, uuid.UUID(int=1)),
    (bytes, b"\x00\xff"),
    (Line, LINE),
    (Order, ORDER),
    (Order, dataclasses.replace(ORDER, parent=ORDER, note="")),
    (Customer, Customer("Ann", dt.date(2020, 1, 1), (ORDER,))),
    (Point, Point(1, 2)),
    (Circle | Square, Square(2.0)),
    (Pair, Pair(1)),
    (Movie, Movie(title="Alien", year=1979)),
    (Box[int], Box(3)),
    (Box[Line], Box(LINE)),
    (Euro, Euro(5)),
    (Literal["a", 1], 1),
    (Literal[Rank.LOW, "x"], Rank.LOW),
    (Literal[True, 1.5, "x"], True),
    (Annotated[int, msgspec.Meta(gt=2)], 3),
    (int | None, 3),
    (Line | None, LINE),
    (list[Line], [LINE]),
    (list[Line | None], [None, LINE]),
    (tuple[int, str], (1, "a")),
    (tuple[Line, ...], (LINE, LINE)),
    (set[int], {1, 2}),
    (frozenset[Rank], frozenset({Rank.LOW})),
    (Sequence[Colour], [Colour.RED]),
    (Iterable[Colour], [Colour.RED]),
    (Mapping[str, Decimal], {"a": Decimal("1")}),
    (dict[str, list[Order]], {"a": [ORDER]}),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[uuid.UUID, int], {uuid.UUID(int=1): 1}),
    (dict[dt.date, int], {dt.date(2024, 1, 1): 1}),
    (dict[dt.datetime, int], {dt.datetime(2024, 1, 1, tzinfo=UTC): 1}),
    (dict[Colour, Line], {Colour.RED: LINE}),
    (dict[Rank, int], {Rank.LOW: 0}),
    (dict[Decimal, int], {Decimal("1.5"): 1}),
    (dict[float, int], {1.5: 1}),
    (collections.OrderedDict, collections.OrderedDict(b=1, a=2)),
]

if sys.version_info >= (3, 12):
    aliases: dict[str, Any] = {"Decimal": Decimal}
    exec("type Amount = Decimal | str\ntype Many[Each] = list[Each | None]", aliases)
    amount, many = aliases["Amount"], aliases["Many"]
    SAMPLES += [
        (amount, Decimal("1.5")),
        (dict[str, amount], {"a": "text"}),
        (many[int], [1, None]),
        (many[Line | Point], [Point(1), LINE, None]),
    ]


def round_trip(annotation: Any, value: Any) -> Any:
    data = DEFAULT_CONVERTER.serialize(value, where="the input")
    return DEFAULT_CONVERTER.deserialize(data, annotation, where="the input")


@pytest.mark.parametrize(("annotation", "value"), SAMPLES, ids=str)
def test_a_value_survives(annotation: Any, value: Any) -> None:
    back = round_trip(annotation, value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(("annotation", "value"), SAMPLES, ids=str)
def test_a_value_survives_inside_others(annotation: Any, value: Any) -> None:
    assert round_trip(dict[str, list[annotation]], {"k": [value]}) == {"k": [value]}
    assert round_trip(tuple[int, Box[annotation]], (1, Box(value))) == (1, Box(value))


# A null stands for None before it stands for a member, so this one is lost in an Optional.
OPTIONAL = [(annotation, value) for annotation, value in SAMPLES if value is not Mixed.NONE]


@pytest.mark.parametrize(("annotation", "value"), OPTIONAL, ids=str)
def test_a_value_survives_as_an_optional(annotation: Any, value: Any) -> None:
    assert round_trip(Box[annotation | None], Box(value)) == Box(value)
    assert round_trip(Box[annotation | None], Box(None)) == Box(None)


@pytest.mark.parametrize(("annotation", "value"), SAMPLES, ids=str)
def test_a_value_can_be_read_as_plain_data(annotation: Any, value: Any) -> None:
    back = round_trip(None, value)
    assert type(back) in (int, float, str, bool, list, dict, type(None))


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Moment(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), dt.datetime),
        (Day(2024, 1, 2), dt.date),
        (Clock(1, 2, 3, 4), dt.time),
        (Span(days=1, microseconds=2), dt.timedelta),
        (Money("1.10"), Decimal),
        (Key(int=5), uuid.UUID),
        (Blob(b"abc"), bytes),
    ],
    ids=str,
)
def test_a_subclass_is_written_as_its_base(value: Any, base: Any) -> None:
    back = round_trip(base, value)
    assert type(back) is base
    assert str(back) == str(base(value) if base is bytes else value)


def test_metadata_need_not_be_hashable() -> None:
    for _ in range(2):
        assert round_trip(Annotated[Line, {"unhashable": "metadata"}], LINE) == LINE


def test_sets_and_tuples_are_arrays_to_plain_readers() -> None:
    assert round_trip(None, {"s": {1}, "t": (1, 2)}) == {"s": [1], "t": [1, 2]}


def test_unknown_keys_are_ignored_and_defaults_filled_in() -> None:
    data = '{"article":"pen","price":"2","colour":"unknown to this version"}'
    assert DEFAULT_CONVERTER.deserialize(data, Line, where="x") == Line("pen", Decimal(2))
