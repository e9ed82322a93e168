"""Whatever is written is read back equal, for generated values and generated types."""

import dataclasses
import datetime as dt
import enum
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durabletask.errors import SerializationError
from durabletask.serialization import DEFAULT_CONVERTER


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Line:
    article: str
    price: Decimal
    count: int


@dataclasses.dataclass
class Tree:
    label: Decimal | Colour
    children: list["Tree | Line"]


def written(value: object) -> str | None:
    return DEFAULT_CONVERTER.serialize(value, where="the input")


def read(data: str | None, annotation: Any) -> Any:
    return DEFAULT_CONVERTER.deserialize(data, annotation, where="the input")


# UTF-8 has no lone surrogates.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
decimals = st.decimals(allow_nan=False)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | floats | text
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
lines = st.builds(Line, text, decimals, st.integers())
trees = st.recursive(
    st.builds(Tree, decimals | st.sampled_from(Colour), st.lists(lines, max_size=2)),
    lambda inner: st.builds(Tree, decimals, st.lists(inner | lines, max_size=3)),
    max_leaves=6,
)
# Instants as JSON spells them: zones are whole minutes from UTC.
zones = st.integers(-14 * 60, 14 * 60).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))

Typed = tuple[Any, st.SearchStrategy[Any]]

LEAVES: list[Typed] = [
    (bool, st.booleans()),
    (int, st.integers()),
    (float, floats),
    (str, text),
    (bytes, st.binary(max_size=20)),
    (Colour, st.sampled_from(Colour)),
    (uuid.UUID, st.uuids()),
    (Decimal, decimals),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.datetime, st.datetimes()),
    (dt.timedelta, st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999))),
    (Line, lines),
    (Tree, trees),
]

WRAPPERS: list[Callable[[Any, Any], Typed]] = [
    lambda t, values: (list[t], st.lists(values, max_size=3)),
    lambda t, values: (tuple[t, int], st.tuples(values, st.integers())),
    lambda t, values: (dict[str, t], st.dictionaries(text, values, max_size=3)),
    lambda t, values: (t | None, st.none() | values),
    lambda t, values: (t | Tree | Line, values | lines),
]


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    annotation, values = draw(st.sampled_from(LEAVES))
    for wrap in draw(st.lists(st.sampled_from(WRAPPERS), max_size=3)):
        annotation, values = wrap(annotation, values)
    return annotation, draw(values)


@given(plain)
def test_plain_data(value: Any) -> None:
    """**falsy**: whatever the value, only None is absent."""
    data = written(value)
    assert (data is None) == (value is None)
    assert read(data, None) == value


@given(typed_values())
def test_typed_values(sample: tuple[Any, Any]) -> None:
    annotation, value = sample
    back = read(written(value), annotation)
    assert back == value
    assert type(back) is type(value)


@given(st.datetimes(timezones=zones))
def test_instants(value: dt.datetime) -> None:
    back = read(written(value), dt.datetime)
    assert back == value
    assert back.utcoffset() == value.utcoffset()


@given(plain, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_numbers_that_json_lacks_are_never_written(value: Any, number: float) -> None:
    """**failure-serialize**"""
    for bad in ([value, number], {"a": value, "b": {"c": (number,)}}):
        try:
            data = written(bad)
        except SerializationError as error:
            assert "no NaN and no infinity" in str(error)
        else:
            raise AssertionError(f"written as {data}")


@given(st.text(max_size=30), st.sampled_from([None, int, list[Line], Tree, Tree | Line]))
def test_no_text_makes_another_error(data: str, annotation: Any) -> None:
    """**failure-serialize**"""
    try:
        read(data, annotation)
    except SerializationError as error:
        assert "the input" in str(error)
