"""Requests to start an instance as messages and back."""

from __future__ import annotations

from typing import NamedTuple

from durabletask.backend import ReusePolicy, StartRequest
from durabletask.grpc.convert.statuses import read_statuses, status_number
from durabletask.grpc.convert.values import (
    optional_text,
    read_instant,
    read_tags,
    text_value,
    timestamp,
)
from durabletask.grpc.protocol import pb
from durabletask.state import FINISHED, OrchestrationStatus

__all__ = ["Start", "read_start", "start_message"]


class Start(NamedTuple):
    """A start as a server has to carry it out.

    Attributes:
        replaced_alive: unfinished statuses of an instance that is to be ended first.
    """

    request: StartRequest
    replaced_alive: frozenset[OrchestrationStatus]


def start_message(request: StartRequest, instance_id: str) -> pb.CreateInstanceRequest:
    """A request as a message; that a duplicate be ignored is not in the protocol."""
    start_at = request.start_at
    replace = request.reuse.replace
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=map(status_number, replace))
    return pb.CreateInstanceRequest(
        instanceId=instance_id,
        name=request.name,
        version=text_value(request.version),
        input=text_value(request.input),
        scheduledStartTimestamp=None if start_at is None else timestamp(start_at),
        orchestrationIdReusePolicy=policy if replace else None,
        tags=request.tags,
    )


def read_start(message: pb.CreateInstanceRequest) -> Start:
    """The request of a message.

    An empty input and a start at the epoch mean that none was given.

    Raises:
        ValueError: the reuse policy lets running instances be replaced, but not TERMINATED ones,
            which they would be by then; or a status is unknown.
    """
    replace = read_statuses(message.orchestrationIdReusePolicy.replaceableStatus)
    alive = replace - FINISHED
    if alive and OrchestrationStatus.TERMINATED not in replace:
        raise ValueError(
            "a reuse policy cannot exclude 'Terminated' while also allowing reuse of running "
            "instances: they are terminated before they are replaced"
        )
    start_at = read_instant(message.scheduledStartTimestamp)
    request = StartRequest(
        name=message.name,
        instance_id=message.instanceId or None,
        input=optional_text(message, "input"),
        version=optional_text(message, "version"),
        tags=read_tags(message.tags),
        start_at=start_at if start_at > 0 else None,
        reuse=ReusePolicy(replace=replace & FINISHED),
    )
    return Start(request, alive)
