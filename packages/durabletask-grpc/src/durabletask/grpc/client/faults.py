"""From the status of a failed call to the error that a user meets."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import DecodeError

from durabletask.errors import (
    BackendUnavailableError,
    DurableTaskError,
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    InvalidRequestError,
    OrchestrationStateError,
    PayloadTooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durabletask.grpc.client.many import CallFailed
    from durabletask.grpc.client.target import Target

__all__ = ["REFUSALS", "TRANSIENT", "error_of", "intact", "reading"]

T = TypeVar("T")

_Code = grpc.StatusCode

TRANSIENT = frozenset({_Code.UNAVAILABLE, _Code.ABORTED, _Code.CANCELLED})
"""The server may not have seen the call, or ends, and is worth asking again.

What is cancelled on this side is not among them: that raises CancelledError.
"""

REFUSALS = frozenset(
    {_Code.INVALID_ARGUMENT, _Code.RESOURCE_EXHAUSTED, _Code.OUT_OF_RANGE, _Code.UNIMPLEMENTED}
)
"""The server will never take this message."""

_NO_SERVER = (
    "no Durable Task sidecar answers at {target}: check the address, and that it runs "
    "(durabletask serve starts one)"
)

_TEXTS = {
    _Code.UNAVAILABLE: _NO_SERVER,
    _Code.DEADLINE_EXCEEDED: _NO_SERVER,
    _Code.UNAUTHENTICATED: "{target} does not accept the credentials of this process: the token "
    "is missing, wrong or expired",
    _Code.PERMISSION_DENIED: "{target} does not let these credentials use this task hub",
    _Code.UNIMPLEMENTED: "what listens at {target} does not serve this call of the Durable Task "
    "protocol",
    _Code.NOT_FOUND: "{target} does not serve this task hub",
}


def error_of(
    error: grpc.aio.AioRpcError | CallFailed, target: Target, instance_id: str | None = None
) -> DurableTaskError:
    """The error to raise for a failed call.

    Args:
        instance_id: the instance the call was about, if it was about one.
    """
    code = error.code()
    details = (error.details() or "").strip() or f"no reason is given, only {code.name}"
    if instance_id is not None and code is _Code.NOT_FOUND:
        return InstanceNotFoundError(instance_id)
    if instance_id is not None and code is _Code.ALREADY_EXISTS:
        return InstanceAlreadyExistsError(instance_id)
    if code is _Code.RESOURCE_EXHAUSTED:
        return PayloadTooLargeError(f"{target} does not take so large a message: {details}")
    if code is _Code.FAILED_PRECONDITION:
        return OrchestrationStateError(details)
    if code in (_Code.INVALID_ARGUMENT, _Code.OUT_OF_RANGE):
        return InvalidRequestError(details)
    text = _TEXTS.get(code, "{target} failed").format(target=target)
    return BackendUnavailableError(f"{text} ({code.name}: {details})")


@contextmanager
def reading(target: Target) -> Iterator[None]:
    """Tell of an answer that makes no sense as what it is: trouble of the server.

    Raises:
        BackendUnavailableError: what is done inside cannot be done with this answer.
    """
    try:
        yield
    except (ValueError, DecodeError) as error:
        raise _senseless(target, str(error)) from None


def intact(message: T | None, target: Target) -> T:
    """The message, if its bytes were one.

    Raises:
        BackendUnavailableError: they were not.
    """
    if message is None:
        raise _senseless(target, "it cannot be parsed")
    return message


def _senseless(target: Target, what: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{target} answers with what makes no sense in the Durable Task protocol ({what}): check "
        "the address, and the versions of both sides"
    )
