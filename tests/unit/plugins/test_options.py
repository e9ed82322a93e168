"""Options of a URL: strict names, strict types, helpful refusals."""

import enum
from dataclasses import dataclass, field
from typing import Literal

import pytest

from durabletask.errors import BackendUrlError, ConfigurationError
from durabletask.plugins import parse_url


class Colour(enum.Enum):
    """What a pen writes in."""

    BLUE = "blue"
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Options of every supported type."""

    task_hub: str = "default"
    colour: Colour = Colour.BLUE
    tip: Literal["fine", "broad"] = "fine"
    width: float = 0.5
    refills: int = 0
    capped: bool = True
    label: str = ""
    limit: int | None = None
    ink: object = field(default=None, metadata={"url": False})
    inked: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.refills < 0:
            raise ConfigurationError("refills are counted from 0")
        if self.width <= 0:
            raise ValueError("width is positive")


def read(query: str) -> Pen:
    """The options of a URL with this query."""
    return parse_url(f"pen://{query}").options(Pen)


def test_defaults_stand_where_the_url_is_silent() -> None:
    """No option is mandatory."""
    assert read("") == Pen()


def test_texts_become_the_types_of_the_fields() -> None:
    """Every option of a URL is a text; the options object has none of that."""
    query = "?colour=red&tip=broad&width=0.7&refills=3&capped=false&label=007&limit=9&task_hub=x"
    assert read(query) == Pen(
        task_hub="x",
        colour=Colour.RED,
        tip="broad",
        width=0.7,
        refills=3,
        capped=False,
        label="007",
        limit=9,
    )


def test_hub_is_given_to_those_who_want_it() -> None:
    """A type without the field does not get it."""

    @dataclass(frozen=True)
    class Plain:
        size: int = 1

    assert parse_url("pen://?task_hub=x&size=2").options(Plain) == Plain(2)


KNOWN = "; known options: capped, colour, label, limit, refills, task_hub, tip, width"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            "?color=red",
            "unknown option 'color' in pen://?color=*** (did you mean 'colour'?)" + KNOWN,
        ),
        ("?zzz=1", "unknown option 'zzz' in pen://?zzz=***" + KNOWN),
        (
            "?Colour=red",
            "unknown option 'Colour' in pen://?Colour=*** (did you mean 'colour'?)" + KNOWN,
        ),
        ("?ink=1", "unknown option 'ink' in pen://?ink=***" + KNOWN),
        ("?inked=1", "unknown option 'inked' in pen://?inked=***" + KNOWN),
        (
            "?taskhub=x",
            "unknown option 'taskhub' in pen://?taskhub=*** (did you mean 'task_hub'?)" + KNOWN,
        ),
        ("?colour=pink", "option 'colour' in pen://?colour=*** must be 'blue' or 'red'"),
        ("?tip=FINE", "option 'tip' in pen://?tip=*** must be 'fine' or 'broad'"),
        ("?width=wide", "option 'width' in pen://?width=*** must be a number"),
        ("?refills=1.5", "option 'refills' in pen://?refills=*** must be a whole number"),
        ("?refills=", "option 'refills' in pen://?refills=*** must be a whole number"),
        ("?capped=maybe", "option 'capped' in pen://?capped=*** must be 'true' or 'false'"),
        ("?limit=x", "option 'limit' in pen://?limit=*** must be a value of type int | None"),
        ("?refills=-1", "the options in pen://?refills=*** do not fit: refills are counted from 0"),
        ("?width=0", "the options in pen://?width=*** do not fit: width is positive"),
    ],
)
def test_what_does_not_fit_is_refused(query: str, error: str) -> None:
    """With the names that would do, or the values."""
    with pytest.raises(BackendUrlError) as caught:
        read(query)
    assert str(caught.value) == error


def test_options_need_a_dataclass() -> None:
    """The mistake of a backend's author, not of a user."""
    with pytest.raises(TypeError, match="options are read into a dataclass, not <class 'int'>"):
        parse_url("pen://").options(int)
