"""The texts of serialization errors: the place, the type, the path, and what to do."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from durabletask.errors import SerializationError
from durabletask.serialization._culprit import Culprit, find_culprit
from durabletask.serialization._hooks import NoJsonFormError
from durabletask.serialization._names import type_name
from durabletask.serialization._paths import joined

__all__ = ["not_finite", "unreadable", "unwritable"]

# What to do about each kind of failure. The first entry that covers the error speaks.
_READ_ADVICE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        msgspec.ValidationError,
        "Let the annotation or return_type fit the data, or send what it asks for",
    ),
    (msgspec.DecodeError, "The payload is not JSON: another converter or another program wrote it"),
    (NameError, "Define or import the types of its fields at module level, not for typing only"),
    (RecursionError, "Nest the data less deeply, and use no type alias that contains itself"),
    (
        TypeError,
        "Annotate with plain data, a dataclass, an enum, a NamedTuple, a TypedDict, a "
        "msgspec.Struct, an attrs class or a pydantic model",
    ),
    (Exception, "The type's own code raised this while the value was built"),
)


def unwritable(error: Exception, value: object, where: str) -> SerializationError:
    """Return the error for a value that could not be written; ``error`` is what came of trying."""
    return _refusal(find_culprit(value, error), value, where)


def not_finite(path: str, value: object, where: str) -> SerializationError:
    """Return the error for a value with a NaN or an infinity at ``path``."""
    reason = "JSON has no NaN and no infinity"
    return _refusal(Culprit(path, reason, "Use None, text or a Decimal instead"), value, where)


def unreadable(error: Exception, annotation: Any, where: str) -> SerializationError:
    """Return the error for data that could not be read as ``annotation``."""
    target = "JSON" if annotation is None else f"`{type_name(annotation)}`"
    advice = next(advice for kind, advice in _READ_ADVICE if isinstance(_telling(error), kind))
    ours = isinstance(error, msgspec.MsgspecError | TypeError | NameError | RecursionError)
    text = joined(str(error)) if ours else f"{type_name(type(error))}: {error}"
    return SerializationError(f"cannot read {where} as {target}: {text}. {advice}.")


def _telling(error: Exception) -> BaseException:
    """The cause that an advice can be given for: a class without JSON form, else the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, NoJsonFormError):
        cause = cause.__cause__
    return cause or error


def _refusal(culprit: Culprit, value: object, where: str) -> SerializationError:
    return SerializationError(
        f"cannot serialize {where}, a value of type `{type_name(type(value))}`: "
        f"{culprit.reason} - at `{culprit.path}`. {culprit.advice}."
    )
