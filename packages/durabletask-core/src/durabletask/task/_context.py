"""What an orchestrator can ask of its context."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    import logging
    import random
    import uuid
    from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
    from datetime import datetime, timedelta

    from durabletask.entities import EntityId
    from durabletask.task._activity_context import ActivityContext
    from durabletask.task._entities import EntityLockTask
    from durabletask.task._retry import RetryPolicy
    from durabletask.task._tasks import EventTask, Task, TimerTask

    Logger = logging.Logger | logging.LoggerAdapter[Any]

__all__ = ["OrchestrationContext"]

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")
YieldT = TypeVar("YieldT")
SendT = TypeVar("SendT")


class OrchestrationContext(ABC):
    """The orchestrator's only door to the world; everything it offers is deterministic.

    Calls return tasks at once, without waiting; ``yield`` or ``await`` a task to wait for it.
    Every scheduling call takes the next number of the execution, from 1; a wait for an event takes
    none, except for the timer of its timeout. Inputs are serialized at the call, so a value
    changed afterwards is sent as it was.

    After ``continue_as_new``, and while an abandoned orchestrator is being closed, calls do
    nothing and return tasks that never finish.
    """

    __slots__ = ()

    # --- who and when --------------------------------------------------------------------------

    @property
    @abstractmethod
    def instance_id(self) -> str:
        """Id of this instance."""

    @property
    @abstractmethod
    def execution_id(self) -> str:
        """Id of this execution; ``continue_as_new`` begins another one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name the orchestration is registered under."""

    @property
    @abstractmethod
    def version(self) -> str | None:
        """Version this instance was started with, or None."""

    @property
    @abstractmethod
    def parent_instance_id(self) -> str | None:
        """Id of the instance that called this one as a sub-orchestration, or None."""

    @property
    @abstractmethod
    def tags(self) -> Mapping[str, str]:
        """Tags this instance was started with; read-only."""

    @property
    @abstractmethod
    def is_replaying(self) -> bool:
        """Whether what happens now has happened before and is only being repeated."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """The orchestration's clock, aware UTC. It stands still until the next wait is over."""

    # --- what can be waited for ----------------------------------------------------------------

    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, InputT], Coroutine[Any, Any, ResultT]],
        *,
        input: InputT,
        retry_policy: RetryPolicy | None = None,
        return_type: None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext], Coroutine[Any, Any, ResultT]],
        *,
        retry_policy: RetryPolicy | None = None,
        return_type: None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, InputT], ResultT],
        *,
        input: InputT,
        retry_policy: RetryPolicy | None = None,
        return_type: None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext], ResultT],
        *,
        retry_policy: RetryPolicy | None = None,
        return_type: None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_activity(
        self,
        activity: str | Callable[..., Any],
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        return_type: type[ResultT],
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        return_type: Any = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]: ...
    @abstractmethod
    def call_activity(
        self,
        activity: str | Callable[..., Any],
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        return_type: Any = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Run an activity; it starts when this turn is durable.

        Args:
            activity: the function, or its registered name.
            input: what it gets as its second argument.
            retry_policy: how to try again when it fails; its number stays the same.
            return_type: the type to rebuild the result as, instead of the activity's annotation.
            version: instead of the version in the activity's decorator.
            tags: shown to the activity.

        Returns:
            A task with the activity's result; it fails with TaskFailedError.

        Raises:
            SerializationError: ``input`` cannot be serialized.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext, InputT], Generator[YieldT, SendT, ResultT]],
        *,
        input: InputT,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext], Generator[YieldT, SendT, ResultT]],
        *,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext, InputT], Coroutine[Any, Any, ResultT]],
        *,
        input: InputT,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext], Coroutine[Any, Any, ResultT]],
        *,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext, InputT], ResultT],
        *,
        input: InputT,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: Callable[[OrchestrationContext], ResultT],
        *,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: None = None,
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: type[ResultT],
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestration(
        self,
        orchestration: str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: Any = None,
    ) -> Task[Any]: ...
    @abstractmethod
    def call_sub_orchestration(
        self,
        orchestration: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: Any = None,
    ) -> Task[Any]:
        """Start another orchestration as a child and wait for its outcome.

        Args:
            orchestration: the function, or its registered name.
            input: the child's input.
            instance_id: the child's id; derived from this instance and the call by default.
            retry_policy: how to try again when it fails; a new run replaces the failed one and
                keeps its id, version and tags.
            version: instead of the version in the decorator, or of the worker's default.
            tags: the child's tags.
            return_type: the type to rebuild the result as, instead of the annotation.

        Returns:
            A task with the child's result; it fails with TaskFailedError, also when the child is
            terminated or its id is taken.

        Raises:
            SerializationError: ``input`` cannot be serialized.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: type[ResultT],
    ) -> Task[ResultT]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: Any = None,
    ) -> Task[Any]: ...
    def call_sub_orchestrator(
        self,
        orchestrator: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: Any = None,
    ) -> Task[Any]:
        """Another spelling of :meth:`call_sub_orchestration`."""
        call: Any = self.call_sub_orchestration
        task: Task[Any] = call(
            orchestrator,
            input=input,
            instance_id=instance_id,
            retry_policy=retry_policy,
            version=version,
            tags=tags,
            return_type=return_type,
        )
        return task

    @abstractmethod
    def create_timer(self, fire_at: timedelta | datetime) -> TimerTask:
        """Wait durably: for a time from now on the orchestration's clock, or until an instant.

        A naive datetime means UTC; a time that has passed fires at once.

        Raises:
            InvalidRequestError: beyond the year 9999.
            ArgumentTypeError: neither a timedelta nor a datetime.
        """

    @overload
    def wait_for_external_event(
        self,
        name: str,
        *,
        data_type: type[ResultT],
        return_type: None = None,
        timeout: timedelta | None = None,
    ) -> EventTask[ResultT]: ...
    @overload
    def wait_for_external_event(
        self,
        name: str,
        *,
        data_type: None = None,
        return_type: type[ResultT],
        timeout: timedelta | None = None,
    ) -> EventTask[ResultT]: ...
    @overload
    def wait_for_external_event(
        self,
        name: str,
        *,
        data_type: Any = None,
        return_type: Any = None,
        timeout: timedelta | None = None,
    ) -> EventTask[Any]: ...
    @abstractmethod
    def wait_for_external_event(
        self,
        name: str,
        *,
        data_type: Any = None,
        return_type: Any = None,
        timeout: timedelta | None = None,
    ) -> EventTask[Any]:
        """Wait for one external event; its payload is the result.

        Events of a name, and the waits for it, are matched first in, first out; the case of the
        name does not matter. An event that came earlier finishes the task at once.

        Args:
            name: name of the event, not blank.
            data_type: type to rebuild the payload as; ``return_type`` is another spelling.
            timeout: the task fails with TimeoutError if no event has come by then.

        Raises:
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    # --- entities ------------------------------------------------------------------------------

    @overload
    def call_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        return_type: type[ResultT],
    ) -> Task[ResultT]: ...
    @overload
    def call_entity(
        self, entity_id: EntityId, operation: str, input: Any = None, *, return_type: Any = None
    ) -> Task[Any]: ...
    @abstractmethod
    def call_entity(
        self, entity_id: EntityId, operation: str, input: Any = None, *, return_type: Any = None
    ) -> Task[Any]:
        """Run an operation of an entity and wait for its outcome.

        An entity deals with what it is asked for in the order of arrival, one after the other. It
        comes into being with the first operation.

        Args:
            entity_id: which entity.
            operation: its name; where the entity is a class, the name of a method.
            input: what the operation gets.
            return_type: the type to rebuild the result as.

        Returns:
            A task with the operation's result; it fails with TaskFailedError.

        Raises:
            EntityLockError: a critical section is held that the entity does not belong to, or in
                which another call of it is under way.
            SerializationError: ``input`` cannot be serialized.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    @abstractmethod
    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Have an entity run an operation; nobody waits for it, and nobody hears if it fails.

        Signals and calls from one orchestration to one entity arrive in the order in which they
        were sent, but for those with a ``signal_time``.

        Args:
            signal_time: not before this instant (naive means UTC), or this much from now on the
                orchestration's clock.

        Raises:
            EntityLockError: the entity is locked by this orchestration; call it instead.
            SerializationError: ``input`` cannot be serialized.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    @abstractmethod
    def lock_entities(self, entity_ids: Iterable[EntityId]) -> EntityLockTask:
        """Enter a critical section: wait until all these entities are locked by this execution.

        They are locked one after the other in the same order by everybody, so orchestrations that
        lock the same entities never wait for each other in a ring. While it lasts, what others ask
        of the entities waits, and this orchestration calls no other entities, signals none of
        these, and asks for no other lock. The end of the execution leaves the section as well:
        completion, failure, termination and continue_as_new.

        Returns:
            A task whose result is the :class:`EntityLock`, to be left by ``with``. In an
            ``async def``, ``async with`` the task itself.

        Raises:
            EntityLockError: a lock is held or asked for already.
            InvalidRequestError, ArgumentTypeError: there is no entity, or one is unusable.

        Example::

            with (yield ctx.lock_entities([source, target])):
                if (yield ctx.call_entity(source, "withdraw", 5)):
                    yield ctx.call_entity(target, "deposit", 5)
        """

    # --- what needs no waiting -----------------------------------------------------------------

    @abstractmethod
    def send_event(self, instance_id: str, event_name: str, *, data: Any = None) -> None:
        """Raise an external event on another instance; dropped if there is none with this id.

        Raises:
            SerializationError: ``data`` cannot be serialized.
            InvalidRequestError, ArgumentTypeError: an argument is unusable.
        """

    @abstractmethod
    def continue_as_new(
        self, new_input: Any, *, save_events: bool = False, new_version: str | None = None
    ) -> None:
        """End this execution at the next yield or return, and begin a new one with fresh history.

        What was scheduled before in this turn is still sent. The return value and later calls are
        ignored. An exception raised after this call still fails the instance.

        Args:
            new_input: input of the new execution.
            save_events: carry external events that nothing waited for over, in order.
            new_version: version of the new execution; None keeps this one.

        Raises:
            SerializationError: ``new_input`` cannot be serialized.
        """

    @abstractmethod
    def set_custom_status(self, custom_status: Any) -> None:
        """Publish a value that clients can read while the instance runs; None clears it.

        Raises:
            SerializationError: it cannot be serialized; the status stays as it was.
        """

    @abstractmethod
    def is_patched(self, patch_id: str) -> bool:
        """Whether this execution takes the new path of a change to its code.

        True when it is first asked in a turn that has not happened before: history then records
        the patch. False when it is first asked while replaying turns of a history that has not
        recorded it: those were made by the code from before the change, and what follows has to
        fit them. The first answer holds for the rest of the execution. A new execution, from
        ``continue_as_new``, asks anew. It is no scheduling call and takes no number.

        A patch whose question was removed from the code, because no old execution is left, leaves
        a mark in history that means nothing any more.

        Args:
            patch_id: 1 to 256 characters; the same text is the same patch, everywhere in this
                orchestrator.

        Raises:
            InvalidRequestError, ArgumentTypeError: the id is unusable.
            CapabilityError: the backend is a service whose histories cannot record it.

        Example::

            if ctx.is_patched("check-for-fraud"):
                yield ctx.call_activity(check_for_fraud, input=order)
            yield ctx.call_activity(charge, input=order)
        """

    # --- deterministic chance and quiet logs ---------------------------------------------------

    @abstractmethod
    def new_uuid(self) -> uuid.UUID:
        """A new UUID, the same one at every replay."""

    @property
    @abstractmethod
    def random(self) -> random.Random:
        """A random generator that gives the same numbers at every replay. Not for secrets."""

    @property
    @abstractmethod
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Logger ``durabletask.orchestration``, silent while replaying."""

    @abstractmethod
    def create_replay_safe_logger(self, logger: Logger) -> logging.LoggerAdapter[Any]:
        """``logger``, silent while replaying, its records marked with the instance id."""
