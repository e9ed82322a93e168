"""What authors of entities work with: a context, a base class, and the lock of an orchestration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from durabletask.errors import OrchestrationStateError
from durabletask.task._tasks import CompletableTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from types import TracebackType

    from durabletask.entities import EntityId

__all__ = ["DurableEntity", "EntityContext", "EntityLock", "EntityLockTask"]

StateT = TypeVar("StateT")


class EntityContext(ABC):
    """One operation of an entity: what was asked for, the state, and what it may cause.

    An operation changes the state, sends signals and starts orchestrations as one: all of it
    happens if the operation returns, and nothing if it raises (rule *entity-serial*).
    """

    __slots__ = ()

    @property
    @abstractmethod
    def entity_id(self) -> EntityId:
        """Which entity this is."""

    @property
    @abstractmethod
    def operation(self) -> str:
        """Name of the operation, as the caller has spelt it."""

    @property
    @abstractmethod
    def caller_id(self) -> str | None:
        """Id of the orchestration that waits for the outcome; None for a signal."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """When this turn of the entity began, by the store's clock; aware UTC."""

    @overload
    def get_state(self, type: type[StateT], default: StateT) -> StateT: ...
    @overload
    def get_state(self, type: type[StateT], default: None = None) -> StateT | None: ...
    @overload
    def get_state(self, type: Any = None, default: Any = None) -> Any: ...
    @abstractmethod
    def get_state(self, type: Any = None, default: Any = None) -> Any:
        """The state as a fresh copy: to change that changes nothing until ``set_state``.

        Args:
            type: what to rebuild it as; None gives plain JSON data.
            default: given if the entity has no state.

        Raises:
            SerializationError: the state does not fit the type.
        """

    @abstractmethod
    def set_state(self, state: Any) -> None:
        """Replace the state. None deletes it; 0, "", [], {} and False are states like others.

        Raises:
            SerializationError, PayloadTooLargeError: it cannot be stored; the state stays.
        """

    def delete_state(self) -> None:
        """Have no state any more. An entity without one that nobody needs is removed."""
        self.set_state(None)

    @abstractmethod
    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Have an operation run by another entity, or by this one later; nobody waits for it.

        Args:
            signal_time: not before this instant (naive means UTC), or this much from now.

        Raises:
            SerializationError, InvalidRequestError, ArgumentTypeError.
        """

    @abstractmethod
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
        """Start an orchestration; if the id is taken, nothing happens.

        Returns:
            The instance id, chosen here if none is given.

        Raises:
            SerializationError, InvalidRequestError, ArgumentTypeError.
        """


class DurableEntity:
    """Base class of entities that are written as classes: each public method is an operation.

    A method takes the input if it has a parameter for it, and may be ``async def``. There is a new
    object for every operation, so what is to last goes into the state. The operation ``delete``
    deletes the state, unless the class has one of its own.

    Example::

        @task.entity
        class Counter(task.DurableEntity):
            def add(self, amount: int) -> int:
                total = self.get_state(int, 0) + amount
                self.set_state(total)
                return total
    """

    __not_data__ = (
        "it is the object of one operation, and not what the entity remembers",
        "Give set_state a value of plain data or a dataclass",
    )
    """Why an entity has no JSON form, and what was meant."""

    @property
    def entity_context(self) -> EntityContext:
        """The context of the operation.

        Raises:
            OrchestrationStateError: no operation runs.
        """
        try:
            return self._entity_context
        except AttributeError:
            raise OrchestrationStateError(
                f"this {type(self).__name__} runs no operation, so it has no context and no state: "
                "they are there while a worker runs a method of it, and not yet in __init__"
            ) from None

    @entity_context.setter
    def entity_context(self, context: EntityContext) -> None:
        self._entity_context = context

    @overload
    def get_state(self, type: type[StateT], default: StateT) -> StateT: ...
    @overload
    def get_state(self, type: type[StateT], default: None = None) -> StateT | None: ...
    @overload
    def get_state(self, type: Any = None, default: Any = None) -> Any: ...
    def get_state(self, type: Any = None, default: Any = None) -> Any:
        """As :meth:`EntityContext.get_state`."""
        return self.entity_context.get_state(type, default)

    def set_state(self, state: Any) -> None:
        """As :meth:`EntityContext.set_state`."""
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """As :meth:`EntityContext.signal_entity`."""
        self.entity_context.signal_entity(entity_id, operation, input, signal_time=signal_time)

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
        """As :meth:`EntityContext.schedule_new_orchestration`."""
        return self.entity_context.schedule_new_orchestration(
            orchestration,
            input=input,
            instance_id=instance_id,
            start_at=start_at,
            version=version,
            tags=tags,
        )

    def delete(self) -> None:
        """Delete the state."""
        self.entity_context.delete_state()


class EntityLock:
    """A critical section: all entities of the lock are held until it is left.

    Given by ``lock_entities`` once they are held. Leave it by ``with``, or with :meth:`release`;
    the end of the execution, whatever it is, leaves it too.

    Example::

        with (yield ctx.lock_entities([source, target])):
            balance = yield ctx.call_entity(source, "get")
            ...

        async with ctx.lock_entities([source, target]):  # the same, in an async def
            balance = await ctx.call_entity(source, "get")
            ...
    """

    __slots__ = ("_release",)

    __not_data__ = (
        "it is the lock of entities, which ends with the execution",
        "Leave it by with, and return what was found out meanwhile",
    )
    """Why a lock has no JSON form, and what was meant."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release

    def release(self) -> None:
        """Give the entities up. Idempotent."""
        self._release()

    def __enter__(self) -> EntityLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()


class EntityLockTask(CompletableTask[EntityLock]):
    """A request for a lock; its result is the :class:`EntityLock`.

    ``async with`` waits for it and leaves the section at the end of the block.
    """

    __slots__ = ()

    async def __aenter__(self) -> EntityLock:
        return await self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.get_result().release()

    # What one does with a lock, done with the request for it: somebody forgot to wait. Hidden from
    # type checkers, who shall tell as well.
    if not TYPE_CHECKING:

        def release(self) -> NoReturn:
            raise OrchestrationStateError(
                "the lock is asked for, but not held yet: write with (yield "
                "ctx.lock_entities(...)), or async with ctx.lock_entities(...) in an async def"
            )

        def __enter__(self) -> NoReturn:
            self.release()

        def __exit__(self, *error: object) -> None:
            pass
