"""Applying a batch: everything is checked before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from msgspec import UNSET

from durabletask.errors import LaneFencedError
from durabletask.store.batch import FINISHED_STATUSES, CommitResult, NewInstance
from durabletask.stores.memory.rows import NOBODY, Activity, Instance

if TYPE_CHECKING:
    from durabletask.store.batch import (
        Batch,
        FinishedActivity,
        InstanceUpdate,
        NextExecution,
        Turn,
    )
    from durabletask.stores.memory.hub import Hub
    from durabletask.stores.memory.rows import Lane

__all__ = ["commit"]

_CLEAN = CommitResult()


def commit(hub: Hub, batch: Batch) -> CommitResult:
    """Apply a batch, whole or not at all.

    Raises:
        LaneFencedError: as ``Store.commit`` says. Nothing was written.
    """
    lane = hub.lane(batch.lane)
    refused = _refused(hub, batch.creates) if batch.creates else _CLEAN.refused
    _check_turns(hub, lane, batch, refused)

    # From here on nothing can fail.
    now = hub.clock()
    for position, new in enumerate(batch.creates):
        if position not in refused:
            _create(hub, lane, new, now)
        elif new.refusal is not None:
            hub.deliver(new.refusal, now)
    for turn in batch.turns:
        _turn(hub, turn, now)
    missing = [n for n, message in enumerate(batch.messages) if not hub.deliver(message, now)]
    for row in batch.activities:
        hub.enqueue(Activity(hub.next_activity(), row), now)
    if batch.finished:
        _finished(hub, batch.finished, now)
    if batch.parked or batch.released or batch.returned:
        _give_up(hub, lane, batch, now)

    lane.number = batch.number
    lane.result = CommitResult(refused, frozenset(missing)) if refused or missing else _CLEAN
    return lane.result


# --- checks ------------------------------------------------------------------------------------


def _refused(hub: Hub, creates: list[NewInstance]) -> frozenset[int]:
    """Positions of the creates whose id is taken, maybe by an earlier one."""
    taken: set[str] = set()
    refused: set[int] = set()
    for position, new in enumerate(creates):
        existing = hub.instances.get(new.instance_id)
        if new.instance_id in taken or not (existing is None or _may_replace(new, existing)):
            refused.add(position)
        taken.add(new.instance_id)
    return frozenset(refused)


def _may_replace(new: NewInstance, existing: Instance) -> bool:
    if existing.status not in new.replace or existing.status not in FINISHED_STATUSES:
        return False
    parent = existing.parent.instance_id if existing.parent is not None else None
    return new.replace_child_of is None or new.replace_child_of == parent


def _check_turns(hub: Hub, lane: Lane, batch: Batch, refused: frozenset[int]) -> None:
    """Raise LaneFencedError unless every turn continues what precedes it, in store or batch."""
    # What this batch has written last of the instances it has touched so far.
    latest: dict[str, NewInstance | Turn] = {}
    if batch.creates:
        latest = {
            new.instance_id: new
            for position, new in enumerate(batch.creates)
            if position not in refused
        }
    used: set[int] = set()
    for turn in batch.turns:
        row = hub.instances.get(turn.instance_id)
        before = latest.get(turn.instance_id)
        if before is not None:
            execution_id, sequence = _after(before)
        elif row is not None and row.owner == lane.lane_id:
            execution_id, sequence = row.execution_id, len(row.chunks)
        else:
            execution_id, sequence = None, 0
        if execution_id != turn.execution_id:
            _fence(lane, turn, f"the lane does not own it under execution {turn.execution_id!r}")
        if sequence != turn.sequence:
            _fence(lane, turn, f"the store has {sequence} turns of this execution")
        for message_id in turn.consumed:
            if row is None or message_id not in row.inbox or message_id in used:
                _fence(lane, turn, f"its inbox has no message {message_id}")
            used.add(message_id)
        latest[turn.instance_id] = turn


def _after(written: NewInstance | Turn) -> tuple[str | None, int]:
    """The execution and the number of an instance's next turn; None if the lane has none."""
    if isinstance(written, NewInstance):
        return (written.execution_id if written.owned else None, 0)
    if written.next is not None:
        return (written.next.execution_id, 0)
    if written.update is not None and written.update.status in FINISHED_STATUSES:
        return (None, 0)
    return (written.execution_id, written.sequence + 1)


