"""When and how often a failed activity or sub-orchestration is tried again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask.errors import ArgumentTypeError, InvalidRequestError
from durabletask.state import FailureDetails

__all__ = ["RetryPolicy"]

_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how often to try again. Immutable, checked when made, safe to share.

    Before attempt n + 1 the orchestration waits
    ``first_retry_interval * backoff_coefficient ** (n - 1)``, at most ``max_retry_interval``.

    Attributes:
        first_retry_interval: wait after the first failure; zero or more.
        max_number_of_attempts: attempts in all, the first included; None: no end.
        backoff_coefficient: factor from one wait to the next; finite, 1 or more.
        max_retry_interval: the longest wait, or None.
        retry_timeout: no attempt starts later than this after the first, by the orchestration's
            own clock, or None.
        non_retryable_error_types: exception classes (subclasses included) or type names that end
            the trying when they, or a cause of the failure, match.
        retry_predicate: asked with the FailureDetails of each failure; a false answer ends the
            trying. It runs inside the orchestrator, so it must be deterministic.
        jitter: from 0 to 1, the largest share by which a wait is shortened. It is derived from
            the instance id, the number of the call and the attempt, so that replay gets the same.

    Raises:
        InvalidRequestError: a value is out of its bounds (it is a ValueError).
        ArgumentTypeError: a value is of the wrong type (it is a TypeError).
    """

    first_retry_interval: timedelta
    max_number_of_attempts: int | None
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None
    non_retryable_error_types: tuple[type[BaseException] | str, ...] = ()
    retry_predicate: Callable[[FailureDetails], bool] | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _check_interval("first_retry_interval", self.first_retry_interval)
        for name in ("max_retry_interval", "retry_timeout"):
            if getattr(self, name) is not None:
                _check_interval(name, getattr(self, name))
        attempts: object = self.max_number_of_attempts
        if attempts is not None:
            if not isinstance(attempts, int) or isinstance(attempts, bool):
                raise _wrong_type("max_number_of_attempts", "an int or None", attempts)
            if attempts < 1:
                raise _out_of_bounds("max_number_of_attempts", "1 or more", attempts)
        _check_number("backoff_coefficient", self.backoff_coefficient, 1.0, math.inf)
        _check_number("jitter", self.jitter, 0.0, 1.0)
        if self.retry_predicate is not None and not callable(self.retry_predicate):
            raise _wrong_type("retry_predicate", "callable or None", self.retry_predicate)
        object.__setattr__(self, "non_retryable_error_types", _error_types(self))


def _error_types(policy: RetryPolicy) -> tuple[type[BaseException] | str, ...]:
    given: Any = policy.non_retryable_error_types
    types = (given,) if isinstance(given, str | type) or not hasattr(given, "__iter__") else given
    types = tuple(types)
    for entry in types:
        if not isinstance(entry, str) and not (
            isinstance(entry, type) and issubclass(entry, BaseException)
        ):
            raise _wrong_type("non_retryable_error_types", "exception classes or names", entry)
    return types


def _check_interval(name: str, value: object) -> None:
    if not isinstance(value, timedelta):
        raise _wrong_type(name, "a timedelta", value)
    if value < _ZERO:
        raise _out_of_bounds(name, "zero or more", value)


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong_type(name, "a number", value)
    if not math.isfinite(value) or not low <= value <= high:
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"finite, {low:g} or more"
        raise _out_of_bounds(name, bounds, value)


def _wrong_type(name: str, wanted: str, value: object) -> ArgumentTypeError:
    return ArgumentTypeError(
        f"RetryPolicy.{name} must be {wanted}, not {type(value).__name__}: {value!r}"
    )


def _out_of_bounds(name: str, bounds: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(f"RetryPolicy.{name} must be {bounds}, not {value}")
