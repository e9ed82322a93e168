"""Unions and enumerations that msgspec refuses, because JSON text alone cannot tell them apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.serialization._hooks import convert, plain
from durabletask.serialization._names import type_name
from durabletask.serialization._paths import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["one_of_types", "one_of_values"]

# Sorted keys make texts comparable whatever the order in which a stranger wrote an object. Texts
# are compared, not values, because 1 == 1.0 == True.
_text = msgspec.json.Encoder(enc_hook=plain, order="sorted").encode


def one_of_types(members: Sequence[Any], label: str) -> Callable[[Any], Any]:
    """Return a builder that gives data the type of the member that fits it best.

    A member fits exactly when writing the rebuilt value gives the same data again, no key lost
    and none added. The first exact member wins, in the order of the annotation; without one the
    first member that accepts the data at all. What this library wrote is always exact for the
    member it came from, so only members with the very same JSON form depend on the order.
    """

    def build(data: Any) -> Any:
        loose: list[Any] = []
        reasons: list[str] = []
        written = _text(data)
        for member in members:
            try:
                value = convert(data, member)
            except ValueError as error:
                # Without the mark of a path, lest a member's path be taken for that of the data.
                reason = joined(str(error)).replace(" - at ", " at ")
                reasons.append(f"{type_name(member)}: {reason}")
                continue
            if _text(_complete(value)) == written:
                return value
            loose.append(value)
        if loose:
            return loose[0]
        raise ValueError(f"Expected `{label}`, but nothing fits ({'; '.join(reasons)})")

    return build


def _complete(value: Any) -> Any:
    # msgspec leaves a default that it filled in on the class, and then does not write it.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def one_of_values(values: Sequence[Any], label: str) -> Callable[[Any], Any]:
    """Return a builder that finds the value with the same JSON form as the data.

    It serves enums and literals whose values are not all text or all integers.
    """
    by_text = {_text(value): value for value in reversed(values)}

    def build(data: Any) -> Any:
        try:
            return by_text[_text(data)]
        except KeyError:
            raise ValueError(f"Expected one of the values of `{label}`") from None

    return build
