"""Random histories: a store and the model of it are told the same, and say the same."""

from __future__ import annotations

import asyncio
import functools
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from durabletask.errors import LaneFencedError
from durabletask.store import (
    FinishedActivity,
    InstanceUpdate,
    LaneKey,
    Message,
    NextExecution,
    Park,
    Store,
    Turn,
)
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    activity,
    finish,
    instance,
    turn,
)
from durabletask.testing.conformance.store.fixtures import Advance, StoreFixtures
from durabletask.testing.conformance.store.model import ModelActivity, ModelInstance, ModelStore

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from durabletask.store import Batch, CommitResult, Work

__all__ = ["RandomHistorySuite"]

T = TypeVar("T")

_NEVER = 1_000_000
"""So many crashes make a suspect here: suspects have tests of their own."""

_LEASES = (0.02, 3600.0)
"""Of a lane that ``take_over`` ends, and of one that it does not."""

_VERSIONS = (None, "", "1", "2")

_examples = itertools.count()
_picks = st.integers(0, 1000)
_versions = st.sampled_from(_VERSIONS)


class _Machine(RuleBasedStateMachine):
    """Lanes that write and read in any order.

    Hypothesis calls the rules in a thread; ``_run`` carries each call of the store to the event
    loop that the store lives in. The ids of every example are its own, so one hub serves all.
    """

    def __init__(self, store: Store, advance: Advance, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._store = store
        self._advance = advance
        self._loop = loop
        self._example = next(_examples)
        self._names = {f"order-{self._example}": "v1"}
        self._ships = f"ship-{self._example}"
        self._model = ModelStore()
        self._lanes: list[LaneDriver] = []
        self._old_keys: list[tuple[LaneKey, Batch]] = []
        self._count = 0
        self._patience = 2  # most stores really wait for a lease to end

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(30)

    async def _pass_time(self, seconds: float) -> None:
        await self._advance(seconds)

    def teardown(self) -> None:
        self._agree()
        for lane in self._lanes:
            self._run(self._store.close_lane(lane.key))
        for row in [*self._model.instances]:
            self._run(self._store.purge_instances([row], recursive=False))

    # --- choosing ------------------------------------------------------------------------------

    def _next(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._example}-{self._count}"

    def _lane(self, pick: int) -> LaneDriver:
        return self._lanes[pick % len(self._lanes)]

    def _owned(self, pick: int) -> tuple[LaneDriver, ModelInstance] | None:
        """A lane and something it owns."""
        pairs = [
            (lane, row) for lane in self._lanes for row in self._model.owned_by(lane.key.lane_id)
        ]
        return pairs[pick % len(pairs)] if pairs else None

    def _any(self, pick: int) -> str:
        """The id of an instance, or of none."""
        ids = [*self._model.instances, f"missing-{self._example}"]
        return ids[pick % len(ids)]

    def _turn(self, row: ModelInstance, **fields: Any) -> Turn:
        return turn(row.instance_id, len(row.chunks), execution_id=row.execution_id, **fields)

    # --- lanes ---------------------------------------------------------------------------------

    @initialize(leases=st.tuples(*[st.sampled_from(_LEASES)] * 2))
    def begin(self, leases: tuple[float, ...]) -> None:
        """Two lanes that own something, so that there is something to do."""
        for number, lease in enumerate(leases):
            self.open_lane(lease)
            self.create(number, len(self._model.instances), True, None)

    @precondition(lambda self: len(self._lanes) < 3)
    @rule(lease=st.sampled_from(_LEASES))
    def open_lane(self, lease: float) -> None:
        opening = LaneDriver.open(
            self._store,
            lease=lease,
            orchestrations=self._names,
            activities=frozenset({self._ships}),
        )
        lane = self._run(opening)
        assert lane.key.lane_id not in self._model.lanes, "a lane id is never used twice"
        self._lanes.append(lane)
        self._model.lanes.add(lane.key.lane_id)

    @precondition(lambda self: self._lanes)
    @rule(pick=_picks)
    def close_lane(self, pick: int) -> None:
        lane = self._lane(pick)
        self._run(self._store.close_lane(lane.key))
        self._lanes.remove(lane)
        self._model.end_lane(lane.key.lane_id, in_peace=True)

    @precondition(
        lambda self: (
            self._patience and any(lane.options.lease == _LEASES[0] for lane in self._lanes)
        )
    )
    @rule()
    def take_over(self) -> None:
        self._patience -= 1
        self._run(self._pass_time(2 * _LEASES[0]))
        dead = [lane for lane in self._lanes if lane.options.lease == _LEASES[0]]
        assert self._run(self._store.take_over()) == len(dead)
        for lane in dead:
            self._lanes.remove(lane)
            self._model.end_lane(lane.key.lane_id, in_peace=False)
            with pytest.raises(LaneFencedError):
                self._run(self._store.renew_lane(lane.key))

    # --- commits that are good -----------------------------------------------------------------

    @precondition(lambda self: self._lanes)
    @rule(pick=_picks, other=_picks, owned=st.booleans(), version=_versions)
    def create(self, pick: int, other: int, owned: bool, version: str | None) -> None:
        lane, known = self._lane(pick), self._any(other)
        instance_id = known if known in self._model.instances else self._next("order")
        name = next(iter(self._names))
        new = instance(instance_id, name=name, owned=owned, version=version)
        result = self._run(lane.commit(creates=[new]))
        self._created(instance_id, result, lane.key.lane_id if owned else None, version)

    def _created(
        self, instance_id: str, result: CommitResult, owner: int | None, version: str | None
    ) -> None:
        taken = instance_id in self._model.instances
        assert result.refused == (frozenset({0}) if taken else frozenset())
        if not taken:
            self._model.instances[instance_id] = ModelInstance(instance_id, owner, version)

    @precondition(lambda self: self._lanes)
    @rule(pick=_picks, other=_picks, owned=st.booleans())
    def summon(self, pick: int, other: int, owned: bool) -> None:
        """Who sends may create the receiver if need be, and then it is there."""
        lane, known = self._lane(pick), self._any(other)
        instance_id = known if known in self._model.instances else self._next("order")
        new = instance(instance_id, name=next(iter(self._names)), owned=owned)
        sent = Message(instance_id, self._next("message").encode())
        result = self._run(lane.commit(creates=[new], messages=[sent]))
        assert not result.missing
        self._created(instance_id, result, lane.key.lane_id if owned else None, None)
        self._model.deliver(instance_id, sent.body, None)

    @precondition(lambda self: self._owned(0))
    @rule(
        pick=_picks,
        consume=st.integers(0, 3),
        status=st.sampled_from(["RUNNING", "PENDING"]),
        busy=st.booleans(),
        end=st.sampled_from([None, None, None, "finish", "continue"]),
        sends=st.lists(_picks, max_size=2),
        calls=st.integers(0, 2),
        doubt=st.sampled_from([None, "applied", "lost"]),
        version=_versions,
    )
    def take_turn(
        self,
        pick: int,
        consume: int,
        status: str,
        busy: bool,
        end: str | None,
        sends: list[int],
        calls: int,
        doubt: str | None,
        version: str | None,
    ) -> None:
        """A turn with all that it brings about; maybe its answer is lost, and looked up."""
        owned = self._owned(pick)
        if owned is None:
            return
        lane, row = owned
        held = self._inbox(lane, row)[:consume]
        chunk = self._next("chunk").encode()
        update = InstanceUpdate(status=status, busy=busy)
        made = self._made(row, chunk, held, update, end, version)
        messages = [self._message(target) for target in sends]
        rows = [
            activity(
                row.instance_id,
                self._count * 10 + n,
                execution_id=row.execution_id,
                name=self._ships,
            )
            for n in range(calls)
        ]
        batch = lane.batch(turns=[made], messages=messages, activities=rows)
        result = self._settle(lane, batch, doubt)
        if result is None:
            return
        self._model.take_turn(
            row, chunk, len(held), status=status, busy=busy, end=end, version=version
        )
        missing = {
            n
            for n, sent in enumerate(messages)
            if not self._model.deliver(sent.instance_id, sent.body, sent.execution_id)
        }
        assert result.missing == missing
        for queued in rows:
            self._model.activities.append(
                ModelActivity(queued.instance_id, queued.execution_id, queued.task_id)
            )

    def _made(
        self,
        row: ModelInstance,
        chunk: bytes,
        held: list[int],
        update: InstanceUpdate,
        end: str | None,
        version: str | None,
    ) -> Turn:
        """A turn that goes on, finishes, or continues as new."""
        if end == "finish":
            return finish(
                row.instance_id,
                len(row.chunks),
                execution_id=row.execution_id,
                chunk=chunk,
                consumed=held,
            )
        if end == "continue":
            following = NextExecution(
                execution_id=f"{row.instance_id}/{row.generation + 1}",
                input=None,
                version=version,
                carryover=b"carried over",
            )
            return self._turn(row, chunk=chunk, consumed=held, next=following)
        return self._turn(row, chunk=chunk, consumed=held, update=update)

    def _settle(self, lane: LaneDriver, batch: Batch, doubt: str | None) -> CommitResult | None:
        """Commit, or let the answer be lost and look; None if it was not applied."""
        result = None
        if doubt != "lost":
            result = self._run(self._store.commit(batch))
        if doubt is not None:
            key, found = self._run(self._store.resolve(batch))
            assert key.lane_id == lane.key.lane_id and key.epoch > lane.key.epoch
            assert found == result
            self._old_keys.append((lane.key, batch))
            lane.key = key
        lane.number += 1
        return result

    def _message(self, pick: int) -> Message:
        target = self._any(pick)
        row = self._model.instances.get(target)
        bound = None
        if row is not None and pick % 3:
            bound = row.execution_id if pick % 3 == 1 else f"{target}/0"
        return Message(target, self._next("message").encode(), execution_id=bound)

    @precondition(lambda self: self._lanes)
    @rule(pick=_picks, other=_picks, number=st.integers(1, 3))
    def send(self, pick: int, other: int, number: int) -> None:
        messages = [self._message(other + n) for n in range(number)]
        result = self._run(self._lane(pick).commit(messages=messages))
        assert result.missing == {
            n
            for n, sent in enumerate(messages)
            if not self._model.deliver(sent.instance_id, sent.body, sent.execution_id)
        }

    @precondition(lambda self: self._owned(0))
    @rule(pick=_picks, busy=st.booleans())
    def release(self, pick: int, busy: bool) -> None:
        owned = self._owned(pick)
        if owned is not None:
            lane, row = owned
            self._run(lane.commit(released=[(row.instance_id, busy)]))
            row.owner, row.busy = None, busy

    @precondition(lambda self: self._store.capabilities.parking)
    @rule(pick=_picks)
    def park(self, pick: int) -> None:
        owned = self._owned(pick)
        if owned is not None:
            lane, row = owned
            self._run(lane.commit(parked=[Park(row.instance_id, row.execution_id, "no", None)]))
            row.owner, row.parked = None, True

    @precondition(
        lambda self: self._lanes and any(row.parked for row in self._model.instances.values())
    )
    @rule(pick=_picks, other=_picks)
    def unpark(self, pick: int, other: int) -> None:
        parked = [row for row in self._model.instances.values() if row.parked]
        if parked:
            row = parked[other % len(parked)]
            sent = Message(row.instance_id, self._next("resume").encode(), unpark=True)
            self._run(self._lane(pick).commit(messages=[sent]))
            self._model.deliver(sent.instance_id, sent.body, None)
            row.parked, row.crashes = False, 0

    # --- commits that are refused --------------------------------------------------------------

    @precondition(lambda self: self._owned(0))
    @rule(
        pick=_picks,
        wrong=st.sampled_from(["epoch", "sequence", "execution", "owner", "message", "second"]),
    )
    def commit_badly(self, pick: int, wrong: str) -> None:
        """Nothing of a batch is written if one turn in it cannot be."""
        owned = self._owned(pick)
        if owned is None:
            return
        lane, row = owned
        good = self._turn(row)
        replace = msgspec.structs.replace
        others = [other for other in self._lanes if other is not lane]
        turns = {
            "epoch": [good],
            "sequence": [replace(good, sequence=good.sequence - 1)],
            "execution": [replace(good, execution_id=f"{row.instance_id}/0")],
            "owner": [good],
            "message": [replace(good, consumed=[2**40])],
            "second": [good, good],
        }[wrong]
        if wrong == "sequence" and not good.sequence:
            return
        if wrong == "owner":
            if not others:
                return
            lane = others[pick % len(others)]
        batch = lane.batch(
            creates=[instance(self._next("never"), name=next(iter(self._names)))],
            turns=turns,
            messages=[Message(row.instance_id, b"never")],
        )
        if wrong == "epoch":
            batch = replace(batch, lane=LaneKey(lane.key.lane_id, lane.key.epoch + 1))
        with pytest.raises(LaneFencedError):
            self._run(self._store.commit(batch))
        self._agree()

    @precondition(lambda self: self._old_keys)
    @rule(pick=_picks)
    def commit_late(self, pick: int) -> None:
        """A request that was given up comes after its lane has raised the epoch."""
        key, batch = self._old_keys[pick % len(self._old_keys)]
        assert batch.lane == key
        with pytest.raises(LaneFencedError):
            self._run(self._store.commit(batch))

    # --- work ----------------------------------------------------------------------------------

    @precondition(lambda self: self._lanes)
    @rule(
        pick=_picks,
        instances=st.integers(0, 3),
        activities=st.integers(0, 2),
        refused=st.frozensets(st.sampled_from(["", "1", "2"]), max_size=2),
    )
    def poll(self, pick: int, instances: int, activities: int, refused: frozenset[str]) -> None:
        """Inboxes are whole, and what is due is handed out, to one lane only."""
        lane = self._lane(pick)
        lane_id = lane.key.lane_id
        due = {
            row.instance_id
            for row in self._model.instances.values()
            if row.due and (row.version or "") not in refused
        }
        queued = [row for row in self._model.activities if row.claimed_by is None]
        mine = {row.instance_id: row for row in self._model.owned_by(lane_id)}
        work = self._poll(lane, instances, activities, refused)
        assert {key: [entry.body for entry in found] for key, found in work.inbox.items()} == {
            key: [body for body, _ in row.inbox] for key, row in mine.items() if row.inbox
        }
        claimed = {row.instance_id: row for row in work.instances}
        assert claimed.keys() <= due and len(work.instances) == min(instances, len(due))
        for instance_id, found in claimed.items():
            row = self._model.instances[instance_id]
            assert (found.execution_id, found.sequence) == (row.execution_id, len(row.chunks))
            assert (found.status, found.busy) == (row.status, row.busy)
            assert (found.version or None) == (row.version or None)
            assert (found.crashes, found.carryover) == (row.crashes, row.carryover)
            assert [entry.body for entry in found.messages] == [body for body, _ in row.inbox]
            assert found.queued == {
                queue.task_id
                for queue in self._model.activities
                if queue.execution_id == row.execution_id
            }
            row.owner = lane_id
        assert len(work.activities) == min(activities, len(queued))
        for taken in work.activities:
            [queue] = [row for row in queued if row.task_id == taken.task_id]
            assert taken.crashes == queue.crashes
            queue.claimed_by, queue.token = lane_id, taken.token
            queue.activity_id = taken.activity_id

    def _poll(
        self,
        lane: LaneDriver,
        instances: int = 0,
        activities: int = 0,
        refused: frozenset[str] = frozenset(),
    ) -> Work:
        return self._run(
            lane.poll(
                max_instances=instances,
                max_activities=activities,
                probation_after=_NEVER,
                refused_versions=refused,
            )
        )

    def _inbox(self, lane: LaneDriver, row: ModelInstance) -> list[int]:
        """The ids of an instance's messages, after a look at what they are."""
        found = self._poll(lane).inbox.get(row.instance_id, [])
        assert [entry.body for entry in found] == [body for body, _ in row.inbox]
        ids = [entry.message_id for entry in found]
        assert ids == sorted(ids)
        return ids

    @precondition(lambda self: any(row.claimed_by for row in self._model.activities))
    @rule(pick=_picks, how=st.sampled_from(["finish", "old token", "return"]))
    def end_activity(self, pick: int, how: str) -> None:
        """The outcome under the token of the claim counts; any other is dropped."""
        pairs = [
            (lane, row) for lane in self._lanes for row in self._model.claimed_by(lane.key.lane_id)
        ]
        if not pairs:
            return
        lane, row = pairs[pick % len(pairs)]
        assert row.token is not None
        if how == "return":
            self._run(lane.commit(returned=[(row.activity_id, row.token)]))
            row.claimed_by = row.token = None
            return
        sent = Message(row.instance_id, self._next("outcome").encode(), row.execution_id)
        token = row.token + (1000 if how == "old token" else 0)
        self._run(lane.commit(finished=[FinishedActivity(row.activity_id, token, sent)]))
        if how == "finish":
            self._model.activities.remove(row)
            self._model.deliver(sent.instance_id, sent.body, sent.execution_id)

    # --- reading and upkeep --------------------------------------------------------------------

    @precondition(lambda self: any(row.finished for row in self._model.instances.values()))
    @rule(other=_picks)
    def purge(self, other: int) -> None:
        instance_id = self._any(other)
        deleted = self._run(self._store.purge_instances([instance_id], recursive=False))
        assert deleted == self._model.purge(instance_id)

    @precondition(lambda self: self._store.capabilities.entities)
    @rule(picks=st.lists(_picks, max_size=6))
    def purge_idle(self, picks: list[int]) -> None:
        ids = {self._any(pick) for pick in picks}
        deleted = self._run(self._store.purge_idle(sorted(ids)))
        assert deleted == self._model.purge_idle(ids)
        self._agree()

    def _agree(self) -> None:
        """What can be read is what the model says."""
        rows = [*self._model.instances.values()]
        ids = [row.instance_id for row in rows]
        found = self._run(self._store.get_instances(ids, payloads=True))
        assert {key: (row.status, row.execution_id) for key, row in found.items()} == {
            row.instance_id: (row.status, row.execution_id) for row in rows
        }
        executions = [(row.instance_id, row.execution_id) for row in rows]
        assert self._run(self._store.read_history(executions)) == [row.chunks for row in rows]


@pytest.mark.asyncio
class RandomHistorySuite(StoreFixtures):
    """Whatever order things happen in, the store does what a very simple one would do."""

    async def test_random_histories(self, store: Store, advance: Advance) -> None:
        """Lanes open, steal, commit well, badly, late and in doubt; the model agrees throughout."""
        loop = asyncio.get_running_loop()
        bounds = settings(
            max_examples=settings().max_examples // 3,  # each of them is long
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=(HealthCheck.too_slow,),
        )
        machine: Any = functools.partial(_Machine, store, advance, loop)
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=bounds)
