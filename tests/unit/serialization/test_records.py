"""Records of every family with a field that msgspec does not read unaided."""

import dataclasses
from decimal import Decimal
from typing import Any, Final, Generic, NamedTuple, NotRequired, Required, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from durabletask.errors import SerializationError
from durabletask.serialization import DEFAULT_CONVERTER

Item = TypeVar("Item")

Amount = Decimal | str


@dataclasses.dataclass(frozen=True)
class Leaf:
    value: Amount


@dataclasses.dataclass
class Branch:
    parts: list["Leaf | Branch"]
    label: Amount | None = None


@dataclasses.dataclass
class Derived:
    amount: Amount
    doubled: list[Amount] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.doubled = [self.amount] * 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    amount: Amount
    seen: int = dataclasses.field(init=False, default=0)
    tags: list[str] = dataclasses.field(default_factory=list)


@attrs.define
class Invoice:
    first: Amount = attrs.field(alias="one")
    total: Amount = attrs.field(alias="sum", default="none")
    count: int = attrs.field(init=False, default=2)
    lines: list[Amount] = attrs.field(factory=list)


class Plain(msgspec.Struct, rename="camel"):
    the_amount: Amount
    the_note: str = "n"


class Compact(msgspec.Struct, array_like=True, tag="compact"):
    amount: Amount
    note: str = "n"


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    amount: Amount


class Pair(NamedTuple):
    left: Amount
    right: int = 5


class Stock(TypedDict):
    amount: Required[Amount]
    note: NotRequired[Amount]


Odd = TypedDict("Odd", {"not an identifier": Amount, "class": int}, total=False)


@dataclasses.dataclass
class Box(Generic[Item]):
    content: Item
    others: list[Item | None] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Crate:
    box: Box[Leaf | Branch]
    fixed: Final[Amount] = "fixed"


def read(data: str, annotation: Any) -> Any:
    return DEFAULT_CONVERTER.deserialize(data, annotation, where="the input")


def round_trip(annotation: Any, value: Any) -> Any:
    data = DEFAULT_CONVERTER.serialize(value, where="the input")
    assert data is not None
    return read(data, annotation)


ONE = Decimal("1.0")
TREE = Branch([Leaf(ONE), Branch([Leaf("x"), Branch([])], "y")], ONE)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Leaf, Leaf(ONE)),
        (Leaf, Leaf("text")),
        (Branch, TREE),
        (dict[str, Branch], {"a": TREE}),
        (Derived, Derived(ONE)),
        (Frozen, Frozen(amount=ONE, tags=["a"])),
        (Invoice, Invoice(ONE, ONE, [ONE, "x"])),
        (Plain, Plain(ONE, "note")),
        (Compact, Compact(ONE, "note")),
        (Pair, Pair(ONE)),
        (Stock, Stock(amount=ONE)),
        (Stock, Stock(amount="x", note=ONE)),
        (Odd, {"not an identifier": ONE, "class": 1}),
        (Box[Leaf | Branch], Box(Leaf(ONE), [None, TREE])),
        (Box[Amount], Box(ONE, ["x"])),
        (Crate, Crate(Box(TREE), ONE)),
    ],
    ids=lambda sample: type(sample).__name__,
)
def test_a_record_survives(annotation: Any, value: Any) -> None:
    assert round_trip(annotation, value) == value
    assert round_trip(list[annotation | None], [None, value]) == [None, value]


@pytest.mark.parametrize(
    ("annotation", "data", "expected"),
    [
        (Branch, '{"parts":[]}', Branch([])),
        (Invoice, '{"first":"1"}', Invoice(Decimal(1))),
        (Plain, '{"theAmount":"1"}', Plain(Decimal(1))),
        (Compact, '["compact","1"]', Compact(Decimal(1))),
        (Pair, '["x"]', Pair("x")),
        (Odd, "{}", {}),
        (Frozen, '{"amount":"x"}', Frozen(amount="x")),
    ],
)
def test_defaults_are_filled_in(annotation: Any, data: str, expected: object) -> None:
    assert read(data, annotation) == expected


def test_a_field_outside_init_keeps_what_was_written() -> None:
    value = Frozen(amount="x")
    object.__setattr__(value, "seen", 7)
    assert round_trip(Frozen, value).seen == 7


@pytest.mark.parametrize(
    ("annotation", "data", "text"),
    [
        (Leaf, "{}", "missing required field `value`"),
        (Leaf, '{"value":1.5e3}', ""),
        (Branch, '{"parts":[{"value":[]}]}', "- at `$.parts[0]`"),
        (Crate, '{"box":{"content":{"value":true}}}', "- at `$.box.content`"),
        (Stock, "{}", "missing required field `amount`"),
        (Invoice, "{}", "missing required field `first`"),
        (Plain, "{}", "missing required field `theAmount`"),
        (Compact, '["other","1"]', "Invalid value 'other'"),
        (Closed, '{"amount":"1","more":2}', "unknown field `more`"),
        (Pair, '["1",2,3]', "length"),
        (Leaf, "[]", "Expected `object`, got `array`"),
    ],
)
def test_bad_data_is_refused(annotation: Any, data: str, text: str) -> None:
    if not text:
        assert read(data, annotation) == Leaf(Decimal(1500))
        return
    with pytest.raises(SerializationError) as caught:
        read(data, annotation)
    assert text in str(caught.value)
