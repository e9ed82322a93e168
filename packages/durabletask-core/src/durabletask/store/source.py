"""The work item source of a storage backend: what one worker owns, gets and gives back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from durabletask.backend import (
    ActivityResult,
    ActivityWorkItem,
    EntityResult,
    EntityWorkItem,
    OrchestrationResult,
    OrchestrationWorkItem,
    WorkItem,
    WorkItemSource,
)
from durabletask.engine.open_work import follow_locks
from durabletask.engine.runtime_state import apply_actions, status_after
from durabletask.errors import BackendUnavailableError
from durabletask.history import (
    EntityCaller,
    HistoryEvent,
    OrchestratorStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    encode_chunk,
    encode_event,
)
from durabletask.store.batch import ActivityRow, FinishedActivity, LaneKey, Message, Park
from durabletask.store.bell import Bell
from durabletask.store.effect import TurnEffect
from durabletask.store.entity_turns import EntityTurns
from durabletask.store.holdings import Holdings
from durabletask.store.identity import new_execution_id
from durabletask.store.instance import NO_LOCKS, OwnedInstance, Phase
from durabletask.store.intake import Intake
from durabletask.store.keeper import Keeper
from durabletask.store.lane import Lane
from durabletask.store.probation import Probation
from durabletask.store.record import ClaimedActivity, Interest, LaneOptions
from durabletask.store.repertoire import Repertoire
from durabletask.store.scout import Scout
from durabletask.store.settlement import Settlement
from durabletask.store.turn import build_turn, child_request, outgoing, parent_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.backend import WorkerProfile
    from durabletask.engine.runtime_state import TurnOutcome
    from durabletask.store.batch import CommitResult
    from durabletask.store.hub import Hub
    from durabletask.store.pending import PendingBatch
    from durabletask.store.record import InboxMessage, LaneStanding, Work

__all__ = ["StoreWorkItemSource"]

_log = logging.getLogger("durabletask.store.source")

_BURST = 256
"""Work items handed out at once, so that the event loop gets a breath between bursts."""


class StoreWorkItemSource(WorkItemSource):
    """Owns instances on a lane, hands out their turns and activities, takes the outcomes.

    Single-threaded on the event loop; no method here awaits between reading and changing the
    tables below, so each hand-over is atomic to the others.
    """

    def __init__(self, hub: Hub, profile: WorkerProfile) -> None:
        self.profile = profile
        self.repertoire = Repertoire(profile)
        self.standing: LaneStanding | None = None
        self._clock = asyncio.get_running_loop().time
        self._arrival = Bell()
        self._returned = Bell()
        self.holdings = Holdings(
            self._arrival, hub.waiters.refresh, Probation(hub.options, self._clock)
        )
        self.draining = False
        self._hub = hub
        self._turns_out = 0
        self._activities_out = 0
        options = LaneOptions(
            worker=profile.name,
            lease=hub.options.lease,
            orchestrations=self.repertoire.orchestrations,
            activities=profile.activities,
        )
        self.lane = Lane(hub.store, options, self, hub.chance)
        self.entities = EntityTurns(self)
        self._intake = Intake(hub, self)
        self.scout = Scout(hub.store, self, hub.options.poll_interval)
        self._keeper = Keeper(hub, self)
        self._settlement = Settlement(hub, self.holdings, self.scout, self._clock, self.left)

    async def open(self) -> None:
        """Open the lane, take over what dead lanes left, and look for work once."""
        try:
            await self._open()
        except BaseException:
            await self.drain(0)  # nobody has heard of this source who could
            raise

    async def _open(self) -> None:
        await self.lane.open()
        await self._hub.store.take_over()
        if self.repertoire.is_open:
            self.repertoire.learn(await self._hub.store.unclaimed(0.0))
        await self.scout.start()
        self._keeper.start()

    @property
    def resting(self) -> bool:
        """Whether all work is done until time passes or somebody writes.

        Nothing is ready, handed out, being committed, recovered or looked for. An item that was
        abandoned for a while does not count: it rests too.
        """
        holdings = self.holdings
        return (
            not (self._turns_out or self._activities_out or holdings.ready or holdings.activities)
            and self.lane.resting
            and self.scout.resting
            and self._intake.resting
        )

    # --- seam 1: hand out ----------------------------------------------------------------------

    async def receive(self) -> list[WorkItem]:
        while True:
            if self._settlement.has_answered:
                # Those clients go first: one that waits for its new instance is then here before
                # the instance has finished, and hears of it without reading.
                self._settlement.has_answered = False
                await asyncio.sleep(0)
            if self.draining:
                return []
            items = self._hand_out()
            if items:
                return items
            # Turns of entities may have been made on the way, and more may be ready.
            if not self.turns_ready() and not self.lane.commit_at_once():
                await self._arrival.wait()

    def _hand_out(self) -> list[WorkItem]:
        items: list[WorkItem] = []
        activities, ready = self.holdings.activities, self.holdings.ready
        if ready:
            room = min(self.profile.max_orchestrations - self._turns_out, _BURST)
            now = self._hub.store.now()
            pulled = ready.pull(room, is_busy=bool(activities))
            items += [self._turn_item(one, now) for one in pulled if one.entity is None]
            if len(items) < len(pulled):
                items += self._entity_items([one for one in pulled if one.entity is not None], now)
            self._turns_out += len(items)
        if activities:
            room = min(len(activities), self.profile.max_activities - self._activities_out, _BURST)
            if room > 0:
                items += [activities.popleft() for _ in range(room)]
                self._activities_out += room
        return items

    def _entity_items(self, instances: list[OwnedInstance], now: int) -> list[WorkItem]:
        items: list[WorkItem] = []
        for instance in instances:
            item = self.entities.begin(instance, now)
            if item.operations:
                items.append(item)
            else:  # locks change hands without any code
                self.entities.complete(instance, item, EntityResult([], [], item.state))
        return items

    def _turn_item(self, instance: OwnedInstance, now: int) -> OrchestrationWorkItem:
        # Rule replay-clock: never behind the last turn, whatever the clocks say.
        clock = instance.clock
        started = OrchestratorStarted(now if now > clock else clock)
        return OrchestrationWorkItem(
            instance.instance_id,
            instance.execution_id,
            instance.name,
            instance.version,
            instance.sequence,
            [started, *instance.take()],
            instance,
            instance.continues,
        )

    def _came_back(self) -> None:
        """An item was handed back: there is room for another, and ``drain`` may go on."""
        if self._arrival.waiting is not None and (self.holdings.ready or self.holdings.activities):
            self._arrival.ring()
        if self.draining:
            self._returned.ring()

    async def load_history(
        self, items: Sequence[OrchestrationWorkItem]
    ) -> list[list[HistoryEvent]]:
        return await self._intake.load(items)

    # --- seam 1: take back ---------------------------------------------------------------------

    def complete_orchestration(
        self, item: OrchestrationWorkItem, result: OrchestrationResult
    ) -> None:
        instance = self._returned_turn(item)
        if instance is None:
            return
        outcome = apply_actions(item.events, result.actions)
        if instance.locks is None and outcome.ended:
            # An execution that was begun elsewhere ends without its history having been read.
            self._intake.find_locks(instance, lambda: self._complete_again(item, result))
            return
        try:
            chunk = encode_chunk(outcome.events)
        except Exception as error:
            # A custom converter may give text that no store takes. A hand-over never fails.
            self.set_aside(instance, f"a turn cannot be recorded: {error!r}", None)
            return
        status = instance.status
        if instance.taken or not instance.sequence:
            # Only messages and the first turn can change it; most turns bring activity outcomes.
            status = status_after(status, item.events)
        recorded_at = item.events[0].timestamp  # type: ignore[union-attr]
        instance.unrecorded -= instance.taken_local
        pending = self.lane.pending
        local = self._place_activities(instance, outcome) if outcome.activities else ()
        if outcome.ended and instance.outstanding:
            self._leave_behind(instance)
        turn = build_turn(
            instance,
            outcome,
            chunk,
            recorded_at=recorded_at,
            status=status,
            busy=instance.unrecorded > 0,
            custom_status=result.custom_status,
        )
        instance.phase = Phase.COMMITTING
        pending.turns.append(turn)
        pending.effects.append(
            TurnEffect(instance, turn, outcome, local, status, result.custom_status)
        )
        if outcome.asked or instance.locks or instance.reopened:
            self._ask_entities(instance, outcome)
        if outcome.children:
            self._create_children(instance, outcome, recorded_at)
        if outcome.sent:
            self.send(outgoing(outcome))
        if outcome.completion is not None and instance.parent is not None:
            self.send([parent_message(instance, instance.parent, outcome.completion)])
        self.lane.kick()

    def _complete_again(self, item: OrchestrationWorkItem, result: OrchestrationResult) -> None:
        self._turns_out += 1
        self.complete_orchestration(item, result)

    def _ask_entities(self, instance: OwnedInstance, outcome: TurnOutcome) -> None:
        """Send what the turn asks of entities, and give up all locks if the execution ends."""
        caller = EntityCaller(instance.instance_id, instance.execution_id)
        again = [(event.entity_id, event) for event in instance.reopened]
        instance.reopened = ()
        self.entities.ask(caller, [*again, *outcome.asked])
        if outcome.asked and instance.locks is not None:
            locks = dict(instance.locks)
            follow_locks(locks, outcome.events)
            instance.locks = locks or NO_LOCKS
        if outcome.ended:
            self.entities.unlock(instance)

    def _create_children(self, instance: OwnedInstance, outcome: TurnOutcome, now: int) -> None:
        pending, siblings = self.lane.pending, len(outcome.children)
        for child in outcome.children:
            owned = self.has_room_for(child.name, child.version, siblings)
            pending.creates.append(child_request(instance, child, now, owned=owned))
            pending.create_futures.append(None)

    def complete_entity(self, item: EntityWorkItem, result: EntityResult) -> None:
        instance = self._returned_turn(item)
        if instance is not None:
            self.entities.complete(instance, item, result)

    def _returned_turn(self, item: OrchestrationWorkItem | EntityWorkItem) -> OwnedInstance | None:
        """The instance of a turn that comes back, or None if it was lost meanwhile."""
        self._turns_out -= 1
        self._came_back()
        instance: OwnedInstance = item.token
        if (
            instance.phase is Phase.RUNNING
            and instance.sequence == item.sequence
            and instance.execution_id == item.execution_id
        ):
            return instance  # only an owned instance has a turn out
        return None

    def _place_activities(
        self, instance: OwnedInstance, outcome: TurnOutcome
    ) -> list[TaskScheduled]:
        """Decide who runs each activity: this lane without a queue row, or the shared queue.

        Activities scheduled in the turn that ends an execution go to the queue: nobody will own
        the instance when they run.
        """
        local: list[TaskScheduled] = []
        self.repertoire.hear(outcome)
        known = self.repertoire.activities
        if outcome.ended:
            room = 0
        elif self.standing is None or self.standing.workers <= 1:
            room = len(outcome.activities)  # alone: there is nobody to leave anything to
        else:
            backlog = min(self._hub.options.local_backlog, self.profile.max_activities)
            room = backlog - len(self.holdings.activities) - self._activities_out
        for event in outcome.activities:
            if len(local) < room and event.name in known:
                local.append(event)
                instance.outstanding.add(event.task_id)
            else:
                self.enqueue(instance, event)
        instance.unrecorded += len(local)
        return local

    def _leave_behind(self, instance: OwnedInstance) -> None:
        """Move what has not begun to the shared queue: its execution ends without waiting for it.

        While an instance lives, whoever takes it over starts its activities again. Afterwards
        nobody looks, and what is only in this process would be lost with it (rule
        *activity-once*: every activity runs at least once).
        """
        for item in self.holdings.withdraw(instance):
            event = TaskScheduled(
                item.task_id, item.name, item.input, item.version, item.tags, item.origin
            )
            self.enqueue(instance, event)

    def enqueue(self, instance: OwnedInstance, event: TaskScheduled) -> None:
        """Put an activity into the shared queue with the next commit."""
        self.lane.pending.activities.append(
            ActivityRow(
                instance.instance_id,
                instance.execution_id,
                event.task_id,
                event.name,
                encode_event(event),
            )
        )
        self.lane.kick()

    def send(self, messages: list[Message]) -> None:
        """Send messages with the next commit; whoever calls this kicks the lane."""
        self.lane.pending.messages += messages
        self.lane.pending.message_futures += [None] * len(messages)

    def complete_activity(self, item: ActivityWorkItem, result: ActivityResult) -> None:
        self._activities_out -= 1
        self._came_back()
        event: TaskCompleted | TaskFailed
        if result.failure is None:
            event = TaskCompleted(item.task_id, result.result)
        else:
            event = TaskFailed(item.task_id, result.failure)
        token = item.token
        if isinstance(token, OwnedInstance):
            # Counted once: the number leaves ``outstanding`` with the first outcome, and a lost
            # or finished instance awaits none.
            if token.execution_id == item.execution_id and token.put_outcome(item.task_id, event):
                self.holdings.make_ready(token)
        else:
            self.finish_claimed(token, event)

    def finish_claimed(self, claimed: ClaimedActivity, event: HistoryEvent) -> None:
        """Hand back an activity of the shared queue with its outcome."""
        message = Message(
            claimed.instance_id, encode_event(event), execution_id=claimed.execution_id
        )
        self.lane.pending.finished.append(
            FinishedActivity(claimed.activity_id, claimed.token, message)
        )
        self.lane.kick()

    def abandon(self, item: WorkItem, delay: float = 0.0) -> None:
        later = asyncio.get_running_loop().call_later
        if isinstance(item, OrchestrationWorkItem):
            instance = self._returned_turn(item)
            if instance is not None:
                instance.restore(item.events[1:])
                later(delay, self.holdings.make_ready, instance)
        elif isinstance(item, EntityWorkItem):
            instance = self._returned_turn(item)
            if instance is not None:
                self.entities.give_up(instance)
                later(delay, self.holdings.make_ready, instance)
        else:
            self._activities_out -= 1
            self._came_back()
            later(delay, self._reoffer, item)

    def _reoffer(self, item: ActivityWorkItem) -> None:
        if isinstance(item.token, OwnedInstance):
            if item.task_id in item.token.outstanding:
                self.holdings.offer(item)
        else:
            self.lane.pending.returned.append((item.token.activity_id, item.token.token))
            self.lane.kick()

    def park(self, item: OrchestrationWorkItem | EntityWorkItem, reason: str) -> None:
        instance = self._returned_turn(item)
        if instance is not None:
            self.set_aside(instance, reason, self.repertoire.orchestrations.get(instance.name))

    def set_aside(self, instance: OwnedInstance, reason: str, code: str | None) -> None:
        """Park an owned instance."""
        instance.phase = Phase.COMMITTING
        self.lane.pending.parked.append(
            (Park(instance.instance_id, instance.execution_id, reason, code), instance)
        )
        self.lane.kick()

    async def flush(self) -> None:
        await self.lane.flush()

    async def drain(self, timeout: float) -> None:
        if self.draining:
            return
        self.draining = True
        self._arrival.ring()
        self._keeper.stop()
        await self.scout.stop()
        deadline = self._clock() + timeout
        while (self._turns_out or self._activities_out) and self._clock() < deadline:
            await self._returned.wait(max(0.0, deadline - self._clock()))
        self._bequeath()
        try:
            await asyncio.wait_for(self.lane.flush(), max(0.05, deadline - self._clock()))
        except TimeoutError:
            _log.warning("the store did not take the last commits within the limit")
        self.lane_lost()
        await self.lane.close()
        self._hub.source_closed(self)

    def _bequeath(self) -> None:
        """Send outcomes that no turn has recorded as messages, so that nothing runs twice.

        They go after the turns that are pending, so each is behind the turn that scheduled it.
        """
        for instance in self.holdings.owned.values():
            if instance.inbox_local:
                self.send(
                    [
                        Message(
                            instance.instance_id,
                            encode_event(outcome),
                            execution_id=instance.execution_id,
                        )
                        for outcome in instance.local_outcomes()
                    ]
                )
                self.lane.kick()

    # --- what is owned -------------------------------------------------------------------------

    def now(self) -> int:
        """The store's clock, in microseconds."""
        return self._hub.store.now()

    def new_execution_id(self, now: int) -> str:
        """The id of an execution that no turn brings about."""
        return new_execution_id(now, self._hub.chance)

    def has_room_for(self, name: str, version: str | None = None, extra: int = 1) -> bool:
        """Whether a new instance of that name and version should be owned by this lane from birth.

        A lane that is alone on its hub takes everything it can run; with others about it leaves
        what exceeds its backlog to them.
        """
        if self.draining or not self.repertoire.runs(name):
            return False
        if self.repertoire.refuses(name, version):
            return False
        alone = self.standing is None or self.standing.workers <= 1
        return alone or len(self.holdings.ready) + extra <= self.profile.max_orchestrations

    def interest(self) -> Interest:
        """What the next poll may hand to this lane."""
        if self.draining:
            room = queue = 0
        else:
            room = max(
                0, 2 * self.profile.max_orchestrations - len(self.holdings.ready) - self._turns_out
            )
            queue = max(
                0,
                2 * self.profile.max_activities
                - len(self.holdings.activities)
                - self._activities_out,
            )
        return Interest(
            orchestrations=frozenset(self.repertoire.orchestrations.keys() | self._keeper.orphans),
            activities=self._keeper.orphan_activities | self.repertoire.activities,
            max_instances=room,
            max_activities=queue,
            suspects=self.holdings.probation.has_room,
            probation_after=self._hub.options.probation_after,
            refused_versions=self.repertoire.refused,
        )

    def arrived(self, work: Work, handled: set[int]) -> None:
        """Take in what a poll brought."""
        for instance_id, messages in work.inbox.items():
            instance = self.holdings.owned.get(instance_id)
            if instance is not None:
                self._deliver(instance, messages, handled)
        if work.instances:
            self._intake.take_instances(work.instances)
        for claimed in work.activities:
            self._intake.take_activity(claimed)

    def _deliver(
        self, instance: OwnedInstance, messages: list[InboxMessage], handled: set[int]
    ) -> None:
        try:
            if instance.deliver(messages, handled):
                self.holdings.make_ready(instance)
        except BackendUnavailableError as error:
            # A damaged message concerns nobody else. Every poll gives it again, so an instance
            # that has a turn out is set aside later.
            if instance.phase in (Phase.IDLE, Phase.READY):
                self.set_aside(instance, str(error), None)

    def left(self, instance: OwnedInstance) -> bool:
        """Give an owned instance up if its version is not taken here; whether it is.

        It stays busy as it is in the store: whoever takes it over finds what it has to do.
        """
        if not self.repertoire.refuses(instance.name, instance.version):
            return False
        instance.phase = Phase.LEAVING
        self.lane.pending.released.append((instance, instance.busy))
        self.lane.kick()
        return True

    def conclude(self, instance: OwnedInstance, result: OrchestrationResult) -> None:
        """End an instance that no code here can run, in a turn without user code."""
        self._complete_again(self._turn_item(instance, self.now()), result)

    # --- lane owner ----------------------------------------------------------------------------

    def turns_ready(self) -> bool:
        return bool(self.holdings.ready) and self._turns_out < self.profile.max_orchestrations

    def lane_opened(self, standing: LaneStanding) -> None:
        self.standing = standing
        self.scout.soon()

    def lane_lost(self) -> None:
        self.holdings.forget_all()

    async def lost(self, key: LaneKey) -> None:
        """A poll or renewal found the lane taken over."""
        await self.lane.replace(key)
        self.scout.soon()

    def committed(self, batch: PendingBatch, result: CommitResult) -> None:
        self._settlement.settle(batch, result)
