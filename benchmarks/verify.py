"""Checks of results: a run that computed something wrong has no speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.task import OrchestrationStatus

if TYPE_CHECKING:
    from durabletask.task import OrchestrationState

__all__ = ["WrongResultError", "check_completed", "check_equal"]


class WrongResultError(Exception):
    """Something under measurement gave a wrong result."""


def check_equal(actual: object, expected: object, what: str) -> None:
    """Raise WrongResultError unless ``what`` is as expected."""
    if actual != expected:
        raise WrongResultError(
            f"{what} is wrong: expected {_short(expected)}, not {_short(actual)}"
        )


def check_completed(state: OrchestrationState, expected: Any) -> None:
    """Raise WrongResultError unless the instance completed with exactly this result."""
    what = f"orchestration {state.name!r} ({state.instance_id})"
    if state.runtime_status is not OrchestrationStatus.COMPLETED:
        raise WrongResultError(
            f"{what} is {state.runtime_status.value}, not COMPLETED: {state.failure_details}"
        )
    check_equal(state.result, expected, f"the result of {what}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
