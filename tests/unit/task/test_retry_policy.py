"""The bounds of a retry policy."""

import dataclasses
import math
from datetime import timedelta

import pytest

from durabletask import task

SECOND = timedelta(seconds=1)


def test_it_is_frozen_and_comparable():
    """A policy can be shared: it cannot change."""
    policy = task.RetryPolicy(SECOND, 3)
    assert policy == task.RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.jitter = 0.5
    assert task.RetryPolicy(timedelta(0), None).max_number_of_attempts is None


@pytest.mark.parametrize(
    "fields",
    [
        {"first_retry_interval": -SECOND},
        {"max_number_of_attempts": 0},
        {"max_number_of_attempts": -1},
        {"backoff_coefficient": 0.99},
        {"backoff_coefficient": math.nan},
        {"backoff_coefficient": math.inf},
        {"max_retry_interval": -SECOND},
        {"retry_timeout": -SECOND},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": math.nan},
    ],
)
def test_bounds(fields):
    """**retry-delay**: interval >= 0, attempts >= 1, coefficient >= 1; no NaN, no infinity."""
    (name,) = fields
    with pytest.raises(ValueError, match=name) as caught:
        task.RetryPolicy(**{"first_retry_interval": SECOND, "max_number_of_attempts": 3, **fields})
    assert isinstance(caught.value, task.DurableTaskError)


@pytest.mark.parametrize(
    "fields",
    [
        {"first_retry_interval": 1},
        {"max_number_of_attempts": 1.5},
        {"max_number_of_attempts": True},
        {"backoff_coefficient": "2"},
        {"max_retry_interval": 1},
        {"retry_timeout": 1},
        {"jitter": True},
        {"retry_predicate": "yes"},
        {"non_retryable_error_types": (int,)},
        {"non_retryable_error_types": (ValueError(),)},
        {"non_retryable_error_types": 5},
    ],
)
def test_types(fields):
    """Wrong types are named when the policy is made, not when something fails."""
    (name,) = fields
    with pytest.raises(TypeError, match=name) as caught:
        task.RetryPolicy(**{"first_retry_interval": SECOND, "max_number_of_attempts": 3, **fields})
    assert isinstance(caught.value, task.DurableTaskError)


def test_error_types_in_any_form():
    """**retry-type**: one or many, classes or names."""
    for given in (ValueError, "ValueError", [ValueError], {"ValueError"}):
        kinds = task.RetryPolicy(SECOND, 3, non_retryable_error_types=given)
        assert len(kinds.non_retryable_error_types) == 1
        assert isinstance(kinds.non_retryable_error_types, tuple)
