"""Takes in what a poll claimed: new, idle, interrupted, suspect, terminated or orphaned work."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from durabletask.actions import CompleteOrchestration
from durabletask.backend import ActivityWorkItem, OrchestrationResult
from durabletask.engine import result_of_termination
from durabletask.engine.open_work import follow_locks, open_activities, open_operations
from durabletask.errors import (
    BackendUnavailableError,
    DurableTaskError,
)
from durabletask.history import (
    ExecutionRewound,
    HistoryEvent,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    decode_event,
    decode_history,
)
from durabletask.state import FailureDetails, OrchestrationStatus
from durabletask.store.instance import NO_LOCKS, OwnedInstance, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from durabletask.backend import OrchestrationWorkItem
    from durabletask.store.batch import LaneKey
    from durabletask.store.hub import Hub
    from durabletask.store.record import ClaimedActivity, ClaimedInstance
    from durabletask.store.source import StoreWorkItemSource

__all__ = ["Intake"]

_log = logging.getLogger("durabletask.store.intake")

_HISTORIES_AT_ONCE = 64


class Intake:
    """Turns claimed rows into owned instances and queued activities of one source."""

    def __init__(self, hub: Hub, source: StoreWorkItemSource) -> None:
        self._hub = hub
        self._source = source
        self._holdings = source.holdings
        self._tasks: set[asyncio.Task[None]] = set()
        self._doubted: set[tuple[str, int]] = set()

    @property
    def resting(self) -> bool:
        """Whether no interrupted instance is being recovered."""
        return not self._tasks

    # --- instances -----------------------------------------------------------------------------

    def take_instances(self, rows: Sequence[ClaimedInstance]) -> None:
        """Own the claimed instances; those that were interrupted are recovered first."""
        interrupted: list[tuple[OwnedInstance, ClaimedInstance]] = []
        for row in rows:
            try:
                instance = OwnedInstance.claimed(row)
            except BackendUnavailableError as error:
                instance = OwnedInstance.bare(row)
                self._holdings.adopt(instance)
                self._source.set_aside(instance, str(error), None)
                continue
            if row.crashes >= self._hub.options.poison_after:
                self._holdings.adopt(instance, run=False)
                self._source.set_aside(instance, _poisoned(row.crashes), None)
            elif self._is_left(instance):
                continue
            elif row.sequence and (instance.entity is not None or row.busy):
                instance.phase = Phase.RECOVERING
                self._holdings.adopt(instance, run=False)
                interrupted.append((instance, row))
            else:
                self._begin(instance)
            if row.crashes >= self._hub.options.probation_after:
                self._holdings.probation.admit(instance)
                self._source.scout.soon()  # a poll hands out one; there may be room for more
        if interrupted:
            self._spawn(self._recover(interrupted))

    def _is_left(self, instance: OwnedInstance) -> bool:
        """Whether another worker has to run it, because of its version. A termination needs none.

        Of what was refused once the next poll brings no more; a suspect among it makes room.
        """
        if not self._source.repertoire.refuses(instance.name, instance.version):
            return False
        self._holdings.adopt(instance, run=False)
        result = result_of_termination(instance.inbox)
        if result is not None:
            self._source.conclude(instance, result)
        else:
            self._source.left(instance)
            self._source.scout.soon()
        return True

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(self, instance: OwnedInstance) -> None:
        """Own an instance of which everything is known that its next turn needs."""
        if self._source.repertoire.runs(instance.name):
            self._holdings.adopt(instance)
        else:
            self._holdings.adopt(instance, run=False)
            self._conclude(instance)

    def _conclude(self, instance: OwnedInstance) -> None:
        """An instance whose code is not here: it was terminated, or nobody has the code."""
        unknown = _failure(self._hub.not_registered("orchestration", instance.name))
        if instance.entity is not None:
            self._source.entities.refuse(instance, self._source.now(), unknown)
            return
        result = result_of_termination(instance.inbox)
        if result is None:
            end = CompleteOrchestration(OrchestrationStatus.FAILED, failure=unknown)
            result = OrchestrationResult([end])
        self._source.conclude(instance, result)

    async def _recover(self, interrupted: list[tuple[OwnedInstance, ClaimedInstance]]) -> None:
        """Start again the activities that the former owner ran itself and did not finish.

        Such an activity has no queue row; that it is scheduled in the history, has no outcome
        there, none in the inbox and no queue row is what says that it must run. Claim, inbox and
        queue were read in one snapshot, and the history cannot change while we own the instance.
        """
        for start in range(0, len(interrupted), _HISTORIES_AT_ONCE):
            group = interrupted[start : start + _HISTORIES_AT_ONCE]
            chunks = await self._histories([instance for instance, _ in group])
            for (instance, row), history in zip(group, chunks, strict=True):
                if not self._holdings.owns(instance) or instance.phase is not Phase.RECOVERING:
                    continue
                try:
                    if instance.entity is None:
                        self._resume(instance, row, decode_history(history))
                    else:
                        self._recall(instance, history)
                except BackendUnavailableError as error:
                    self._source.set_aside(instance, str(error), None)
            await asyncio.sleep(0)

    def _recall(self, instance: OwnedInstance, chunks: list[bytes]) -> None:
        """An entity's memory is the history of its execution."""
        entity = instance.entity
        assert entity is not None
        entity.memory.recall(decode_history(chunks))
        entity.weight = sum(map(len, chunks))
        entity.goes_on = entity.memory.can_go_on
        instance.phase = Phase.IDLE
        self._begin(instance)

    def find_locks(self, instance: OwnedInstance, go_on: Callable[[], None]) -> None:
        """Read which locks an execution holds, then go on, unless it is lost meanwhile."""
        self._spawn(self._find_locks(instance, go_on))

    async def _find_locks(self, instance: OwnedInstance, go_on: Callable[[], None]) -> None:
        [chunks] = await self._histories([instance])
        if self._holdings.owns(instance) and instance.phase is Phase.RUNNING:
            try:
                instance.locks = _locks_in(decode_history(chunks))
            except BackendUnavailableError as error:
                self._source.set_aside(instance, str(error), None)
            else:
                go_on()

    async def _histories(self, instances: Sequence[OwnedInstance]) -> list[list[bytes]]:
        """The chunks of instances none of which has a turn on its way to the store."""
        key = self._source.lane.key
        histories = await self._read(instances)
        for instance, chunks in zip(instances, histories, strict=True):
            if len(chunks) != instance.sequence and self._holdings.owns(instance):
                await self._disagree(instance, len(chunks), key)
        return histories

    async def _disagree(self, instance: OwnedInstance, turns: int, key: LaneKey | None) -> None:
        """The store has more turns of an owned instance, or less, than its lane has seen.

        The lane was lost and has not heard of it, or the store has told it old news: it starts
        anew from what is durable. If that tells the same, then part of the history is gone.
        """
        what = f"the store has {turns} turns of {instance.instance_id!r} and not"
        seen = (instance.execution_id, instance.sequence)
        if seen in self._doubted:
            self._source.set_aside(instance, f"{what} {instance.sequence}: some are lost", None)
        elif key is not None:
            self._doubted.add(seen)
            _log.warning("%s %d as lane %d has: it is given up", what, seen[1], key.lane_id)
            await self._source.lost(key)

    async def _read(self, instances: Sequence[OwnedInstance]) -> list[list[bytes]]:
        wanted = [(instance.instance_id, instance.execution_id) for instance in instances]
        delay = 0.02
        while True:
            try:
                return await self._hub.store.read_history(wanted)
            except BackendUnavailableError as error:
                _log.warning("history cannot be read now: %s", error)
                await asyncio.sleep(delay * self._hub.chance.uniform(0.5, 1.0))
                delay = min(delay * 2, 2.0)

    def _resume(
        self, instance: OwnedInstance, row: ClaimedInstance, history: list[HistoryEvent]
    ) -> None:
        instance.locks = _locks_in(history)
        if not self._source.repertoire.runs(instance.name):
            instance.phase = Phase.IDLE
            self._conclude(instance)
            return
        arrived = {
            event.task_id
            for event in instance.inbox
            if isinstance(event, (TaskCompleted, TaskFailed))
        }
        missing = [
            event
            for task_id, event in open_activities(history).items()
            if task_id not in row.queued and task_id not in arrived
        ]
        performs = self._source.repertoire.performs
        local = [event for event in missing if performs(event.name)]
        for event in missing:
            if not performs(event.name):
                self._source.enqueue(instance, event)
        instance.history = history
        instance.outstanding.update(event.task_id for event in local)
        instance.unrecorded = len(local)
        instance.phase = Phase.IDLE
        self._holdings.start_activities(instance, local)
        if instance.inbox:
            self._holdings.make_ready(instance)

    async def load(self, items: Sequence[OrchestrationWorkItem]) -> list[list[HistoryEvent]]:
        """Histories for a worker that does not hold these sessions."""
        instances = [cast("OwnedInstance", item.token) for item in items]
        missing = [instance for instance in instances if instance.history is None]
        if missing:
            for instance, chunks in zip(missing, await self._histories(missing), strict=True):
                instance.history = decode_history(chunks)
        histories: list[list[HistoryEvent]] = []
        for instance, item in zip(instances, items, strict=True):
            history, instance.history = instance.history or [], None
            if instance.locks is None:
                instance.locks = _locks_in(history)
            if any(isinstance(event, ExecutionRewound) for event in item.events):
                # What it had called has been answered to an execution that is no more.
                instance.reopened = [*open_operations([*history, *item.events]).values()]
            lost = not self._holdings.owns(instance)
            histories.append([] if lost else history)
        return histories

    # --- activities ----------------------------------------------------------------------------

    def take_activity(self, claimed: ClaimedActivity) -> None:
        """Queue an activity of the shared queue, or fail it if it cannot or must not be run."""
        try:
            event = cast("TaskScheduled", decode_event(claimed.body))
        except BackendUnavailableError as error:
            # Nobody can ever run it; who waits for it is told, and everything else goes on.
            self._source.finish_claimed(claimed, TaskFailed(claimed.task_id, _failure(error)))
            return
        refusal: DurableTaskError | None = None
        if not self._source.repertoire.performs(claimed.name):
            refusal = self._hub.not_registered("activity", claimed.name)
        elif claimed.crashes >= self._hub.options.poison_after:
            refusal = DurableTaskError(_poisoned(claimed.crashes))
        if refusal is not None:
            self._source.finish_claimed(claimed, TaskFailed(event.task_id, _failure(refusal)))
            return
        self._holdings.offer(
            ActivityWorkItem(
                claimed.instance_id,
                claimed.execution_id,
                event.task_id,
                event.name,
                event.input,
                event.version,
                event.tags,
                claimed,
                event.origin,
            )
        )


def _locks_in(history: Sequence[HistoryEvent]) -> Mapping[int, tuple[str, ...]]:
    locks: dict[int, tuple[str, ...]] = {}
    follow_locks(locks, history)
    return locks or NO_LOCKS


def _failure(error: DurableTaskError) -> FailureDetails:
    kind = type(error)
    return FailureDetails(f"{kind.__module__}.{kind.__qualname__}", str(error), non_retriable=True)


def _poisoned(deaths: int) -> str:
    return (
        f"poisoned: {deaths} workers died while they ran it and none got anywhere; find out what "
        "kills the process (out of memory, os._exit, a crash in an extension), then release it "
        "with resume_orchestration"
    )