def _fence(lane: Lane, turn: Turn, reason: str) -> NoReturn:
    raise LaneFencedError(
        f"turn {turn.sequence} of instance {turn.instance_id!r} cannot be committed by lane "
        f"{lane.lane_id}: {reason}. Nothing of the batch was written; drop what the lane holds"
    )


# --- writes ------------------------------------------------------------------------------------


def _create(hub: Hub, lane: Lane, new: NewInstance, now: int) -> None:
    existing = hub.instances.get(new.instance_id)
    if existing is not None:
        hub.remove(existing)
    row = Instance(
        instance_id=new.instance_id,
        execution_id=new.execution_id,
        name=new.name,
        version=new.version,
        status="PENDING",
        input=new.input,
        tags=new.tags,
        parent=new.parent,
        created_at=new.created_at,
        updated_at=new.created_at,
        start_at=new.start_at,
        owner=lane.lane_id if new.owned else NOBODY,
    )
    hub.add(row, now)


def _turn(hub: Hub, turn: Turn, now: int) -> None:
    row = hub.instances[turn.instance_id]
    row.chunks.append(turn.chunk)
    row.recorded_at = row.updated_at = turn.recorded_at
    row.carryover = None
    if turn.crashes_cleared:
        row.crashes = 0
    if turn.consumed:
        row.consume(turn.consumed)
    for timer in turn.timers:
        row.put(hub.next_message(), timer, now)
    if turn.update is not None:
        _update(row, turn.update)
    if turn.to_children is not None:
        hub.tell_children(row, turn.to_children, now)
    if turn.next is not None:
        _go_on(row, turn.next)
    if row.status in FINISHED_STATUSES:
        row.completed_at = turn.recorded_at
        row.busy = False
        row.forget_all()
        hub.disown(row, now)
    elif turn.consumed or turn.timers or turn.next is not None:
        hub.settle(row, now)


def _update(row: Instance, update: InstanceUpdate) -> None:
    if update.status is not UNSET:
        row.status = update.status
    if update.busy is not UNSET:
        row.busy = update.busy
    if update.custom_status is not UNSET:
        row.custom_status = update.custom_status
    if update.output is not UNSET:
        row.output = update.output
    if update.failure is not UNSET:
        row.failure = update.failure


def _go_on(row: Instance, following: NextExecution) -> None:
    row.execution_id = following.execution_id
    row.input = following.input
    row.version = following.version
    row.carryover = following.carryover
    row.status = "RUNNING"
    row.busy = True
    row.chunks = []
    row.forget_bound()


def _finished(hub: Hub, outcomes: list[FinishedActivity], now: int) -> None:
    for outcome in outcomes:
        activity = hub.claimed(outcome.activity_id, outcome.token)
        if activity is not None:
            hub.dequeue(activity)
            hub.deliver(outcome.message, now)


def _give_up(hub: Hub, lane: Lane, batch: Batch, now: int) -> None:
    for park in batch.parked:
        row = lane.owned.get(park.instance_id)
        if row is not None and row.execution_id == park.execution_id:
            hub.park(row, park.reason, park.code, now)
    for instance_id, busy in batch.released:
        row = lane.owned.get(instance_id)
        if row is not None:
            row.busy = busy
            hub.disown(row, now)
    for activity_id, token in batch.returned:
        activity = hub.claimed(activity_id, token)
        if activity is not None:
            hub.give_back(activity, now)
