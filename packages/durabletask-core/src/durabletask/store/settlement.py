"""What happens when a batch is durable: the effects of its turns, and the answers to clients."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from durabletask.state import OrchestrationStatus
from durabletask.store.instance import NO_MESSAGES, OwnedInstance, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.store.batch import CommitResult, NewInstance
    from durabletask.store.effect import TurnEffect
    from durabletask.store.holdings import Holdings
    from durabletask.store.hub import Hub
    from durabletask.store.pending import PendingBatch
    from durabletask.store.scout import Scout

__all__ = ["Settlement", "answer_clients"]

_log = logging.getLogger("durabletask.store.settlement")


class Settlement:
    """Runs the effects of the committed batches of one source.

    This is the only place where activities start, waiting clients hear and the next turn becomes
    possible; it is called after the store has said that the batch is durable, and never before
    (rules *activity-once* and *turn-atomic*).

    Args:
        left: gives an instance up whose version is not taken here; whether it is one.

    Attributes:
        has_answered: a client has heard of a committed request; reset by whoever looks.
    """

    def __init__(
        self,
        hub: Hub,
        holdings: Holdings,
        scout: Scout,
        clock: Callable[[], float],
        left: Callable[[OwnedInstance], bool],
    ) -> None:
        self.has_answered = False
        self._hub = hub
        self._holdings = holdings
        self._scout = scout
        self._clock = clock
        self._left = left

    def settle(self, batch: PendingBatch, result: CommitResult) -> None:
        """The batch is durable."""
        if batch.creates:
            self._creates(batch, result)
        owned = self._holdings.owned
        for effect in batch.effects:
            instance_id = effect.instance.instance_id
            if owned.get(instance_id) is effect.instance:
                self._turn(effect)
            else:  # the lane was lost after the store had taken the batch
                self._hub.waiters.refresh(instance_id)
        for park, instance in batch.parked:
            self._holdings.lose(instance)
            self._scout.soon()  # it may have been a suspect: there is room for the next
            _log.error("orchestration %r is set aside: %s", park.instance_id, park.reason)
        for instance, busy in batch.released:
            self._holdings.lose(instance)
            if busy:  # it was given up for another worker, perhaps of this process
                self._hub.work_written()
            if instance.inbox:  # came in while the release was on its way; whoever claims has it
                self._scout.soon()
        if answer_clients(batch, result):
            self.has_answered = True
        if batch.messages or batch.finished or batch.activities or result.refused or batch.returned:
            self._hub.work_written()

    def _creates(self, batch: PendingBatch, result: CommitResult) -> None:
        owned = self._holdings.owned
        unowned = False
        for position, row in enumerate(batch.creates):
            if not row.owned:
                unowned = True
            elif position in result.refused:
                self._drop_refused(row)
            elif row.instance_id not in owned:
                self._holdings.adopt(OwnedInstance.created(row))
        if unowned:
            self._hub.work_written()

    def _drop_refused(self, row: NewInstance) -> None:
        instance = self._holdings.owned.get(row.instance_id)
        if instance is not None and instance.execution_id == row.execution_id:
            self._holdings.lose(instance)

    def _turn(self, effect: TurnEffect) -> None:
        instance, turn = effect.instance, effect.turn
        if turn.consumed:
            self._scout.consumed(turn.consumed)
            instance.taken = NO_MESSAGES
        instance.clock = turn.recorded_at
        if turn.crashes_cleared:
            instance.crashes = 0
            if self._holdings.probation.acquit(instance):
                self._scout.soon()  # at once, not at the next slow poll: others may be waiting
        if effect.outcome.completion is not None:
            self._holdings.forget(instance)
            if turn.to_children is not None:
                self._hub.work_written()
            self._hub.waiters.finished(effect)
            return
        instance.phase = Phase.IDLE
        if turn.next is not None:
            was_pending = instance.status is OrchestrationStatus.PENDING
            instance.continue_as_new(turn.next)
            if was_pending:
                self._hub.waiters.started(instance)
            if not self._left(instance):
                self._holdings.make_ready(instance)
            return
        instance.sequence += 1
        instance.continues = True
        if turn.update is not None:
            self._updated(effect)
        if turn.timers:
            self._scout.due(min(timer.visible_at for timer in turn.timers))
        if effect.local:
            self._holdings.start_activities(instance, effect.local)
        if instance.inbox or (instance.entity is not None and instance.entity.goes_on):
            self._holdings.make_ready(instance)
        elif not effect.local:
            instance.idle_since = self._clock()

    def _updated(self, effect: TurnEffect) -> None:
        instance, update = effect.instance, effect.turn.update
        assert update is not None
        if update.busy is not msgspec.UNSET:
            instance.busy = update.busy
        if update.custom_status is not msgspec.UNSET:
            instance.custom_status = update.custom_status
        if effect.status is not instance.status:
            instance.status = effect.status
            self._hub.waiters.started(instance)


def answer_clients(batch: PendingBatch, result: CommitResult) -> bool:
    """Tell clients whether their new instance was created and their message had a receiver.

    Returns whether anybody was told anything.
    """
    answered = False
    for position, created in enumerate(batch.create_futures):
        if created is not None and not created.done():
            created.set_result(position not in result.refused)
            answered = True
    for position, sent in enumerate(batch.message_futures):
        if sent is not None and not sent.done():
            sent.set_result(position not in result.missing)
            answered = True
    return answered
