"""Operations of entities that a test calls itself, by orchestrations that do nothing else."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from durabletask.arguments import checked_entity
from durabletask.errors import TaskFailedError
from durabletask.limits import check_text
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Generator

    from durabletask.entities import EntityId
    from durabletask.serialization import DataConverter
    from durabletask.state import OrchestrationState
    from durabletask.task import OrchestrationContext

__all__ = ["EntityCalls"]


class _Call(NamedTuple):
    entity_id: EntityId
    operation: str
    input: Any


class EntityCalls:
    """The calls of one test. Inputs stay in this process, so they are serialized as they came.

    Attributes:
        name: by which :meth:`orchestrator` is to be registered.
    """

    name = "durabletask-testing-call"

    def __init__(self, converter: DataConverter) -> None:
        self._converter = converter
        self._calls: dict[str, _Call] = {}
        self._numbers = count(1)

    def add(self, entity_id: EntityId, operation: str, input: Any) -> str:
        """The id under which the call is to be started.

        Raises:
            SerializationError, InvalidRequestError, ArgumentTypeError: it cannot be made.
        """
        call = _Call(entity_id, operation, input)
        checked_entity(entity_id, "call_entity")
        check_text(operation, "the name of an operation")
        self._converter.serialize(input, where=f"the input of {_place(call)}")
        instance_id = f"{self.name}-{next(self._numbers)}"
        self._calls[instance_id] = call
        return instance_id

    def orchestrator(self, ctx: OrchestrationContext) -> Generator[Any, Any, Any]:
        """Makes the call that was added under its id."""
        return (yield ctx.call_entity(*self._calls[ctx.instance_id]))

    def answer(self, state: OrchestrationState, return_type: Any) -> Any:
        """What the call has come to.

        Raises:
            TaskFailedError: the operation failed.
            SerializationError: the answer is no ``return_type``.
        """
        if state.runtime_status is OrchestrationStatus.FAILED:
            failed = state.failure_details
            assert failed is not None and failed.cause is not None, "it fails by its call only"
            raise TaskFailedError(failed.message, failed.cause)
        place = _place(self._calls[state.instance_id])
        return self._converter.deserialize(
            state.serialized_output, return_type, where=f"the answer of {place}"
        )


def _place(call: _Call) -> str:
    return f"operation {call.operation!r} of entity '{call.entity_id}'"
