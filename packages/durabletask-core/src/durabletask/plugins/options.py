"""Options in the query of a backend URL, read into the options type of the backend."""

from __future__ import annotations

import dataclasses
import difflib
import enum
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from durabletask.errors import BackendUrlError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["did_you_mean", "read_options"]

Options = TypeVar("Options")


def read_options(url: str, query: Mapping[str, str], task_hub: str, kind: type[Options]) -> Options:
    """Build the dataclass ``kind`` from ``query``; ``url`` is shown in errors.

    A field ``task_hub`` gets the task hub. One that says ``metadata={"url": False}`` (or
    ``init=False``) is none of the URL's business.

    Raises:
        BackendUrlError: a name is no field of ``kind``, or a value does not fit the field's type.
    """
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"options are read into a dataclass, not {kind!r}")
    hints = get_type_hints(kind)
    known = {
        field.name: hints[field.name]
        for field in dataclasses.fields(kind)
        if field.init and field.metadata.get("url", True)
    }
    values: dict[str, Any] = {"task_hub": task_hub} if "task_hub" in known else {}
    for name, text in query.items():
        if name not in known:
            names = sorted({*known, "task_hub"})
            raise BackendUrlError(
                f"unknown option {name!r} in {url}{did_you_mean(name, names)}; known options: "
                + ", ".join(names)
            )
        try:
            values[name] = msgspec.convert(text, known[name], strict=False)
        except msgspec.ValidationError:
            raise BackendUrlError(
                f"option {name!r} in {url} must be {_expected(known[name])}"
            ) from None
    try:
        return kind(**values)
    except (ValueError, ConfigurationError) as error:
        raise BackendUrlError(f"the options in {url} do not fit: {error}") from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, to be appended to an error text; may be empty."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def _expected(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(repr(member.value) for member in kind)
    return _TYPES.get(kind, f"a value of type {getattr(kind, '__name__', kind)}")


_TYPES = {bool: "'true' or 'false'", int: "a whole number", float: "a number"}
