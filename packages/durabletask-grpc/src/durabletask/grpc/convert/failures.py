"""Failure details, whose causes nest in the protocol as they do here."""

from __future__ import annotations

from durabletask.grpc.convert.values import optional_text, text_value
from durabletask.grpc.protocol import pb
from durabletask.state import FailureDetails

__all__ = ["failure_message", "read_failure"]


def failure_message(failure: FailureDetails) -> pb.TaskFailureDetails:
    """Failure details as a message."""
    return pb.TaskFailureDetails(
        errorType=failure.error_type,
        errorMessage=failure.message,
        stackTrace=text_value(failure.stack_trace),
        innerFailure=None if failure.cause is None else failure_message(failure.cause),
        isNonRetriable=failure.non_retriable,
    )


def read_failure(message: pb.TaskFailureDetails) -> FailureDetails:
    """Failure details from a message; ``properties`` have no place here and are dropped."""
    return FailureDetails(
        error_type=message.errorType,
        message=message.errorMessage,
        stack_trace=optional_text(message, "stackTrace"),
        cause=read_failure(message.innerFailure) if message.HasField("innerFailure") else None,
        non_retriable=message.isNonRetriable,
    )
