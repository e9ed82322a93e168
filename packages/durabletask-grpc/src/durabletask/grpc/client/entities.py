"""The work of entities as it arrives over the wire, and as it goes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from durabletask.backend import EntityResult, OperationResult
from durabletask.engine import failure_of
from durabletask.errors import InvalidRequestError
from durabletask.grpc.convert import (
    entity_item,
    operation_infos,
    result_message,
    started_with_tags,
)
from durabletask.grpc.extensions import TAGS

if TYPE_CHECKING:
    from durabletask.backend import EntityWorkItem
    from durabletask.grpc.client.connection import Metadata
    from durabletask.grpc.protocol import pb

__all__ = ["EntityTicket", "operations_item", "outcome_message", "refused_outcome", "tags_told"]


class EntityTicket(NamedTuple):
    """The token of a work item of an entity.

    Attributes:
        completion: the server's completion token.
        tells_callers: the request has said who calls, and the answer has to say so again.
    """

    completion: str
    tells_callers: bool


def operations_item(message: pb.WorkItem) -> EntityWorkItem:
    """The work item of a message, in whichever form the operations come.

    Raises:
        InvalidRequestError: it is of no entity.
    """
    tells_callers = message.HasField("entityRequestV2")
    request = message.entityRequestV2 if tells_callers else message.entityRequest
    ticket = EntityTicket(message.completionToken, tells_callers)
    return entity_item(request, time.time_ns() // 1000, ticket)


def outcome_message(item: EntityWorkItem, result: EntityResult) -> pb.EntityBatchResult:
    """The answer to a work item."""
    message = result_message(result, item.started_at, time.time_ns() // 1000)
    message.completionToken = item.token.completion
    if item.token.tells_callers:
        message.operationInfos.extend(operation_infos(item))
    return message


def tags_told(result: EntityResult) -> Metadata:
    """The tags of the orchestrations that are started, for which the answer has no place."""
    tags = started_with_tags(result.actions)
    return ((TAGS, msgspec.json.encode(tags)),) if tags else ()


def refused_outcome(item: EntityWorkItem, reason: str) -> pb.EntityBatchResult:
    """The answer in place of one that the server does not take: all operations have failed."""
    error = InvalidRequestError(f"the sidecar refuses the outcome: {reason}")
    failed = OperationResult(failure=failure_of(error, non_retriable=True))
    return outcome_message(item, EntityResult([failed] * len(item.operations), [], item.state))
