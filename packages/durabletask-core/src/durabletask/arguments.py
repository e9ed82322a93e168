"""Arguments of clients and workers: checked, and brought into one form, before anything is sent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from durabletask.entities import EntityId
from durabletask.errors import ArgumentTypeError, InvalidRequestError
from durabletask.state import OrchestrationQuery

__all__ = ["check_type", "checked_entity", "checked_query", "microseconds", "seconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_type(value: object, kind: Any, what: str, wanted: str) -> None:
    """Raise ArgumentTypeError unless ``value`` is an instance of ``kind``."""
    if not isinstance(value, kind):
        raise ArgumentTypeError(f"{what} must be {wanted}, not {type(value).__name__}")


def checked_entity(entity_id: object, call: str) -> str:
    """The id as text. Raises ArgumentTypeError if ``call`` was given something else."""
    if isinstance(entity_id, EntityId):
        return str(entity_id)
    given, instead = type(entity_id).__name__, 'EntityId("name", "key")'
    if callable(entity_id):
        given = getattr(entity_id, "__name__", given)
        instead = "EntityId(name, key), where the name is its own and the key says which one"
    elif isinstance(entity_id, str) and entity_id.startswith("@"):
        instead = f"EntityId.parse({entity_id!r})"
    raise ArgumentTypeError(f"{call} takes an EntityId, not {given}: write {instead}")


def checked_query(query: OrchestrationQuery) -> OrchestrationQuery:
    """The query, every field of it of the type it is declared with; naive datetimes mean UTC.

    Raises:
        ArgumentTypeError: it is no query, or a field is of the wrong type.
    """
    check_type(query, OrchestrationQuery, "a query", "an OrchestrationQuery")
    fields = {
        name: value.replace(tzinfo=UTC)
        if isinstance(value, datetime) and value.tzinfo is None
        else value
        for name, value in msgspec.structs.asdict(query).items()
    }
    try:
        return msgspec.convert(fields, OrchestrationQuery)
    except msgspec.ValidationError as error:
        raise ArgumentTypeError(
            f"a field of an OrchestrationQuery is of the wrong type: {error}"
        ) from None


def microseconds(start_at: datetime | timedelta | None, what: str = "start_at") -> int | None:
    """An instant, or a time from now, in microseconds since the epoch. A naive one means UTC.

    Args:
        what: how errors call it.

    Raises:
        ArgumentTypeError: it is neither.
        InvalidRequestError: it is beyond the year 9999.
    """
    if start_at is None:
        return None
    check_type(start_at, datetime | timedelta, what, "a datetime or a timedelta")
    if isinstance(start_at, timedelta):
        try:
            start_at = datetime.now(UTC) + start_at
        except OverflowError:
            raise InvalidRequestError(
                f"{what} must lie between the years 1 and 9999, not {start_at} from now"
            ) from None
    if start_at.tzinfo is None:
        start_at = start_at.replace(tzinfo=UTC)
    return (start_at - _EPOCH) // timedelta(microseconds=1)


def seconds(timeout: timedelta | float | None) -> float | None:
    """A timeout in seconds; None is no timeout, and a negative one is over at once.

    Raises:
        ArgumentTypeError: it is neither a timedelta nor a number.
        InvalidRequestError: it is NaN.
    """
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        return timeout.total_seconds()
    check_type(timeout, (int, float), "timeout", "a timedelta or a number of seconds")
    if math.isnan(timeout):
        raise InvalidRequestError("timeout must be a number of seconds, not NaN")
    return float(timeout)
