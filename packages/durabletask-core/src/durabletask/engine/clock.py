"""Instants and durations as the histories hold them: int microseconds, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from durabletask.errors import ArgumentTypeError, InvalidRequestError

__all__ = ["due_at", "from_micros", "micros_of_delay", "to_micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_micros(instant: datetime) -> int:
    """Microseconds since the Unix epoch; a naive ``instant`` means UTC."""
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC instant ``micros`` microseconds after the Unix epoch."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_of_delay(delay: timedelta) -> int:
    """A duration in microseconds."""
    return delay // _MICROSECOND


def due_at(when: timedelta | datetime, now: int, what: str) -> int:
    """When something set at ``now`` is due.

    Raises:
        InvalidRequestError: beyond the year 9999.
        ArgumentTypeError: ``when`` is neither a timedelta nor a datetime.
    """
    if isinstance(when, timedelta):
        due = now + micros_of_delay(when)
    elif isinstance(when, datetime):
        due = to_micros(when)
    else:
        raise ArgumentTypeError(
            f"{what} takes a timedelta or a datetime, not {type(when).__name__}: write "
            "timedelta(seconds=...)"
        )
    if due > _LAST:
        raise InvalidRequestError(f"{what} is asked to wait beyond the year 9999")
    return due
