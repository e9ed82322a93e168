"""Finding the part of a value that keeps it from being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from durabletask.serialization._hooks import NoJsonFormError, plain
from durabletask.serialization._names import type_name
from durabletask.serialization._paths import step

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Culprit", "find_culprit"]

_write: Final = msgspec.json.Encoder(enc_hook=plain).encode

# Levels to descend in search of a cycle.
_DEPTH: Final = 2000

_KNOWN_TYPES: Final = (
    "Use plain data, a dataclass, an enum, a NamedTuple, a msgspec.Struct, an attrs class or a "
    "pydantic model, or give client and worker a DataConverter that knows the type"
)
_KNOWN_KEYS: Final = "Use text, numbers, dates, UUIDs or enums as keys"
_CLEAN_TEXT: Final = "Clean the text, or send it as bytes"
_FLATTEN: Final = "Refer to the other parts by a key, or flatten the value"

# What each kind of failure means. The first entry that covers the error speaks.
_REASONS: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (UnicodeEncodeError, "its text holds a lone surrogate, which UTF-8 cannot carry", _CLEAN_TEXT),
    (RecursionError, "it is nested too deeply", _FLATTEN),
)


class Culprit(NamedTuple):
    """The innermost part that cannot be written, why not, and what to do about it."""

    path: str
    reason: str
    advice: str


def find_culprit(value: object, error: Exception) -> Culprit:
    """Return the innermost part of ``value`` that fails on its own.

    ``error`` is what writing the whole value raised. The search writes the parts again, one level
    at a time, and costs nothing as long as all goes well.
    """
    path, above = "$", {id(value)}
    for _ in range(_DEPTH):
        if (bad_key := _bad_key(value)) is not None:
            return Culprit(path, *bad_key)
        failing = next(((s, part) for s, part in _parts(value) if _failure(part)), None)
        if failing is None:
            return Culprit(path, *_explained(_failure(value) or error))
        path, value = path + failing[0], failing[1]
        if id(value) in above:
            return Culprit(path, "the value contains itself here", _FLATTEN)
        above.add(id(value))
    return Culprit("$", *_explained(error))


def _failure(value: object) -> Exception | None:
    try:
        _write(value)
    except Exception as error:
        return error
    return None


def _explained(error: Exception) -> tuple[str, str]:
    for kind, reason, advice in _REASONS:
        if isinstance(error, kind):
            return reason, advice
    own = error.advice if isinstance(error, NoJsonFormError) else None
    return str(error), own or _KNOWN_TYPES


def _bad_key(value: object) -> tuple[str, str] | None:
    for key in value if isinstance(value, dict) else ():
        failure = _failure({key: 0})
        if isinstance(failure, UnicodeEncodeError):
            return "a key holds a lone surrogate, which UTF-8 cannot carry", _CLEAN_TEXT
        if failure:
            return f"dict keys of type `{type_name(type(key))}` have no JSON form", _KNOWN_KEYS
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((step(key), part) for key, part in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ((step(n), part) for n, part in enumerate(value))
    return ((step(name), getattr(value, name)) for name in _fields(value) if hasattr(value, name))


def _fields(value: object) -> Iterator[str]:
    cls: Any = type(value)
    if hasattr(cls, "__attrs_attrs__"):
        return (field.name for field in cls.__attrs_attrs__)
    listings = ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__")
    return iter(next((getattr(cls, name) for name in listings if hasattr(cls, name)), ()))
