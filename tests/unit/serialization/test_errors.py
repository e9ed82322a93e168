"""Bad values and bad payloads: one error, which names place, type, path and remedy."""

import dataclasses
import decimal
import pathlib
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
import pytest

from durabletask.errors import DurableTaskError, SerializationError
from durabletask.serialization import DEFAULT_CONVERTER

if TYPE_CHECKING:
    from fractions import Fraction

WHERE = "the input of activity 'charge'"


class Plain:
    pass


@dataclasses.dataclass
class Holder:
    inner: Any
    other: int = 0


@attrs.define
class AttrsHolder:
    inner: Any


class StructHolder(msgspec.Struct):
    inner: Any


@dataclasses.dataclass
class Picky:
    n: int

    def __post_init__(self) -> None:
        if self.n == 1:
            raise ValueError("one is not enough")
        if self.n == 2:
            raise KeyError("two")


@dataclasses.dataclass
class Unresolvable:
    share: "Fraction"


class Angry:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


def knot() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def generator() -> Iterator[int]:
    yield 1


def refusal(value: object) -> str:
    with pytest.raises(SerializationError) as caught:
        DEFAULT_CONVERTER.serialize(value, where=WHERE)
    return str(caught.value)


def reading(data: str, annotation: Any) -> str:
    with pytest.raises(SerializationError) as caught:
        DEFAULT_CONVERTER.deserialize(data, annotation, where=WHERE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Plain(), "$"),
        ([Plain()], "$[0]"),
        ({"a": [0, Plain()]}, "$.a[1]"),
        ({"not a name": Plain()}, "$['not a name']"),
        ({7: (Plain(),)}, "$[7][0]"),
        ({Plain()}, "$[0]"),
        (Holder([Plain()]), "$.inner[0]"),
        (AttrsHolder([Plain()]), "$.inner[0]"),
        (StructHolder({"x": Holder(Plain())}), "$.inner.x.inner"),
    ],
)
def test_the_unknown_class_is_named_with_its_path(value: object, path: str) -> None:
    """**failure-serialize**"""
    text = refusal(value)
    assert text.startswith(f"cannot serialize {WHERE}, a value of type `")
    assert f"values of type `{__name__}.Plain` have no JSON form - at `{path}`." in text
    for option in ("dataclass", "msgspec.Struct", "attrs", "pydantic", "DataConverter"):
        assert option in text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (pathlib.PurePosixPath("/a"), "PurePosixPath` have no JSON form"),
        (generator(), "values of type `generator`"),
        (ValueError("x"), "values of type `ValueError`"),
        (1j, "values of type `complex`"),
        (print, "values of type `builtin_function_or_method`"),
        (int, "values of type `type`"),
        (object(), "values of type `object`"),
        (msgspec.UNSET, "values of type `msgspec.UnsetType`"),
        (Angry(), "Angry` have no JSON form"),
        ([Angry()], "Angry` have no JSON form - at `$[0]`"),
        ({"a": {(1, 2): 3}}, "dict keys of type `tuple` have no JSON form - at `$.a`"),
        ({None: 1}, "dict keys of type `NoneType`"),
        ({True: 1}, "dict keys of type `bool`"),
        (["\ud800"], "lone surrogate, which UTF-8 cannot carry - at `$[0]`"),
        ({"a": {"\udfff": 1}}, "a key holds a lone surrogate, which UTF-8 cannot carry - at `$.a`"),
        (knot(), "the value contains itself here - at `$[1].again`"),
        (nested(50_000), "nested too deeply - at `$`"),
        (msgspec.Raw(b"\xff"), "utf-8"),
    ],
    ids=lambda sample: sample if isinstance(sample, str) else type(sample).__name__,
)
def test_other_bad_values_are_refused(value: object, reason: str) -> None:
    """**failure-serialize**"""
    text = refusal(value)
    assert WHERE in text
    assert reason in text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("big", [0, 2**70])
def test_numbers_that_json_lacks_are_refused(number: float, big: int) -> None:
    """**failure-serialize**"""
    advice = "JSON has no NaN and no infinity - at `{}`. Use None, text or a Decimal instead."
    assert advice.format("$") in refusal(number)
    assert advice.format("$[2].a[0]") in refusal([big, None, {"a": [number]}])
    assert advice.format("$.inner") in refusal(Holder(number, big))
    assert advice.format("$.inner[0][0]") in refusal(StructHolder([{number}]))


