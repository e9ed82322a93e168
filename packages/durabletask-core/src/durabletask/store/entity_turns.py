"""The turns of entities, and what entities are asked for.

An entity is an instance in the store whose id begins with ``@`` and whose name is ``@`` and that of
its code. It is PENDING while it has nothing to remember and RUNNING otherwise, and never finishes.
Its turns are made as those of orchestrations are, by whoever owns it, and committed with the same
fence: that is what makes its operations serial across all workers (rule *entity-serial*), each of
them counted once, and its messages leave if and only if its state changes.

History grows with every turn, so an entity continues as new now and then; what it remembers is the
input of the next execution.

Whoever asks an entity for something creates it in the same batch if it is not there. A create that
finds it changes nothing, and the store promises that the message of the same batch then finds it
too. So no message is lost to an entity that is being removed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from durabletask.actions import SignalEntity, StartOrchestration
from durabletask.backend import EntityResult, EntityWorkItem, OperationResult
from durabletask.engine.runtime_state import TurnOutcome
from durabletask.history import (
    EntityCaller,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    HistoryEvent,
    OrchestratorStarted,
    encode_chunk,
    encode_event,
)
from durabletask.state import OrchestrationStatus
from durabletask.store.batch import InstanceUpdate, Message, NewInstance, NextExecution, Turn
from durabletask.store.effect import TurnEffect
from durabletask.store.identity import next_execution_id
from durabletask.store.instance import OwnedEntity, OwnedInstance, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.actions import EntityAction
    from durabletask.engine import EntityPlan
    from durabletask.history import EntityRequest
    from durabletask.state import FailureDetails
    from durabletask.store.source import StoreWorkItemSource

__all__ = ["EntityTurns", "new_entity"]

_log = logging.getLogger("durabletask.store.entity")

_OPERATIONS: Final = 256
"""Operations of one entity in one turn, so that one that is asked for much lets others run."""

_TURNS: Final = 128
_WEIGHT: Final = 64 * 1024
"""An execution of an entity goes on as a new one after so many turns, or bytes of history and four
times its state: what is written besides the turns themselves stays a small part of it."""


def new_entity(instance_id: str, now: int, execution_id: str, *, owned: bool) -> NewInstance:
    """The row of an entity, to be created unless it is there."""
    return NewInstance(
        instance_id=instance_id,
        execution_id=execution_id,
        name=_name_of(instance_id),
        created_at=now,
        owned=owned,
    )


class EntityTurns:
    """What one work item source does about entities."""

    def __init__(self, source: StoreWorkItemSource) -> None:
        self._source = source

    # --- a turn --------------------------------------------------------------------------------

    def begin(self, instance: OwnedInstance, now: int) -> EntityWorkItem:
        """Plan a turn. The item may have no operations; then there is nothing to run."""
        entity = _entity_of(instance)
        entity.received = instance.take()
        entity.plan = entity.memory.plan(entity.received, _OPERATIONS)
        return EntityWorkItem(
            instance.instance_id,
            instance.execution_id,
            instance.name[1:],
            instance.sequence,
            max(now, instance.clock),  # rule replay-clock
            entity.memory.state,
            entity.plan.operations,
            instance,
        )

    def give_up(self, instance: OwnedInstance) -> None:
        """The turn comes to nothing; what it has received waits for the next."""
        entity = _entity_of(instance)
        assert entity.plan is not None
        entity.memory.undo(entity.plan)
        instance.restore([*entity.received])
        entity.plan, entity.received = None, ()

    def refuse(self, instance: OwnedInstance, now: int, failure: FailureDetails) -> None:
        """Fail operations that wait, and give the entity up: nobody here has the code."""
        item = self.begin(instance, now)
        for operation in item.operations:
            if isinstance(operation, EntityOperationSignaled):
                _log.warning(
                    "the signal %r to entity %s is dropped: %s",
                    operation.operation,
                    item.instance_id,
                    failure.message,
                )
        results = [OperationResult(failure=failure) for _ in item.operations]
        if self.complete(instance, item, EntityResult(results, [], item.state)):
            busy = _entity_of(instance).goes_on
            self._source.lane.pending.released.append((instance, busy))

    def complete(self, instance: OwnedInstance, item: EntityWorkItem, result: EntityResult) -> bool:
        """Put a turn that was made into the next batch, with all that follows from it.

        Returns:
            False if it cannot be recorded; then the entity is set aside.
        """
        entity = _entity_of(instance)
        plan, received = entity.plan, entity.received
        assert plan is not None
        entity.plan, entity.received = None, ()
        advanced = entity.memory.advanced(plan, result.state)
        events: list[HistoryEvent] = [OrchestratorStarted(item.started_at), *received, advanced]
        try:
            chunk = encode_chunk(events)
        except Exception as error:
            # A custom converter may give text that no store takes. A hand-over never fails.
            self._source.set_aside(instance, f"a turn cannot be recorded: {error!r}", None)
            return False
        entity.weight += len(chunk)
        entity.goes_on = plan.is_partial
        turn, status = self._turn(instance, entity, item.started_at, chunk)
        instance.phase = Phase.COMMITTING
        pending = self._source.lane.pending
        pending.turns.append(turn)
        pending.effects.append(
            TurnEffect(instance, turn, TurnOutcome(events), (), status, msgspec.UNSET)
        )
        self._answer(plan, result.results)
        self._act(item, result.actions)
        self._source.lane.kick()
        return True

    def _turn(
        self, instance: OwnedInstance, entity: OwnedEntity, now: int, chunk: bytes
    ) -> tuple[Turn, OrchestrationStatus]:
        memory = entity.memory
        status = OrchestrationStatus.PENDING if memory.is_blank else OrchestrationStatus.RUNNING
        following: NextExecution | None = None
        update: InstanceUpdate | None = None
        heavy = entity.weight > _WEIGHT + 4 * len(memory.state or "")
        if heavy or instance.sequence >= _TURNS - 1:
            following = NextExecution(
                execution_id=next_execution_id(now, instance.execution_id, instance.sequence, 0),
                input=memory.snapshot(),
                version=None,
            )
        elif status is not instance.status or entity.goes_on != instance.busy:
            update = InstanceUpdate(
                status=status.value if status is not instance.status else msgspec.UNSET,
                busy=entity.goes_on if entity.goes_on != instance.busy else msgspec.UNSET,
            )
        turn = Turn(
            instance_id=instance.instance_id,
            execution_id=instance.execution_id,
            sequence=instance.sequence,
            recorded_at=now,
            chunk=chunk,
            consumed=[*instance.taken],
            update=update,
            next=following,
            crashes_cleared=instance.crashes > 0,
        )
        return turn, status

    # --- what follows from it ------------------------------------------------------------------

    def _answer(self, plan: EntityPlan, results: Iterable[OperationResult]) -> None:
        for operation, outcome in zip(plan.operations, results, strict=True):
            if isinstance(operation, EntityOperationCalled) and operation.caller is not None:
                number, name = operation.task_id, operation.request_id
                answer: HistoryEvent
                if outcome.failure is None:
                    answer = EntityOperationCompleted(number, outcome.result, name)
                else:
                    answer = EntityOperationFailed(number, outcome.failure, name)
                self._tell(operation.caller, answer)
        for receiver, event in plan.answers:
            if isinstance(receiver, EntityCaller):
                self._tell(receiver, event)
            else:
                self._send(receiver, event)

    def _tell(self, caller: EntityCaller, event: HistoryEvent) -> None:
        message = Message(caller.instance_id, encode_event(event), execution_id=caller.execution_id)
        self._source.send([message])

    def _act(self, item: EntityWorkItem, actions: Iterable[EntityAction]) -> None:
        for number, action in enumerate(actions):
            if isinstance(action, SignalEntity):
                event = EntityOperationSignaled(
                    0,
                    action.entity_id,
                    action.operation,
                    action.input,
                    action.scheduled_at,
                    action.request_id,
                )
                self._send(action.entity_id, event)
            else:
                self._start(item, action, number)

    def _start(self, item: EntityWorkItem, start: StartOrchestration, number: int) -> None:
        now = item.started_at
        later = start.start_at is not None and start.start_at > now
        execution_id = next_execution_id(now, item.execution_id, item.sequence, number + 1)
        pending = self._source.lane.pending
        pending.creates.append(
            NewInstance(
                instance_id=start.instance_id,
                execution_id=execution_id,
                name=start.name,
                version=start.version,
                input=start.input,
                tags=start.tags,
                created_at=now,
                start_at=start.start_at or 0,
                owned=not later and self._source.has_room_for(start.name, start.version),
            )
        )
        pending.create_futures.append(None)

    # --- what entities are asked for -----------------------------------------------------------

    def ask(self, caller: EntityCaller, asked: Iterable[tuple[str, EntityRequest]]) -> None:
        """Send what an orchestration asks of entities, with the next batch and in this order."""
        for entity_id, event in asked:
            if not isinstance(event, EntityOperationSignaled):
                event = msgspec.structs.replace(event, caller=caller)
            self._send(entity_id, event)

    def unlock(self, instance: OwnedInstance) -> None:
        """Give up every lock of an execution that ends (rule *entity-lock*).

        Some may not have been granted yet, so the word follows each request on its way.
        """
        caller = EntityCaller(instance.instance_id, instance.execution_id)
        for lock_id, entities in (instance.locks or {}).items():
            first, *following = entities
            self._send(first, EntityUnlockSent(0, first, lock_id, caller, tuple(following)))

    def _send(self, entity_id: str, event: HistoryEvent) -> None:
        self._summon(entity_id)
        visible_at = 0
        if isinstance(event, EntityOperationSignaled):
            visible_at = event.scheduled_at or 0
        self._source.send([Message(entity_id, encode_event(event), visible_at=visible_at)])

    def _summon(self, entity_id: str) -> None:
        """Have an entity created that may not be there.

        One that is owned here is. It is removed by nobody before it is released, and a release
        comes in the batch of this message, in which messages come first, or in a later one.
        """
        pending = self._source.lane.pending
        owned = self._source.holdings.owned.get(entity_id)
        is_here = owned is not None and owned.phase is not Phase.LEAVING
        if is_here or entity_id in pending.summoned:
            return
        pending.summoned.add(entity_id)
        now = self._source.now()
        row = new_entity(
            entity_id,
            now,
            self._source.new_execution_id(now),
            owned=self._source.has_room_for(_name_of(entity_id)),
        )
        pending.creates.append(row)
        pending.create_futures.append(None)


def _name_of(entity_id: str) -> str:
    """Under which name the store keeps an entity: ``@`` and that of its code."""
    name, _, _ = entity_id[1:].partition("@")
    return f"@{name}"


def _entity_of(instance: OwnedInstance) -> OwnedEntity:
    assert instance.entity is not None
    return instance.entity
