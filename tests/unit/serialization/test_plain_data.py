"""JSON's own data, with and without a type."""

import enum
import math
from typing import Any

import pytest

from durabletask.serialization import DEFAULT_CONVERTER, DataConverter, JsonDataConverter

WHERE = "the input of activity 'say_hello'"


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "an override that must not be called"


class Whole(int):
    pass


class Real(float):
    pass


class Nothing(enum.Enum):
    NULL = None


def written(value: object) -> str | None:
    return DEFAULT_CONVERTER.serialize(value, where=WHERE)


def read(data: str | None, annotation: Any = None) -> Any:
    return DEFAULT_CONVERTER.deserialize(data, annotation, where=WHERE)


def test_the_default_converter_is_a_data_converter() -> None:
    assert isinstance(DEFAULT_CONVERTER, JsonDataConverter)
    assert isinstance(DEFAULT_CONVERTER, DataConverter)
    assert not isinstance(object(), DataConverter)


def test_any_class_with_both_methods_is_a_data_converter() -> None:
    class Upper:
        def serialize(self, value: object, *, where: str) -> str | None:
            return None if value is None else str(value).upper()

        def deserialize(self, data: str | None, type: Any | None, *, where: str) -> Any:
            return data

    assert isinstance(Upper(), DataConverter)


class TestFalsy:
    """**falsy**: only an absent payload is None."""

    @pytest.mark.parametrize("value", [0, 0.0, "", [], {}, False])
    def test_falsy_values_arrive_as_themselves(self, value: object) -> None:
        """**falsy**"""
        for annotation in (None, Any, type(value)):
            back = read(written(value), annotation)
            assert back == value
            assert type(back) is type(value)

    def test_none_is_the_absent_payload(self) -> None:
        """**falsy**"""
        assert written(None) is None

    @pytest.mark.parametrize("annotation", [None, Any, int, dict[str, int], int | None])
    def test_the_absent_payload_is_none_whatever_the_type(self, annotation: Any) -> None:
        """**falsy**"""
        assert read(None, annotation) is None

    def test_a_null_written_by_a_stranger_is_none(self) -> None:
        """**falsy**"""
        assert read("null") is None
        assert read("null", int | None) is None

    def test_a_value_that_json_writes_as_null_is_not_absent(self) -> None:
        """**falsy**"""
        assert written(Nothing.NULL) == "null"
        assert read("null", Nothing) is Nothing.NULL


class TestText:
    def test_payloads_are_compact_json_text(self) -> None:
        assert written({"a": [1, 2.5, "ü", True, None]}) == '{"a":[1,2.5,"ü",true,null]}'

    def test_integers_of_any_size_are_exact(self) -> None:
        for value in (2**63, 2**64, -(2**70), 10**40):
            assert read(written(value)) == value
            assert read(written(value), int) == value
            assert read(written([None, value])) == [None, value]

    def test_subclasses_of_text_and_numbers_are_written_as_their_base(self) -> None:
        assert written([Text("a"), Whole(4), Real(1.5)]) == '["a",4,1.5]'

    def test_subclasses_of_text_and_numbers_are_rebuilt_from_an_annotation(self) -> None:
        for annotation, value in ((Text, Text("a")), (Whole, Whole(4)), (Real, Real(1.5))):
            back = read(written(value), annotation)
            assert back == value
            assert type(back) is annotation

    def test_the_word_null_in_text_changes_nothing(self) -> None:
        assert read(written(["null", 1.5, None])) == ["null", 1.5, None]

    def test_a_number_that_looks_infinite_in_another_coding_is_written(self) -> None:
        # Bytes that by chance hold the pattern which marks NaN in the quick search.
        assert written([None, b"\xcb\x7f\xf8"]) == '[null,"y3/4"]'


class TestStrictness:
    @pytest.mark.parametrize(
        ("data", "annotation", "expected"),
        [
            ("1", float, 1.0),
            ("1", object, 1),
            ("[1]", list, [1]),
            ("[1,2]", tuple[int, ...], (1, 2)),
            ('{"1":"a"}', dict[int, str], {1: "a"}),
            ("true", bool | int, True),
            ("1", bool | int, 1),
            ("1.5", int | float, 1.5),
        ],
    )
    def test_data_takes_the_type_asked_for(
        self, data: str, annotation: Any, expected: object
    ) -> None:
        back = read(data, annotation)
        assert back == expected
        assert type(back) is type(expected)

    def test_plain_data_stays_plain_without_a_type(self) -> None:
        back = read('{"at":"2020-01-01","n":[1,1.0]}')
        assert back == {"at": "2020-01-01", "n": [1, 1.0]}
        assert [type(n) for n in back["n"]] == [int, float]

    def test_huge_exponents_are_not_read_as_infinity(self) -> None:
        assert read("1e308") == 1e308
        assert math.isfinite(read("1e308", float))
