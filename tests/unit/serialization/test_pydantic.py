"""Pydantic models, which pydantic itself writes and reads."""

import dataclasses
import datetime as dt
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field

from durabletask.errors import SerializationError
from durabletask.serialization import DEFAULT_CONVERTER

Item = TypeVar("Item")


class Line(BaseModel):
    article: str
    price: Decimal
    at: dt.datetime
    tags: set[str] = set()


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: uuid.UUID
    at: dt.date
    blob: bytes = b""


class Named(BaseModel):
    model_config = ConfigDict(extra="forbid")

    both: int = Field(alias="Both")
    reading: int = Field(1, validation_alias="Reading")
    writing: int = Field(1, serialization_alias="Writing")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        return self.both + self.reading + self.writing


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Page(BaseModel, Generic[Item]):
    items: list[Item]


@dataclasses.dataclass
class Shelf:
    first: Line
    named: dict[str, Line | None]
    pet: Cat | Dog | str


@pydantic.dataclasses.dataclass
class Checked:
    count: int = Field(default=3)
    lines: list[Line] = Field(default_factory=list)


LINE = Line(article="pen", price=Decimal("1.10"), at=dt.datetime(2024, 1, 1), tags={"a"})


def written(value: object) -> str:
    data = DEFAULT_CONVERTER.serialize(value, where="the input")
    assert data is not None
    return data


def read(data: str, annotation: Any) -> Any:
    return DEFAULT_CONVERTER.deserialize(data, annotation, where="the input")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Line, LINE),
        (Line | None, LINE),
        (list[Line], [LINE]),
        (dict[str, list[Line | None]], {"a": [LINE, None]}),
        (tuple[Line, int], (LINE, 1)),
        (Strict, Strict(id=uuid.UUID(int=1), at=dt.date(2024, 1, 1), blob=b"abc")),
        (Cat | Dog, Dog(name="a")),
        (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(name="a")),
        (list[Cat | Dog | str], [Cat(name="a"), "b", Dog(name="c")]),
        (Page[Line], Page[Line](items=[LINE])),
        (Page[Cat | Dog], Page[Cat | Dog](items=[Dog(name="a")])),
        (Shelf, Shelf(LINE, {"x": None, "y": LINE}, Dog(name="a"))),
        (Shelf, Shelf(LINE, {}, "none")),
        (Checked, Checked(count=1, lines=[LINE])),
    ],
    ids=str,
)
def test_a_model_survives(annotation: Any, value: Any) -> None:
    back = read(written(value), annotation)
    assert back == value
    assert type(back) is type(value)


def test_aliases_of_every_kind_survive() -> None:
    value = Named(Both=5, Reading=6, writing=7)
    assert read(written(value), Named) == value


def test_strangers_may_write_aliases() -> None:
    value = read('{"Both":5,"Reading":6}', Named)
    assert (value.both, value.reading) == (5, 6)


def test_a_wrong_field_is_named_and_its_value_is_not_repeated() -> None:
    with pytest.raises(SerializationError) as caught:
        read(
            '{"a":[{"article":"pen","price":"a secret","at":"2024-01-01"}]}', dict[str, list[Line]]
        )
    text = str(caught.value)
    assert "decimal" in text
    assert "$[...][0].price" in text
    assert "a secret" not in text


def test_further_wrong_fields_are_counted() -> None:
    with pytest.raises(
        SerializationError, match=r"Field required \(and 2 more\) - at `\$.article`"
    ):
        read("{}", Line)


def test_a_model_that_breaks_its_own_annotations_is_refused() -> None:
    broken = Line.model_construct(article=5, price=Decimal(1), at=dt.datetime(2024, 1, 1))
    with pytest.raises(SerializationError, match=r"\$.lines\[0\]"):
        written({"lines": [broken]})


def test_nan_in_a_model_is_refused() -> None:
    class Reading(BaseModel):
        value: float

    with pytest.raises(SerializationError, match=r"no NaN and no infinity - at `\$\[1\].value`"):
        written([1, Reading(value=float("nan"))])


def test_pydantic_is_never_imported_from_here() -> None:
    program = (
        "import sys\n"
        "from durabletask.serialization import DEFAULT_CONVERTER as c\n"
        "from durabletask.errors import SerializationError\n"
        "class Plain: pass\n"
        "try: c.serialize(Plain(), where='x')\n"
        "except SerializationError: pass\n"
        "try: c.deserialize('1', Plain, where='x')\n"
        "except SerializationError: pass\n"
        "sys.exit(int('pydantic' in sys.modules or 'attr' in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
