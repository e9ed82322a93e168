"""A lane: one ordered commit channel into the store.

Group commit happens here by itself: while one batch is on its way the next one collects. A lane
has at most one batch in flight, so what it writes is ordered, and what a batch depends on is
durable before the batch is sent (rule *turn-atomic*). Effects run only after the store said yes
(rule *activity-once*: nothing starts before the turn that scheduled it is durable).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

import msgspec

from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    LaneFencedError,
    UnknownCommitError,
)
from durabletask.store.doubt import answer_in_doubt
from durabletask.store.identity import CHANCE
from durabletask.store.pending import PendingBatch

if TYPE_CHECKING:
    import random

    from durabletask.store.api import Store
    from durabletask.store.batch import Batch, CommitResult, LaneKey
    from durabletask.store.record import LaneOptions, LaneStanding

__all__ = ["Lane", "LaneOwner"]

_log = logging.getLogger("durabletask.store.lane")

_ENOUGH = 32
"""Turns in a batch for which others are not waited for."""

_FIRST_RETRY = 0.02
_LAST_RETRY = 2.0


class _LostInDoubt(LaneFencedError):
    """The lane was lost before the outcome of its last batch was known."""


class LaneOwner(Protocol):
    """What a lane tells the work item source, or the client channel, that uses it."""

    def committed(self, batch: PendingBatch, result: CommitResult) -> None:
        """The batch is durable: run its effects."""

    def lane_lost(self) -> None:
        """The epoch is no longer valid: forget everything that was owned."""

    def lane_opened(self, standing: LaneStanding) -> None:
        """The lane (or the one that replaces it) is open."""

    def turns_ready(self) -> bool:
        """Whether turns are about to be handed in, which had better share the next batch."""
        ...


class Lane:
    """One commit channel. ``pending`` is what the next batch will hold; ``kick`` sends it.

    Everything here runs on one event loop; ``pending`` is swapped for a fresh one without an
    await in between, so no entry is lost or sent twice.
    """

    def __init__(
        self,
        store: Store,
        options: LaneOptions,
        owner: LaneOwner,
        chance: random.Random = CHANCE,
    ) -> None:
        self.pending = PendingBatch()
        self.key: LaneKey | None = None
        self._store = store
        self._options = options
        self._owner = owner
        self._chance = chance
        self._number = 0
        self._in_flight = False
        self._unsettled: tuple[PendingBatch, Batch] | None = None
        self._replacing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Register the lane and start committing."""
        self.key, standing = await self._store.open_lane(self._options)
        self._owner.lane_opened(standing)
        self._task = asyncio.create_task(self._run(), name=f"durabletask-lane-{self.key.lane_id}")

    @property
    def resting(self) -> bool:
        """Whether everything handed in is durable or dropped."""
        return self._idle.is_set()

    def kick(self) -> None:
        """Send what is pending as soon as the lane is free."""
        if not self._wake.is_set():
            self._idle.clear()
            self._wake.set()

    def commit_at_once(self) -> bool:
        """Commit what is pending without suspending, if lane and store can; True if that was done.

        For whoever has nothing else to do until then: it saves the way over the event loop, and
        what the commit sets free can be handed out in the same breath.
        """
        key = self.key
        if not self.pending or key is None or self._in_flight or self._replacing.locked():
            return False
        if self._unsettled is not None:  # the lane's task has yet to look up what became of it
            return False
        pending = self.pending
        batch = pending.freeze(key, self._number + 1)
        try:
            result = self._store.commit_now(batch)
        except UnknownCommitError:
            self._number += 1
            self.pending = PendingBatch()
            self._unsettled = (pending, batch)
            return False  # the lane's task, which the kick has woken, looks the outcome up
        except Exception:
            return False  # nothing was written; there it will come up again, and be dealt with
        if result is None:
            return False
        self._number += 1
        self.pending = PendingBatch()
        self._owner.committed(pending, result)
        if not self.pending:
            self._wake.clear()
            self._idle.set()
        return True

    async def flush(self) -> None:
        """Wait until everything handed in so far is durable or dropped."""
        await self._idle.wait()

    async def close(self) -> None:
        """Stop committing, give the lane up and fail whatever clients still wait for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.pending.fail_clients(BackendClosedError("the backend was closed before the commit"))
        self.pending = PendingBatch()
        self._idle.set()
        if self.key is not None:
            key, self.key = self.key, None
            try:
                await self._store.close_lane(key)
            except (BackendUnavailableError, LaneFencedError) as error:
                _log.warning("lane %d could not be closed and will expire: %s", key.lane_id, error)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.pending or self._unsettled:
                # Turns that are ready now are run within one or two passes of the loop; waiting
                # for them costs microseconds and saves a commit (an eager start and its first
                # turn become one).
                for _ in range(3):
                    if len(self.pending.turns) >= _ENOUGH or not self._owner.turns_ready():
                        break
                    await asyncio.sleep(0)
                # Nobody else commits while this is true, so the order of batches holds.
                self._in_flight = True
                try:
                    await self._commit_pending()
                finally:
                    self._in_flight = False
            if not self._wake.is_set():
                self._idle.set()

    async def _commit_pending(self) -> None:
        unsettled, self._unsettled = self._unsettled, None
        if unsettled is not None:
            pending, batch = unsettled
        else:
            if not self.pending:  # committed at once meanwhile
                return
            pending, self.pending, batch = self.pending, PendingBatch(), None
        try:
            await self._commit(pending, batch)
        except Exception as error:
            await self._broken(pending, error)
        except BaseException:
            pending.fail_clients(BackendClosedError("the backend was closed in a commit"))
            raise

    async def _commit(self, pending: PendingBatch, unsettled: Batch | None) -> None:
        batch = unsettled
        if batch is None:
            async with self._replacing:
                key = self.key
            if key is None:  # closed while the lane was being replaced
                pending.fail_clients(BackendClosedError("the backend was closed before the commit"))
                return
            self._number += 1
            batch = pending.freeze(key, self._number)
        try:
            result = await self._settle(batch, unknown=unsettled is not None)
        except LaneFencedError as error:
            _log.warning("lane %d was lost: %s", batch.lane.lane_id, error)
            # Looking up an unknown outcome may have raised the epoch since the batch was made.
            key = self.key
            lost = key if key and key.lane_id == batch.lane.lane_id else batch.lane
            unsent = (
                await self._look_up(pending)
                if isinstance(error, _LostInDoubt)
                else pending.client_part()
            )
            await self.replace(lost, unsent)
            return
        self._owner.committed(pending, result)

    async def _broken(self, pending: PendingBatch, error: Exception) -> None:
        """The store broke its contract, or a value in the batch broke the store.

        Clients hear of it. For the turns the lane starts anew: what it owned is claimed and
        replayed from what is durable.
        """
        _log.critical("the store could not take a batch; the lane starts anew", exc_info=error)
        pending.fail_clients(error)
        key = self.key
        if key is not None:
            await asyncio.sleep(_LAST_RETRY)
            await self.replace(key)

    async def _settle(self, batch: Batch, *, unknown: bool) -> CommitResult:
        """Commit until the store has said yes, or that the lane is lost.

        Unknown is a third answer: the epoch is raised first, which makes the lost request
        harmless wherever it still is, and only then the lane looks whether it was applied.
        """
        delay = _FIRST_RETRY
        while True:
            try:
                if unknown:
                    applied = await self._resolve(batch)
                    if applied is not None:
                        return applied
                    batch = msgspec.structs.replace(batch, lane=self.key or batch.lane)
                    unknown = False
                return self._store.commit_now(batch) or await self._store.commit(batch)
            except UnknownCommitError as error:
                unknown = True
                _log.warning("the outcome of a commit is unknown and is looked up: %s", error)
            except BackendUnavailableError as error:
                _log.warning("the store cannot commit now, next try in %.2f s: %s", delay, error)
                await asyncio.sleep(delay * self._chance.uniform(0.5, 1.0))
                delay = min(delay * 2, _LAST_RETRY)

    async def _resolve(self, batch: Batch) -> CommitResult | None:
        """Raise the epoch and look, until the store has answered.

        The lock is held all the while: the epoch may be raised though the answer is lost, and then
        a poll or renewal under the old key is refused. It must not take that for the loss of the
        lane; it waits here, and finds another key.
        """
        delay = _FIRST_RETRY
        async with self._replacing:
            if self.key is None or self.key.lane_id != batch.lane.lane_id:
                raise _LostInDoubt(f"lane {batch.lane.lane_id} was replaced by another")
            while True:
                try:
                    self.key, applied = await self._store.resolve(batch)
                except LaneFencedError as error:
                    raise _LostInDoubt(str(error)) from error
                except BackendUnavailableError as error:
                    _log.warning("an unknown commit cannot be looked up now: %s", error)
                    await asyncio.sleep(delay * self._chance.uniform(0.5, 1.0))
                    delay = min(delay * 2, _LAST_RETRY)
                else:
                    return applied

    async def _look_up(self, pending: PendingBatch) -> PendingBatch:
        """Find out what became of a batch that the store cannot resolve any more."""
        ids = [new.instance_id for new in pending.creates]
        delay = _FIRST_RETRY
        while True:
            try:
                rows = await self._store.get_instances(ids, payloads=False) if ids else {}
                return answer_in_doubt(pending, rows)
            except BackendUnavailableError as error:
                _log.warning("the store cannot be asked about a lost commit now: %s", error)
                await asyncio.sleep(delay * self._chance.uniform(0.5, 1.0))
                delay = min(delay * 2, _LAST_RETRY)

    async def replace(self, lost: LaneKey, unsent: PendingBatch | None = None) -> None:
        """Open a new lane in place of ``lost``; clients' requests are carried over.

        Whatever the lost lane's owner had prepared is dropped: its instances belong to others
        now, who make the same turns from the same history. Several tasks may find the loss (a
        commit, a poll, a renewal); the lock and the key let only the first one act on it. A poll
        that was refused because this lane has raised its own epoch meanwhile has lost nothing.
        """
        async with self._replacing:
            if unsent:
                self.pending.prepend(unsent)
            if self.key == lost:
                self._owner.lane_lost()
                self.pending = self.pending.client_part()
                self.key, self._number = None, 0
                # It may live on in the store, which refuses a batch for other reasons as well;
                # nobody would touch what it owns until its lease ends.
                with contextlib.suppress(BackendUnavailableError, LaneFencedError):
                    await self._store.close_lane(lost)
                await self._reopen()
        if self.pending:
            self.kick()

    async def _reopen(self) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                self.key, standing = await self._store.open_lane(self._options)
            except BackendUnavailableError as error:
                _log.warning("no new lane can be opened now: %s", error)
            except Exception as error:
                # Whatever it is, without a lane nothing here would go on for ever.
                _log.critical("no new lane can be opened; it is tried again", exc_info=error)
            else:
                self._owner.lane_opened(standing)
                return
            await asyncio.sleep(delay * self._chance.uniform(0.5, 1.0))
            delay = min(delay * 2, _LAST_RETRY)
