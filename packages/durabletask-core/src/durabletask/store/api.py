"""Seam 2: what a storage author writes.

A store keeps instances, their history, inboxes, a shared activity queue and lanes. It knows no
orchestrations: it writes batches that core has worked out, and finds what is due. Its promises:

*Atomic, fenced commits.* A batch is applied whole or not at all, and only under a valid lane
epoch. A lane sends one batch at a time.

*Ownership per instance.* An instance is owned by one lane or none. It changes hands only by
``poll`` (from none), by a batch of its owner, or when its lane is closed or taken over, which
raises the epoch first. So checking the lane is enough to fence every instance in a batch.

*One clock.* Leases, timers and delayed starts are judged by the store's clock.

*Order.* Messages to one instance are totally ordered; those of one batch keep their order.

*Presence.* An instance for which a create of a batch was refused, because it is there, is still
there for the messages of that batch.

The conformance suites in :mod:`durabletask.testing.conformance` test exactly this.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from durabletask.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.backend.capabilities import Capabilities
    from durabletask.state import OrchestrationQuery
    from durabletask.store.batch import (
        Batch,
        CommitResult,
        LaneKey,
        NewInstance,
        RewoundInstance,
    )
    from durabletask.store.record import (
        InstanceRecord,
        Interest,
        LaneOptions,
        LaneStanding,
        Unclaimed,
        Work,
    )

__all__ = ["Store"]


class Store(ABC):
    """Storage of one task hub. All methods are called on one event loop.

    A call that fails with BackendUnavailableError has written nothing, or nothing that makes a
    difference, and may be repeated as it is. ``commit`` alone may raise UnknownCommitError.
    """

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this store can do. Known before ``open``."""

    # --- life ----------------------------------------------------------------------------------

    @abstractmethod
    async def open(self) -> None:
        """Connect and check or create the schema.

        Raises:
            BackendUnavailableError, SchemaVersionError: with the remedy; nothing was written.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything. Idempotent. Lanes still open are left to expire."""

    async def migrate(self) -> str:
        """Create the storage or bring it up to date, on a store that is not open.

        Returns:
            One line for operators that says what was found and done.

        Raises:
            BackendUnavailableError, SchemaVersionError: with the remedy.
        """
        return f"the {self.capabilities.name} backend has nothing to migrate"

    @abstractmethod
    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call ``wake()`` on the event loop when another process may have written something.

        A hint: it may come late, too often, or be lost. What this very store object wrote needs
        no hint. Called once, after ``open``.
        """

    def now(self) -> int:
        """The store's clock as far as it is known here, in microseconds since the epoch.

        The clock of this machine, unless overridden: a store on another machine keeps the offset
        that its answers (``LaneStanding.now``, ``Work.now``) show.
        """
        return time.time_ns() // 1000

    # --- lanes ---------------------------------------------------------------------------------

    @abstractmethod
    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        """Register a lane under a new id; a lane id is never used twice."""

    @abstractmethod
    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        """Extend the lease, and those of the activities this lane has claimed.

        Raises:
            LaneFencedError: the lane was taken over.
        """

    @abstractmethod
    async def close_lane(self, lane: LaneKey) -> None:
        """Give up the lane, all it owns and all it has claimed. A no-op if it is gone."""

    @abstractmethod
    async def take_over(self) -> int:
        """End the lanes whose lease has expired or whose process is known to be dead.

        Their epochs become invalid first; then their instances belong to nobody (those that
        are busy or have a visible message are due at once, with ``crashes`` raised by one: always
        below Interest.probation_after's default of 2, above that only if the instance was handed
        out as a suspect), and their claimed activities return to the queue. Returns how many lanes
        were ended.
        """

    # --- work ----------------------------------------------------------------------------------

    @abstractmethod
    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        """Read the inboxes of owned instances, and claim due instances and activities.

        An instance is due if nobody owns it, it is neither parked nor finished, its name is in the
        interest, its version is not refused there, its ``start_at`` is past, and it is busy,
        without a turn in this execution, or has a visible message. A visible urgent message makes
        it due whatever its name, version and ``start_at``. Oldest due first.

        Raises:
            LaneFencedError: the lane was taken over; nothing was claimed.
        """

    @abstractmethod
    async def commit(self, batch: Batch) -> CommitResult:
        """Apply a batch atomically; durable when this returns.

        Raises:
            LaneFencedError: the lane's epoch is no longer valid, a turn's sequence clashed, a
                turn's instance is not owned by the lane under that execution, or a consumed
                message was gone. Nothing was written.
            UnknownCommitError: the outcome is unknown; call ``resolve``.
        """

    def commit_now(self, batch: Batch) -> CommitResult | None:
        """As ``commit``, but without suspending; or None, and nothing written, if that is not
        possible or not wise now. Then ``commit`` is called.

        For stores that can commit in the time that a switch of tasks or threads would take; the
        default is None. Called while no other commit of the lane is under way.

        Raises:
            UnknownCommitError: the outcome is unknown; ``resolve`` will be called.
        """
        return None

    @abstractmethod
    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        """Settle an unknown commit: raise the lane's epoch, then look.

        May be repeated with the same batch if its own answer was lost.

        Returns the lane's new key, and the batch's result if it was applied, or None if it was
        not and never will be; then it may be sent again under the new key.

        Raises:
            LaneFencedError: the lane was taken over meanwhile.
        """

    async def create_within(self, create: NewInstance, connection: object) -> bool:
        """Create an instance that nobody owns, in a transaction that is open on ``connection``.

        For stores that declare ``transactional_start``. What is written becomes visible, and is
        found by a poll, if and when the caller commits.

        Returns:
            False if the id is taken; then nothing was written.

        Raises:
            CapabilityError: the store lacks it.
            ArgumentTypeError, InvalidRequestError: the connection cannot be used for this.
        """
        raise CapabilityError("transactional_start", self.capabilities.name)

    @abstractmethod
    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        """Names of due work that nobody has claimed for ``older_than`` seconds, with counts."""

    # --- reading and upkeep --------------------------------------------------------------------

    @abstractmethod
    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        """The chunks of each ``(instance_id, execution_id)``, in sequence order."""

    @abstractmethod
    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        """The rows of those that exist. ``payloads=False`` leaves input, output and custom
        status None."""

    @abstractmethod
    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        """One page ordered by ``(created_at, instance_id)``, and the next page's token.

        Instances whose ids begin with ``@`` (entities) are part of it only if the prefix of the
        query begins with ``@``.
        """

    @abstractmethod
    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        """Delete those of the ids that are finished, with all that belongs to them.

        ``recursive`` deletes their finished descendants too. Returns how many were deleted.
        """

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        """Delete those of the ids that are PENDING and wait for nothing. Returns how many.

        That is: they have had a turn in their execution, nobody owns them, they are neither busy
        nor parked, no message is there for them, visible or not, and no activity is queued. Each
        is looked at and deleted in one step. For stores that declare ``entities``.

        Raises:
            CapabilityError: the store lacks it.
        """
        raise CapabilityError("entities", self.capabilities.name)

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        """Put all of these in the place of what is there, atomically, and durably.

        For stores that declare ``rewind``. A finished instance has no owner, so no lane has to be
        asked; that each still has the expected execution is what tells two rewinds, or a rewind
        and a restart or a purge, apart. No id comes twice.

        Returns:
            False if one of them is not what was expected; then nothing was written.

        Raises:
            CapabilityError: the store lacks it.
            BackendUnavailableError: it is unknown whether anything was written; a call that is
                repeated then returns False if it was.
        """
        raise CapabilityError("rewind", self.capabilities.name)
