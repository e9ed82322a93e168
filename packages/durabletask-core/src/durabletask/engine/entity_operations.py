"""Running the operations of an entity, from the texts of a work item to those of its outcome.

Each operation commits or rolls back its state and what it asks for by itself: what it does is
collected by its own context, and taken over only if it returns (rule *entity-serial*).
"""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any

from durabletask.actions import EntityAction, SignalEntity, StartOrchestration
from durabletask.arguments import checked_entity
from durabletask.backend.workitem import EntityResult, OperationResult
from durabletask.engine.clock import due_at, from_micros
from durabletask.engine.failure import failure_of
from durabletask.engine.target import ORCHESTRATIONS
from durabletask.entities import EntityId
from durabletask.errors import ArgumentTypeError, EntityOperationError, SerializationError
from durabletask.history import EntityOperationCalled
from durabletask.limits import check_instance_id, check_text, checked_tags
from durabletask.serialization import DEFAULT_CONVERTER
from durabletask.task import EntityContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from durabletask.backend.workitem import EntityWorkItem
    from durabletask.engine.entity import Operation
    from durabletask.engine.registry import EntityRegistration, OperationShape
    from durabletask.serialization import DataConverter

__all__ = ["RuntimeEntityContext", "run_entity"]

_VALUES = (int, float, list, dict, tuple, set)
"""Whose values are no types, but defaults that came too early."""


async def run_entity(
    registration: EntityRegistration,
    item: EntityWorkItem,
    converter: DataConverter = DEFAULT_CONVERTER,
    *,
    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, GeneratorExit),
) -> EntityResult:
    """Run the operations of an item one after the other.

    Whatever an operation raises becomes its failure, and the next one finds what there was before.

    Args:
        passing: what is raised instead of being an operation's failure; then nothing of the item
            has happened.
    """
    state = item.state
    entity_id = EntityId.parse(item.instance_id)
    results: list[OperationResult] = []
    actions: list[EntityAction] = []
    for position, operation in enumerate(item.operations):
        context = RuntimeEntityContext(entity_id, item, position, operation, state, converter)
        try:
            call = _call(registration, operation, context, converter)
            if inspect.isawaitable(call):
                call = await call
            where = f"the result of operation {operation.operation!r} of entity '{entity_id}'"
            result = OperationResult(converter.serialize(call, where=where))
        except passing:
            raise
        except BaseException as error:
            hopeless = isinstance(error, (SerializationError, EntityOperationError))
            failure = failure_of(error, non_retriable=hopeless)
            results.append(OperationResult(failure=failure))
        else:
            results.append(result)
            state = context.text
            actions += context.actions
        finally:
            context.closed = True
    return EntityResult(results, actions, state)


def _call(
    registration: EntityRegistration,
    operation: Operation,
    context: RuntimeEntityContext,
    converter: DataConverter,
) -> Any:
    shape = registration.operation(operation.operation)
    if shape is None:
        if operation.operation.lower() == "delete":
            return context.delete_state()
        known = ", ".join(sorted({s.function.__name__ for s in registration.operations.values()}))
        raise EntityOperationError(
            f"entity {registration.name!r} has no operation {operation.operation!r}; it has: "
            f"{known}"
        )
    first: Any = context
    if registration.whole is None:
        first = registration.source()
        first.entity_context = context
    return shape.function(*_arguments(first, shape, operation, registration.name, converter))


def _arguments(
    first: Any, shape: OperationShape, operation: Operation, name: str, converter: DataConverter
) -> tuple[Any, ...]:
    if not shape.takes_input or (operation.input is None and shape.has_default):
        return (first,)
    where = f"the input of operation {operation.operation!r} of entity {name!r}"
    return (first, converter.deserialize(operation.input, shape.input_type, where=where))


class RuntimeEntityContext(EntityContext):
    """The context of one operation.

    Attributes:
        text: the state after what the operation has done so far.
        actions: what it has asked for so far.
        closed: it is over; calls do nothing any more.
    """

    __slots__ = (
        "_converter",
        "_entity_id",
        "_item",
        "_operation",
        "_position",
        "actions",
        "closed",
        "text",
    )

    def __init__(
        self,
        entity_id: EntityId,
        item: EntityWorkItem,
        position: int,
        operation: Operation,
        text: str | None,
        converter: DataConverter,
    ) -> None:
        self._entity_id = entity_id
        self._item = item
        self._position = position
        self._operation = operation
        self._converter = converter
        self.text = text
        self.actions: list[EntityAction] = []
        self.closed = False

    @property
    def entity_id(self) -> EntityId:
        return self._entity_id

    @property
    def operation(self) -> str:
        return self._operation.operation

    @property
    def caller_id(self) -> str | None:
        if isinstance(self._operation, EntityOperationCalled) and self._operation.caller:
            return self._operation.caller.instance_id
        return None

    @property
    def current_utc_datetime(self) -> datetime:
        return from_micros(self._item.started_at)

    def get_state(self, type: Any = None, default: Any = None) -> Any:
        if isinstance(type, _VALUES):
            raise ArgumentTypeError(
                f"get_state takes a type first, and then what is given if there is no state: write "
                f"get_state({type.__class__.__name__}, {type!r}), not get_state({type!r})"
            )
        if self.text is None:
            return default
        where = f"the state of entity '{self._entity_id}'"
        return self._converter.deserialize(self.text, type, where=where)

    def set_state(self, state: Any) -> None:
        where = f"the state of entity '{self._entity_id}'"
        text = None if state is None else self._converter.serialize(state, where=where)
        if not self.closed:
            self.text = text

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        target = checked_entity(entity_id, "signal_entity")
        check_text(operation, "the name of an operation")
        at = None if signal_time is None else self._due(signal_time, "the signal_time of a signal")
        where = f"the input of operation {operation!r} of entity '{target}'"
        text = self._converter.serialize(input, where=where)
        if not self.closed:
            self.actions.append(SignalEntity(0, target, operation, text, at))

    def schedule_new_orchestration(
        self,
        orchestration: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | timedelta | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        target = ORCHESTRATIONS.resolve(orchestration)
        if instance_id is None:
            instance_id = self._new_id()
        check_instance_id(instance_id)
        kept = None if tags is None else checked_tags(tags)
        at = None if start_at is None else self._due(start_at, "the start_at of an orchestration")
        text = self._converter.serialize(input, where=target.input_place)
        if not self.closed:
            version = target.version if version is None else version
            start = StartOrchestration(target.name, instance_id, text, version, kept, at)
            self.actions.append(start)
        return instance_id

    def _due(self, when: datetime | timedelta, what: str) -> int:
        return due_at(when, self._item.started_at, what)

    def _new_id(self) -> str:
        """An id that no other call has, and this one has again if the turn is made again."""
        item = self._item
        cause = f"{item.execution_id}:{item.sequence}:{self._position}:{len(self.actions)}"
        return hashlib.blake2b(cause.encode(), digest_size=16).hexdigest()
