"""What JSON lacks: the two hooks that msgspec calls for types it does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import GenericAlias
from typing import Any, get_args, get_origin

import msgspec

from durabletask.serialization import _pydantic
from durabletask.serialization._names import type_name

__all__ = ["NoJsonFormError", "Stand", "convert", "plain", "rebuild"]

# Subclasses of these are refused by msgspec, though they carry nothing that the base would lose in
# JSON. Each entry says how to get the bare base value without calling an override. datetime stands
# before date because it is one.
_BARE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (datetime, lambda v: datetime.combine(date(v.year, v.month, v.day), datetime.timetz(v))),
    (date, lambda v: date(v.year, v.month, v.day)),
    (time, lambda v: time.fromisoformat(time.isoformat(v))),
    (timedelta, lambda v: timedelta(v.days, v.seconds, v.microseconds)),
    (Decimal, Decimal),
    (bytes, lambda v: bytes(memoryview(v))),
)

# Bases whose subclasses are made from one value of the base.
_BASES = (str, int, float, dict, list, tuple, set, frozenset, bytes)


class NoJsonFormError(TypeError):
    """A class that neither JSON nor this package knows.

    Attributes:
        advice: what to do with a value of it, if the class says so.
    """

    def __init__(self, reason: str, advice: str | None = None) -> None:
        self.advice = advice
        super().__init__(reason)


class Stand(type):
    """A class that stands in an annotation where msgspec refuses what the user wrote.

    msgspec treats it as a custom type, hands the plain data to :func:`rebuild`, and afterwards
    asks whether the result is an instance; the answer is always yes, because ``build`` has
    already made sure of the type.
    """

    build: Callable[[Any], Any]

    def __new__(cls, name: str, build: Callable[[Any], Any]) -> Stand:
        # Seen only in error texts, where it should read like the annotation it stands for.
        return super().__new__(cls, name, (), {"__module__": "builtins", "build": build})

    def __init__(cls, name: str, build: Callable[[Any], Any]) -> None:
        super().__init__(name, (), {})

    def __instancecheck__(cls, instance: object) -> bool:
        return True


def plain(value: Any) -> Any:
    """Return a stand-in that msgspec can encode for a value that it cannot (its ``enc_hook``)."""
    if _pydantic.is_model(value):
        return _pydantic.dump(value)
    for base, bare in _BARE:
        # A bool comes here only as the key of a dict, where it would turn into a number.
        if isinstance(value, base) and not isinstance(value, bool):
            return bare(value)
    # A class that is never meant to be data may say what its values are, and what to do instead.
    said: tuple[str, str] | None = getattr(type(value), "__not_data__", None)
    if said is not None:
        raise NoJsonFormError(*said)
    raise NoJsonFormError(f"values of type `{type_name(type(value))}` have no JSON form")


def rebuild(annotation: Any, data: Any) -> Any:
    """Make a value of ``annotation`` from plain data (msgspec's ``dec_hook``)."""
    if isinstance(annotation, Stand):
        return annotation.build(data)
    if annotation is object:
        return data
    if get_origin(annotation) is Iterable:
        return convert(data, GenericAlias(list, get_args(annotation)))
    if isinstance(annotation, type):
        if _pydantic.is_model_class(annotation):
            return _pydantic.load(annotation, data)
        for base in _BASES:
            if issubclass(annotation, base):
                return annotation(convert(data, base))
    raise NoJsonFormError(f"values of type `{type_name(annotation)}` cannot be rebuilt from JSON")


def convert(data: Any, annotation: Any) -> Any:
    """Turn plain JSON data into ``annotation``.

    Raises:
        ValueError: the data does not fit.
    """
    try:
        return msgspec.convert(data, annotation, dec_hook=rebuild, str_keys=True)
    except msgspec.ValidationError as error:
        # In a hook, msgspec adds the path that led there to every ValueError but its own.
        raise ValueError(str(error)) from error
