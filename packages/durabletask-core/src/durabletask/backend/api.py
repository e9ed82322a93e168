"""Seam 1: what the client and the worker see of a backend.

A backend is an orchestration service: it keeps instances, delivers work items to workers and
takes back *actions*. Storage authors do not implement this; they implement
:class:`durabletask.store.Store`, and ``StoreBackend`` does the rest. Remote services (gRPC)
implement it directly.

All methods are called on one event loop. Errors are those of :mod:`durabletask.errors`; trouble
of the infrastructure is retried inside the backend for as long as that is safe and otherwise
raised as ``BackendUnavailableError``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from durabletask.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from types import TracebackType

    from durabletask.backend.capabilities import Capabilities
    from durabletask.backend.request import StartRequest
    from durabletask.backend.workitem import (
        ActivityResult,
        ActivityWorkItem,
        EntityResult,
        EntityWorkItem,
        OrchestrationResult,
        OrchestrationWorkItem,
        WorkerProfile,
        WorkItem,
    )
    from durabletask.entities import EntityPage, EntityQuery, EntityState
    from durabletask.history import HistoryEvent
    from durabletask.state import OrchestrationQuery, OrchestrationState, Page, PurgeResult

__all__ = ["Backend", "WorkItemSource"]


class WorkItemSource(ABC):
    """The worker half of a backend, for one worker, from ``Backend.open_worker``.

    A hand-over (``complete_*``, ``abandon``, ``park``) never blocks and never fails: the source
    keeps what it was given until it is durable, retries, and forgets it only when another worker
    has taken the work over. Leases are renewed by the source itself.
    """

    @abstractmethod
    async def receive(self) -> list[WorkItem]:
        """Wait for work and return it: at least one item, within the limits of the profile.

        Per instance there is at most one item at a time. Returns an empty list once, when the
        source was told to stop by ``drain``.
        """

    @abstractmethod
    async def load_history(
        self, items: Sequence[OrchestrationWorkItem]
    ) -> list[list[HistoryEvent]]:
        """The committed history of each item's execution, ``item.sequence`` turns of it.

        An item whose ownership was lost meanwhile gets an empty list; drop it.
        """

    @abstractmethod
    def complete_orchestration(
        self, item: OrchestrationWorkItem, result: OrchestrationResult
    ) -> None:
        """Hand a turn back. Everything in it becomes durable atomically, or nothing does."""

    def complete_entity(self, item: EntityWorkItem, result: EntityResult) -> None:
        """Hand the outcome of an entity's operations back. All of it becomes durable, or nothing.

        For backends with the capability ``entities``; the others hand out no such items.
        """
        raise CapabilityError("entities", "this")

    @abstractmethod
    def complete_activity(self, item: ActivityWorkItem, result: ActivityResult) -> None:
        """Hand an activity's outcome back. A second outcome for one item is dropped."""

    @abstractmethod
    def abandon(self, item: WorkItem, delay: float = 0.0) -> None:
        """Give an item back untouched; it comes again, here or elsewhere, after ``delay`` s."""

    @abstractmethod
    def park(self, item: OrchestrationWorkItem | EntityWorkItem, reason: str) -> None:
        """Set the instance aside, its events unconsumed, with a readable reason.

        It is tried again when a worker with other code for its name starts or when
        ``resume_instance`` is called.
        """

    async def flush(self) -> None:
        """Wait until everything handed back so far is durable, or belongs to another worker.

        A source that cannot know returns at once.
        """
        return

    @abstractmethod
    async def drain(self, timeout: float) -> None:
        """Stop handing out work, wait up to ``timeout`` seconds for what is out, give up the rest.

        What was handed back is durable when this returns within the limit. Idempotent.
        """


