"""What clients and workers of other languages say about entities: bare messages, no SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.grpc.protocol import pb

if TYPE_CHECKING:
    from tests.integration.grpc.peer import Peer

CART = "@cart@ada"


async def signal(peer: Peer, operation: str, entity: str = CART, **more: Any) -> None:
    """As a client."""
    request = pb.SignalEntityRequest(instanceId=entity, name=operation, **more)
    await peer.call("SignalEntity", request)


async def entity(peer: Peer, entity: str = CART, *, include_state: bool = True) -> Any:
    """As a client sees it; None if it does not exist."""
    request = pb.GetEntityRequest(instanceId=entity, includeState=include_state)
    answer = await peer.call("GetEntity", request)
    return answer.entity if answer.exists else None


def done(text: str = "") -> pb.OperationResult:
    """An operation that has returned this."""
    return pb.OperationResult(success=pb.OperationResultSuccess(result={"value": text}))


def failed(text: str) -> pb.OperationResult:
    """An operation that has raised this."""
    details = pb.TaskFailureDetails(errorType="E", errorMessage=text)
    return pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))


async def settle(
    peer: Peer,
    item: pb.WorkItem,
    *results: pb.OperationResult,
    state: str | None = None,
    metadata: dict[str, Any] | None = None,
    **more: Any,
) -> None:
    """Hand operations back."""
    answer = pb.EntityBatchResult(completionToken=item.completionToken, results=results, **more)
    if state is not None:
        answer.entityState.value = state
    await peer.call("CompleteEntityTask", answer, **(metadata or {}))


def message(number: int, **sent: Any) -> pb.OrchestratorAction:
    """A message of an orchestration to an entity."""
    return pb.OrchestratorAction(id=number, sendEntityMessage=pb.SendEntityMessageAction(**sent))


def calling(number: int, operation: str, name: str, entity: str = CART) -> pb.OrchestratorAction:
    """A call by this text."""
    called = pb.EntityOperationCalledEvent(
        requestId=name, operation=operation, targetInstanceId={"value": entity}
    )
    return message(number, entityOperationCalled=called)


def names(item: pb.WorkItem) -> list[str]:
    """The operations of an item in the older form."""
    return [operation.operation for operation in item.entityRequest.operations]


async def has_state(peer: Peer, state: str | None) -> bool:
    """Whether the entity has come to this state."""
    found = await entity(peer)
    return (None if found is None else found.serializedState.value) == state
