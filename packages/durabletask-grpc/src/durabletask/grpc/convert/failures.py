"""Failure details, whose causes nest in the protocol as they do here."""

from __future__ import annotations

from durabletask.grpc.convert.values import optional_text, text_value
from durabletask.grpc.protocol import pb
from durabletask.state import FailureDetails

__all__ = ["failure_message", "read_failure"]


_OURS, _THEIRS = "durabletask.errors.VersionMismatchError", "VersionMismatch"
"""The one failure that the protocol has a name for, as it is called here and there."""

_DEEPEST = 32
"""Causes that are passed on. Parsers refuse messages nested some hundred levels deep, and a failure
that climbs out of a tree of orchestrations gets a level at each."""


def failure_message(failure: FailureDetails) -> pb.TaskFailureDetails:
    """Failure details as a message, without the causes beyond the deepest that receivers take."""
    return _written(failure, _DEEPEST)


def _written(failure: FailureDetails, causes: int) -> pb.TaskFailureDetails:
    cause = failure.cause if causes else None
    return pb.TaskFailureDetails(
        errorType=_THEIRS if failure.error_type == _OURS else failure.error_type,
        errorMessage=failure.message,
        stackTrace=text_value(failure.stack_trace),
        innerFailure=None if cause is None else _written(cause, causes - 1),
        isNonRetriable=failure.non_retriable,
    )


def read_failure(message: pb.TaskFailureDetails) -> FailureDetails:
    """Failure details from a message; ``properties`` have no place here and are dropped.

    So are causes beyond those that ``failure_message`` would pass on.
    """
    return _read(message, _DEEPEST)


def _read(message: pb.TaskFailureDetails, causes: int) -> FailureDetails:
    nested = causes and message.HasField("innerFailure")
    return FailureDetails(
        error_type=_OURS if message.errorType == _THEIRS else message.errorType,
        message=message.errorMessage,
        stack_trace=optional_text(message, "stackTrace"),
        cause=_read(message.innerFailure, causes - 1) if nested else None,
        non_retriable=message.isNonRetriable,
    )