class Backend(ABC):
    """An orchestration service on one task hub. Use as an async context manager."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do. Known before ``open``."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, check or create the schema. Idempotent.

        Raises:
            BackendUnavailableError, SchemaVersionError: with the remedy. Nothing was written.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything. Idempotent. Workers are to be drained first."""

    async def migrate(self) -> str:
        """Create the storage of the task hub, or bring it up to date for this library.

        For operators, on a backend that is not open; it is not open afterwards either. What a
        service keeps behind its own door is the service's business, so this does nothing unless
        a backend says otherwise.

        Returns:
            One line that says what was found and done.

        Raises:
            BackendUnavailableError, SchemaVersionError: with the remedy.
        """
        return f"the {self.capabilities.name} backend has nothing to migrate"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # --- client half ---------------------------------------------------------------------------

    @abstractmethod
    async def create_instance(self, request: StartRequest) -> str:
        """Start an instance durably and return its id.

        Raises:
            InstanceAlreadyExistsError: the id is taken and ``request.reuse`` does not allow it.
        """

    async def create_instance_within(self, request: StartRequest, connection: object) -> str:
        """As ``create_instance``, as part of a transaction that is open on ``connection``.

        The instance exists if and when the caller commits. For backends with the capability
        ``transactional_start``, which say what a connection is.

        Raises:
            CapabilityError: the backend lacks it.
            ArgumentTypeError, InvalidRequestError: the connection is none, is another database's,
                or has no open transaction.
        """
        raise CapabilityError("transactional_start", self.capabilities.name)

    @abstractmethod
    async def get_instance(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """The state now, or None if there is no such instance."""

    @abstractmethod
    def wait_for_start(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        """Wait until the status is anything but PENDING; ``timeout`` in seconds.

        Raises:
            TimeoutError: nothing is cancelled by it.
            InstanceNotFoundError: at once if there is none, or when it is purged meanwhile.
        """

    @abstractmethod
    def wait_for_completion(
        self, instance_id: str, timeout: float | None
    ) -> Awaitable[OrchestrationState]:
        """As ``wait_for_start``, until COMPLETED, FAILED or TERMINATED."""

    @abstractmethod
    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Deliver an external event; dropped if the instance has finished.

        Raises:
            InstanceNotFoundError: nothing was written.
        """

    @abstractmethod
    async def suspend_instance(self, instance_id: str, reason: str | None) -> None:
        """Suspend; a no-op when suspended or finished. Raises InstanceNotFoundError."""

    @abstractmethod
    async def resume_instance(self, instance_id: str, reason: str | None) -> None:
        """Resume a suspended or parked instance, else a no-op. Raises InstanceNotFoundError."""

    @abstractmethod
    async def terminate_instance(
        self, instance_id: str, output: str | None, *, recursive: bool
    ) -> None:
        """Terminate with ``output`` (JSON text); a no-op when finished.

        ``recursive`` reaches all unfinished descendants. Raises InstanceNotFoundError.
        """

    @abstractmethod
    async def purge_instances(
        self, target: str | OrchestrationQuery, *, recursive: bool
    ) -> PurgeResult:
        """Delete finished instances, one by id or all that match; others are left alone."""

    @abstractmethod
    async def query_instances(self, query: OrchestrationQuery) -> Page:
        """One page of the instances that match, ordered by creation time, then id."""

    @abstractmethod
    async def get_history(self, instance_id: str) -> list[HistoryEvent]:
        """The committed history of the current execution. Raises InstanceNotFoundError."""

    async def restart_instance(self, instance_id: str, *, new_id: bool) -> str:
        """Run a finished instance again with its name, input, version and tags.

        ``new_id`` leaves the old one as it is; else the new execution replaces it atomically.

        Returns:
            The id of the instance that runs.

        Raises:
            InstanceNotFoundError, OrchestrationStateError: there is none, or it has not finished.
            CapabilityError: the backend cannot do this.
        """
        raise CapabilityError("restart", self.capabilities.name)

    async def rewind_instance(self, instance_id: str, reason: str | None) -> None:
        """Let a FAILED instance go on from before it failed, with those that it failed of.

        What had failed runs again, failed descendants included, all or nothing; the rest of the
        history stays, and ``reason`` is kept in it.

        Raises:
            InstanceNotFoundError, OrchestrationStateError: there is none, it is not FAILED, or a
                child that it would wait for still runs. Nothing was written.
            CapabilityError: the backend cannot do this.
        """
        raise CapabilityError("rewind", self.capabilities.name)

    # --- client half: entities, for backends with that capability -------------------------------

    async def signal_entity(
        self, entity_id: str, operation: str, input: str | None, signal_time: int | None
    ) -> None:
        """Send an operation to an entity, durably; the entity comes into being if need be.

        Args:
            entity_id: as text, ``@name@key``.
            input: JSON text or None.
            signal_time: not before this instant, in microseconds since the epoch.
        """
        raise CapabilityError("entities", self.capabilities.name)

    async def get_entity(self, entity_id: str, *, include_state: bool) -> EntityState | None:
        """The entity now, or None if it does not exist, or has neither state, lock nor backlog."""
        raise CapabilityError("entities", self.capabilities.name)

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        """One page of the entities that match."""
        raise CapabilityError("entities", self.capabilities.name)

    async def clean_entity_storage(self) -> int:
        """Remove entities that have no state, no lock and nothing to do; returns how many.

        Backends do this by themselves, but in their own time.
        """
        raise CapabilityError("entities", self.capabilities.name)

    # --- worker half ---------------------------------------------------------------------------

    @abstractmethod
    async def open_worker(self, profile: WorkerProfile) -> WorkItemSource:
        """Start delivering work for this profile. Returns once work can flow."""