def test_a_decimal_carries_what_floats_cannot() -> None:
    data = DEFAULT_CONVERTER.serialize(decimal.Decimal("NaN"), where=WHERE)
    back = DEFAULT_CONVERTER.deserialize(data, decimal.Decimal, where=WHERE)
    assert back.is_nan()


@pytest.mark.parametrize(
    ("data", "annotation", "text"),
    [
        ('"5"', int, "as `int`: Expected `int`, got `str`"),
        ("1", bool, "as `bool`: Expected `bool`, got `int`"),
        ("true", int, "got `bool`"),
        ("null", int, "got `null`"),
        ('[{"inner":1,"other":"x"}]', list[Holder], "got `str` - at `$[0].other`"),
        ('{"other":1}', Holder, "Object missing required field `inner`"),
        ('"x"', uuid.UUID, "Invalid UUID"),
        ('{"x":1}', dict[int, int], "at `key` in `$`"),
        ("1e999", float, "Number out of range"),
    ],
)
def test_data_that_does_not_fit_says_where(data: str, annotation: Any, text: str) -> None:
    """**failure-serialize**"""
    message = reading(data, annotation)
    assert message.startswith(f"cannot read {WHERE} as `")
    assert text in message
    assert "Let the annotation or return_type fit the data" in message


@pytest.mark.parametrize("data", ["", "{", "{bad", "NaN", "1 2", '"\ud800"', '"\\ud800"', "\0"])
@pytest.mark.parametrize("annotation", [None, int, Holder | Picky])
def test_text_that_is_no_json_is_refused(data: str, annotation: Any) -> None:
    """**failure-serialize**"""
    assert WHERE in reading(data, annotation)


@pytest.mark.parametrize("annotation", [None, list, Any, Holder | list[Any] | Picky])
def test_bottomless_text_is_refused(annotation: Any) -> None:
    """**failure-serialize**"""
    for data in ("[" * 200_000, '{"a":' * 200_000):
        assert WHERE in reading(data, annotation)


@pytest.mark.parametrize(
    ("data", "annotation", "text"),
    [
        ("1", Plain, f"values of type `{__name__}.Plain` cannot be rebuilt from JSON"),
        ("[1]", list[Plain], "cannot be rebuilt from JSON - at `$[0]`"),
        ('{"a":["x"]}', dict[str, Plain | None], "cannot be rebuilt from JSON - at `$[...]`"),
        ("1", "Plain", "not supported"),
        ("1", 5, "not supported"),
    ],
)
def test_types_that_json_cannot_be_read_as(data: str, annotation: Any, text: str) -> None:
    """**failure-serialize**"""
    message = reading(data, annotation)
    assert text in message
    assert "Annotate with plain data, a dataclass" in message


def test_a_type_imported_for_typing_only_says_so() -> None:
    text = reading('{"share":1}', Unresolvable)
    assert "name 'Fraction' is not defined" in text
    assert "not for typing only" in text


def test_errors_of_the_type_itself_are_reported_with_their_cause() -> None:
    assert "one is not enough - at `$[0]`" in reading('[{"n":1}]', list[Picky])
    with pytest.raises(SerializationError, match=r"KeyError: 'two'") as caught:
        DEFAULT_CONVERTER.deserialize('{"n":2}', Picky, where=WHERE)
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value, DurableTaskError)


def test_control_flow_of_the_engine_passes_through() -> None:
    class Leave(BaseException):
        pass

    @dataclasses.dataclass
    class Jumper:
        def __post_init__(self) -> None:
            raise Leave

    with pytest.raises(Leave):
        DEFAULT_CONVERTER.deserialize("{}", Jumper, where=WHERE)


def test_payloads_are_not_repeated_in_errors() -> None:
    for annotation in (int, Holder, Holder | Picky, uuid.UUID, None):
        data = '["a secret"' if annotation is None else '"a secret"'
        assert not re.search("secret", reading(data, annotation))


def test_deep_values_within_the_limit_travel() -> None:
    program = (
        "from durabletask.serialization import DEFAULT_CONVERTER as c\n"
        "value = []\n"
        "for _ in range(900): value = [value]\n"
        "assert c.deserialize(c.serialize(value, where='x'), None, where='x') == value\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
