"""The client: start, watch, signal and remove orchestration instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from durabletask.arguments import check_type, checked_entity, checked_query, microseconds, seconds
from durabletask.backend import ReusePolicy, StartRequest
from durabletask.entities import EntityId, EntityPage, EntityQuery, EntityState
from durabletask.errors import ArgumentTypeError, BackendClosedError
from durabletask.limits import checked_tags
from durabletask.plugins import SharedBackend
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter
from durabletask.state import OrchestrationQuery, Page, PurgeResult
from durabletask.task._decorators import definition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime, timedelta
    from types import TracebackType

    from durabletask.backend import Backend
    from durabletask.history import HistoryEvent
    from durabletask.plugins import Lease
    from durabletask.plugins.sharing import Borrowed
    from durabletask.state import OrchestrationState

__all__ = ["ReusePolicy", "TaskHubClient"]

_REFUSE = ReusePolicy()


class TaskHubClient:
    """Manages the orchestrations of one task hub.

    Works at once and leaks nothing, with or without ``async with``; ``async with`` keeps the
    backend open between calls and is a little faster. A client and a worker with the same URL in
    one process share one open backend.

    Args:
        url: where the orchestrations live, e.g. ``sqlite:///orders.db``. None takes the
            environment's ``DURABLETASK_URL``, then ``sqlite:///durabletask.db``.
        backend: a Backend object built by hand, instead of a URL.
        task_hub_name: the task hub, if the URL does not name one.
        data_converter: turns inputs and outputs into JSON and back.
        default_version: version of instances that are started without one and have none in their
            decorator.

    Raises:
        BackendUrlError, BackendNotFoundError, ConfigurationError: the URL or backend is unusable.
        ArgumentTypeError: an argument is of the wrong type; calls raise it as well.

    Example::

        client = TaskHubClient("sqlite:///orders.db")
        instance_id = await client.schedule_new_orchestration(process_order, input=order)
        state = await client.wait_for_orchestration_completion(instance_id)
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        backend: Backend | None = None,
        task_hub_name: str | None = None,
        data_converter: DataConverter = DEFAULT_CONVERTER,
        default_version: str | None = None,
    ) -> None:
        check_type(data_converter, DataConverter, "data_converter", "a DataConverter object")
        check_type(default_version, str | None, "default_version", "text or None")
        self._shared = SharedBackend(url, backend=backend, task_hub_name=task_hub_name)
        self._converter = data_converter
        self._default_version = default_version
        self._held: _Held | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"TaskHubClient({self._shared!r})"

    # --- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._closed:
            raise BackendClosedError("this client was closed; make a new one")
        if self._held is None:
            self._held = _Held(await self._shared.acquire())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the backend back; the client cannot be used any more. Idempotent."""
        self._closed = True
        held, self._held = self._held, None
        if held is not None:
            await held.lease.release()

    def _backend(self) -> Borrowed | _Held:
        if self._held is not None:
            return self._held
        if self._closed:
            raise BackendClosedError("this client was closed; make a new one")
        return self._shared.borrow()

    def _decoding(self, state: OrchestrationState) -> OrchestrationState:
        if self._converter is DEFAULT_CONVERTER:
            return state
        return msgspec.structs.replace(state, converter=self._converter)

    # --- starting ------------------------------------------------------------------------------

    async def schedule_new_orchestration(
        self,
        orchestration: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | timedelta | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        reuse_id_policy: ReusePolicy | None = None,
        connection: object = None,
    ) -> str:
        """Start an instance; it exists durably when this returns.

        Args:
            orchestration: the decorated function, or its registered name.
            input: any value the data converter can write.
            instance_id: 1 to 256 characters; None chooses one.
            start_at: not before this instant (naive means UTC), or this much from now.
            version: what ``ctx.version`` shows; None takes the decorator's, else the client's
                ``default_version``.
            tags: text to text, kept with the instance and usable in queries.
            reuse_id_policy: what to do if the id is taken; None refuses.
            connection: start it as part of the transaction that is open on this connection to the
                backend's database: it exists if and when that is committed. An
                ``asyncpg.Connection`` for PostgreSQL, a ``sqlite3.Connection`` for SQLite.

        Returns:
            The instance id.

        Raises:
            InstanceAlreadyExistsError: the id is taken, finished or not.
            CapabilityError: the backend cannot start within a transaction of others.
            SerializationError, PayloadTooLargeError: the input cannot be stored.
            InvalidRequestError, ArgumentTypeError: an argument is unusable. In each case nothing
                was written.
        """
        name, own_version = _name_and_version(orchestration)
        if version is not None:
            check_type(version, str, "version", "text or None")
        if reuse_id_policy is not None:
            check_type(reuse_id_policy, ReusePolicy, "reuse_id_policy", "a ReusePolicy or None")
        if version is None:
            version = self._default_version if own_version is None else own_version
        request = StartRequest(
            name=name,
            instance_id=instance_id,
            input=self._converter.serialize(input, where=f"the input of orchestration {name!r}"),
            version=version,
            tags=None if tags is None else checked_tags(tags) or None,
            start_at=microseconds(start_at),
            reuse=reuse_id_policy or _REFUSE,
        )
        async with self._backend() as backend:
            if reuse_id_policy is not None and reuse_id_policy != _REFUSE:
                backend.capabilities.require("reuse_policy")
            if connection is not None:
                return await backend.create_instance_within(request, connection)
            return await backend.create_instance(request)

    # --- watching ------------------------------------------------------------------------------

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """The state now, or None if there is no such instance.

        ``fetch_payloads=False`` leaves input, output and custom status out.
        """
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            state = await backend.get_instance(instance_id, fetch_payloads=fetch_payloads)
        return None if state is None else self._decoding(state)

    async def wait_for_orchestration_start(
        self, instance_id: str, *, timeout: timedelta | float | None = None
    ) -> OrchestrationState:
        """Wait until the instance is no longer PENDING.

        Args:
            timeout: a timedelta or seconds; None waits for ever.

        Raises:
            TimeoutError: it is still PENDING. Nothing is cancelled.
            InstanceNotFoundError: there is no such instance, or it was purged meanwhile.
        """
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            return self._decoding(await backend.wait_for_start(instance_id, seconds(timeout)))

    async def wait_for_orchestration_completion(
        self, instance_id: str, *, timeout: timedelta | float | None = None
    ) -> OrchestrationState:
        """Wait until the instance is COMPLETED, FAILED or TERMINATED. Raises as above."""
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            return self._decoding(await backend.wait_for_completion(instance_id, seconds(timeout)))

    async def get_orchestration_history(self, instance_id: str) -> list[HistoryEvent]:
        """The committed history of the current execution.

        Raises:
            InstanceNotFoundError, CapabilityError.
        """
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            backend.capabilities.require("history")
            return await backend.get_history(instance_id)

    async def query_orchestrations(self, query: OrchestrationQuery | None = None) -> Page:
        """One page of the instances that match, ordered by creation time, then id.

        Raises:
            CapabilityError, InvalidRequestError.
        """
        query = OrchestrationQuery() if query is None else checked_query(query)
        async with self._backend() as backend:
            backend.capabilities.require("query")
            page = await backend.query_instances(query)
        return Page([self._decoding(state) for state in page.items], page.continuation_token)

    async def iter_orchestrations(
        self, query: OrchestrationQuery | None = None
    ) -> AsyncIterator[OrchestrationState]:
        """All instances that match, page after page."""
        query = OrchestrationQuery() if query is None else checked_query(query)
        while True:
            page = await self.query_orchestrations(query)
            for state in page.items:
                yield state
            if page.continuation_token is None:
                return
            query = msgspec.structs.replace(query, continuation_token=page.continuation_token)

    # --- signalling ----------------------------------------------------------------------------

    async def raise_event(self, instance_id: str, event_name: str, data: Any = None) -> None:
        """Deliver an external event, durably; an instance that has finished drops it.

        Event names match without regard to case. Events wait until somebody asks for them.

        Raises:
            InstanceNotFoundError, InvalidRequestError, SerializationError: nothing was written.
        """
        check_type(instance_id, str, "an instance id", "text")
        payload = self._converter.serialize(data, where=f"the data of event {event_name!r}")
        async with self._backend() as backend:
            await backend.raise_event(instance_id, event_name, payload)

    async def suspend_orchestration(self, instance_id: str, reason: str | None = None) -> None:
        """Suspend; what arrives meanwhile is kept in order. No-op if suspended or finished."""
        check_type(instance_id, str, "an instance id", "text")
        check_type(reason, str | None, "reason", "text or None")
        async with self._backend() as backend:
            await backend.suspend_instance(instance_id, reason)

    async def resume_orchestration(self, instance_id: str, reason: str | None = None) -> None:
        """Resume a suspended instance, or release one that was set aside. Else a no-op."""
        check_type(instance_id, str, "an instance id", "text")
        check_type(reason, str | None, "reason", "text or None")
        async with self._backend() as backend:
            await backend.resume_instance(instance_id, reason)

    async def terminate_orchestration(
        self, instance_id: str, reason: Any = None, *, recursive: bool = True
    ) -> None:
        """End the instance as TERMINATED with ``reason`` as its output; no-op when finished.

        ``recursive`` ends its unfinished sub-orchestrations too. Running activities are not
        interrupted; their results are dropped.
        """
        check_type(instance_id, str, "an instance id", "text")
        output = self._converter.serialize(reason, where="the reason of a termination")
        async with self._backend() as backend:
            await backend.terminate_instance(instance_id, output, recursive=recursive)

    # --- entities ------------------------------------------------------------------------------

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Send an operation to an entity, durably; nobody hears of its outcome.

        The entity comes into being if need be. It runs what it is sent in the order of arrival.

        Args:
            operation: its name; where the entity is a class, the name of a method.
            input: any value the data converter can write.
            signal_time: not before this instant (naive means UTC), or this much from now.

        Raises:
            CapabilityError: the backend has no entities.
            SerializationError, PayloadTooLargeError, InvalidRequestError, ArgumentTypeError:
                nothing was written.
        """
        target = checked_entity(entity_id, "signal_entity")
        text = self._converter.serialize(
            input, where=f"the input of operation {operation!r} of entity {target!r}"
        )
        at = microseconds(signal_time, "signal_time")
        async with self._backend() as backend:
            backend.capabilities.require("entities")
            await backend.signal_entity(target, operation, text, at)

    async def get_entity(
        self, entity_id: EntityId, *, include_state: bool = True
    ) -> EntityState | None:
        """The entity now, or None if it does not exist, has been deleted, or has yet to begin.

        Raises:
            CapabilityError: the backend has no entities.
        """
        target = checked_entity(entity_id, "get_entity")
        async with self._backend() as backend:
            backend.capabilities.require("entities")
            state = await backend.get_entity(target, include_state=include_state)
        return None if state is None else msgspec.structs.replace(state, converter=self._converter)

    async def query_entities(self, query: EntityQuery | None = None) -> EntityPage:
        """One page of the entities that match; a page may hold less than its size.

        Raises:
            CapabilityError, InvalidRequestError.
        """
        query = EntityQuery() if query is None else query
        check_type(query, EntityQuery, "query", "an EntityQuery")
        async with self._backend() as backend:
            backend.capabilities.require("entities")
            page = await backend.query_entities(query)
        items = [msgspec.structs.replace(state, converter=self._converter) for state in page.items]
        return EntityPage(items, page.continuation_token)

    async def iter_entities(self, query: EntityQuery | None = None) -> AsyncIterator[EntityState]:
        """All entities that match, page after page."""
        query = EntityQuery() if query is None else query
        while True:
            page = await self.query_entities(query)
            for state in page.items:
                yield state
            if page.continuation_token is None:
                return
            query = msgspec.structs.replace(query, continuation_token=page.continuation_token)

    async def clean_entity_storage(self) -> int:
        """Remove entities that have no state, no lock and nothing to do; returns how many.

        Backends remove them by themselves, some time after a worker has last used them.

        Raises:
            CapabilityError: the backend has no entities.
        """
        async with self._backend() as backend:
            backend.capabilities.require("entities")
            return await backend.clean_entity_storage()

    # --- running again -------------------------------------------------------------------------

    async def restart_orchestration(
        self, instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> str:
        """Run a finished instance again with its name, input, version and tags.

        Args:
            restart_with_new_instance_id: leave the old instance as it is; else the new execution
                replaces it.

        Returns:
            The id of the instance that runs.

        Raises:
            InstanceNotFoundError, CapabilityError.
            OrchestrationStateError: it has not finished.
        """
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            backend.capabilities.require("restart")
            return await backend.restart_instance(instance_id, new_id=restart_with_new_instance_id)

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a FAILED instance go on from before it failed.

        The activities and sub-orchestrations that it failed of run again; what had succeeded
        stays done. Mend what was the matter first: the code, or the world outside.

        Args:
            reason: kept in the history, for its readers.

        Raises:
            InstanceNotFoundError, CapabilityError.
            OrchestrationStateError: it is not FAILED, a sub-orchestration that it would wait for
                still runs, or it held a lock of entities where it would go on. Nothing was
                written.
        """
        check_type(instance_id, str, "an instance id", "text")
        check_type(reason, str | None, "reason", "text or None")
        async with self._backend() as backend:
            backend.capabilities.require("rewind")
            await backend.rewind_instance(instance_id, reason)

    # --- removing ------------------------------------------------------------------------------

    async def purge_orchestration(
        self, instance_id: str, *, recursive: bool = False
    ) -> PurgeResult:
        """Delete a finished instance with its history; one that runs is left alone (count 0)."""
        check_type(instance_id, str, "an instance id", "text")
        async with self._backend() as backend:
            return await backend.purge_instances(instance_id, recursive=recursive)

    async def purge_orchestrations_by(
        self, query: OrchestrationQuery, *, recursive: bool = False
    ) -> PurgeResult:
        """Delete all finished instances that match, in small steps."""
        query = checked_query(query)
        async with self._backend() as backend:
            backend.capabilities.require("query")
            return await backend.purge_instances(query, recursive=recursive)


class _Held:
    """The backend of a client inside ``async with``: each call just uses it."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease

    async def __aenter__(self) -> Backend:
        return self.lease.backend

    async def __aexit__(self, *error: object) -> None:
        pass


def _name_and_version(orchestration: Callable[..., Any] | str) -> tuple[str, str | None]:
    if isinstance(orchestration, str):
        return orchestration, None
    if callable(orchestration):
        definition = definition_of(orchestration)
        return definition.name, definition.version
    raise ArgumentTypeError(
        f"orchestration must be a function or a name, not {type(orchestration).__name__}"
    )
