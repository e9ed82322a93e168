"""Statuses: ours, and the protocol's, which has two more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.errors import InvalidRequestError
from durabletask.grpc.protocol import pb
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["read_status", "read_statuses", "status_number"]

_NUMBERS: dict[OrchestrationStatus, pb.OrchestrationStatus] = {
    OrchestrationStatus.PENDING: pb.ORCHESTRATION_STATUS_PENDING,
    OrchestrationStatus.RUNNING: pb.ORCHESTRATION_STATUS_RUNNING,
    OrchestrationStatus.COMPLETED: pb.ORCHESTRATION_STATUS_COMPLETED,
    OrchestrationStatus.FAILED: pb.ORCHESTRATION_STATUS_FAILED,
    OrchestrationStatus.TERMINATED: pb.ORCHESTRATION_STATUS_TERMINATED,
    OrchestrationStatus.SUSPENDED: pb.ORCHESTRATION_STATUS_SUSPENDED,
}

_STATUSES: dict[int, OrchestrationStatus] = {
    **{number: status for status, number in _NUMBERS.items()},
    # An instance between two executions runs, and a cancelled one was ended from outside.
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: OrchestrationStatus.RUNNING,
    pb.ORCHESTRATION_STATUS_CANCELED: OrchestrationStatus.TERMINATED,
}


def status_number(status: OrchestrationStatus) -> pb.OrchestrationStatus:
    """The protocol's number of a status."""
    return _NUMBERS[status]


def read_status(number: int) -> OrchestrationStatus:
    """The status of a number; CONTINUED_AS_NEW reads as RUNNING, CANCELED as TERMINATED.

    Raises:
        InvalidRequestError: the protocol has no such number.
    """
    try:
        return _STATUSES[number]
    except KeyError:
        raise InvalidRequestError(f"{number} is no status of the Durable Task protocol") from None


def read_statuses(numbers: Iterable[int]) -> frozenset[OrchestrationStatus]:
    """The statuses of some numbers, as ``read_status``."""
    return frozenset(map(read_status, numbers))
