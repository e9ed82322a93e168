"""Pydantic models, for those who use them: pydantic is never imported from here.

A model travels under its field names, and is read by field name and by alias, so that aliases of
any kind survive and strangers can still send events in the spelling of the alias. Before pydantic
2.11 it travels under its aliases, and one field must not have different ones for either direction.
What pydantic itself hides when it writes JSON (``SecretStr`` becomes asterisks) does not survive.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.serialization._paths import step

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dump", "is_model", "is_model_class", "load"]


def is_model(value: object) -> bool:
    """Whether ``value`` is a pydantic model."""
    return is_model_class(type(value))


def is_model_class(cls: type) -> bool:
    """Whether ``cls`` is a pydantic model class. False while nobody has imported pydantic."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(cls, base)


def dump(model: Any) -> Any:
    """Return the JSON data of a model.

    Raises:
        ValueError: a field holds a value that its own annotation forbids.
    """
    return model.model_dump(
        mode="json", by_alias=not _reads_names(), round_trip=True, warnings="error"
    )


def load(cls: Any, data: Any) -> Any:
    """Return a model of class ``cls`` made from JSON data.

    Raises:
        ValueError: the data is not valid for the model; the text does not repeat the data.
    """
    names = {"by_alias": True, "by_name": True} if _reads_names() else {}
    try:
        # As text and not as Python data, because a strict model takes dates, sets and the like
        # only from JSON text.
        return cls.model_validate_json(msgspec.json.encode(data), **names)
    except ValueError as error:
        list_errors = getattr(error, "errors", None)
        if list_errors is None:
            raise
        errors = list_errors(include_input=False, include_url=False)
        raise ValueError(_summary(errors)) from error


@functools.cache
def _reads_names() -> bool:
    # Reading by name and by alias at once came with pydantic 2.11; before it, aliases rule.
    parameters = inspect.signature(sys.modules["pydantic"].BaseModel.model_validate_json).parameters
    return "by_name" in parameters


def _summary(errors: Sequence[Any]) -> str:
    first = errors[0]
    path = "".join(step(part) for part in first["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first['msg']}{more} - at `${path}`"
