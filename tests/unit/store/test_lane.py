"""What a lane does when commits fail, get lost, or come too late."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.backend import StartRequest
from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendUnavailableError,
    InstanceAlreadyExistsError,
    LaneFencedError,
    UnknownCommitError,
)
from durabletask.history import TaskCompleted, TaskScheduled
from durabletask.store import StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from durabletask.store import (
        Batch,
        CommitResult,
        Interest,
        LaneKey,
        LaneOptions,
        LaneStanding,
        Work,
    )

pytestmark = pytest.mark.asyncio

_names = itertools.count()


class FaultyStore(MemoryStore):
    """A memory store whose commits go wrong as ``fault`` says: it gives a kind, or None."""

    def __init__(self, fault: Callable[[Batch], str | None]) -> None:
        super().__init__(f"faulty-{next(_names)}")
        self.fault = fault
        self.faults: list[str] = []

    async def commit(self, batch: Batch) -> CommitResult:
        kind = self.fault(batch)
        if kind is None:
            return await super().commit(batch)
        self.faults.append(kind)
        if kind == "unavailable":
            raise BackendUnavailableError("the store is away")
        if kind == "broken":
            raise RuntimeError("a bug of the store")
        if kind == "clash":
            raise LaneFencedError("somebody else has written this turn")
        if kind == "fenced":
            await self.close_lane(batch.lane)
            return await super().commit(batch)
        if kind in ("applied", "applied-fenced"):
            await super().commit(batch)
        if kind in ("applied-fenced", "lost-fenced"):
            await self.close_lane(batch.lane)
        await asyncio.sleep(0)
        raise UnknownCommitError("the connection broke")

    def commit_now(self, batch: Batch) -> CommitResult | None:
        return None


@task.activity
async def add_one(ctx: task.ActivityContext, number: int) -> int:
    for _ in range(number % 3):
        await asyncio.sleep(0)
    return number + 1


@task.orchestration
def count(ctx: task.OrchestrationContext, steps: int) -> Any:
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity(add_one, input=number)
    return number


async def run(store: FaultyStore, instances: int, steps: int) -> None:
    """Run orchestrations, and check that each has one right outcome and a whole history."""
    backend = StoreBackend(store, StoreOptions(poll_interval=0.05, lease=3600.0))
    async with TaskHubWorker(backend=backend) as worker:
        worker.add_orchestration(count)
        worker.add_activity(add_one)
        await worker.start()
        client = TaskHubClient(backend=backend)
        ids = await asyncio.gather(
            *(
                client.schedule_new_orchestration(count, input=steps, instance_id=f"i{n}")
                for n in range(instances)
            )
        )
        for instance_id in ids:
            state = await client.wait_for_orchestration_completion(instance_id, timeout=30)
            assert state.result == steps, state
            history = await client.get_orchestration_history(instance_id)
            scheduled = [e.task_id for e in history if isinstance(e, TaskScheduled)]
            completed = [e.task_id for e in history if isinstance(e, TaskCompleted)]
            assert scheduled == completed == list(range(1, steps + 1))


@pytest.mark.parametrize("kind", ["applied", "lost", "unavailable", "fenced"])
async def test_each_commit_goes_wrong_once(kind: str) -> None:
    """**turn-atomic** However a commit fails, its turns are made once, and clients are answered."""
    seen: set[int] = set()

    def fault(batch: Batch) -> str | None:
        key = hash((batch.lane.lane_id if kind == "fenced" else 0, batch.number))
        if key in seen or (kind == "fenced" and batch.lane.lane_id > 8):
            return None
        seen.add(key)
        return kind

    store = FaultyStore(fault)
    await run(store, instances=5, steps=4)
    assert store.faults


@pytest.mark.parametrize("seed", range(5))
async def test_commits_go_wrong_at_random(seed: int) -> None:
    """**failure-infra** Any mixture of faults slows orchestrations down and changes nothing."""
    chance = random.Random(seed)
    kinds = ("applied", "lost", "unavailable", "fenced", "clash")
    store = FaultyStore(lambda _: chance.choice(kinds) if chance.random() < 0.4 else None)
    await run(store, instances=8, steps=20)
    assert len(store.faults) > 3


async def test_a_lane_that_lives_on_is_given_up() -> None:
    """**failure-infra** What it owns need not wait for the end of its lease, here an hour."""
    store = FaultyStore(lambda batch: "clash" if batch.number == 4 and not store.faults else None)
    await run(store, instances=5, steps=8)
    assert store.faults == ["clash"]


async def test_a_lane_that_cannot_be_opened_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """**failure-infra** Whatever the store says to it: nothing else would let the worker go on."""
    store = FaultyStore(lambda batch: "clash" if batch.number == 4 and not store.faults else None)
    open_lane, refusals = store.open_lane, iter([RuntimeError("a bug of the store")])

    async def refuse_once(options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        if store.faults and (refusal := next(refusals, None)):
            raise refusal
        return await open_lane(options)

    monkeypatch.setattr(store, "open_lane", refuse_once)
    await run(store, instances=5, steps=8)
    assert "no new lane can be opened" in caplog.text


async def test_a_start_whose_answer_was_lost_is_made_once() -> None:
    """**start-duplicate** The second look tells that the id was taken, not that it was free."""
    answers = iter(["applied", None, "lost", None])
    store = FaultyStore(lambda batch: next(answers, None) if batch.creates else None)
    backend = StoreBackend(store)
    async with backend:
        request = StartRequest(name="anything", instance_id="same")
        assert await backend.create_instance(request) == "same"
        with pytest.raises(InstanceAlreadyExistsError):
            await backend.create_instance(request)
    assert store.faults == ["applied"]


class ForgetfulStore(FaultyStore):
    """Raises the epoch, and loses the answer while a poll under the old key is refused."""

    def __init__(self, fault: Callable[[Batch], str | None]) -> None:
        super().__init__(fault)
        self._refused = asyncio.Event()
        self._forgot = False

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        try:
            return await super().poll(lane, interest)
        except LaneFencedError:
            self._refused.set()
            raise

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        resolved = await super().resolve(batch)
        if self._forgot:
            return resolved
        self._forgot = True
        await self._refused.wait()
        await asyncio.sleep(0.01)
        raise BackendUnavailableError("the answer was lost")


@pytest.mark.parametrize("kind", ["applied", "lost"])
async def test_a_refusal_during_the_look_up_is_no_loss(kind: str) -> None:
    """**failure-infra** The lane that raises its own epoch does not take itself for lost.

    It would open another, then go back to the first when the answer comes, and that one would live
    on for ever with everything that nobody remembers it owns.
    """
    store = ForgetfulStore(lambda batch: kind if batch.number == 4 and not store.faults else None)
    await run(store, instances=5, steps=4)
    assert store.faults == [kind]
    assert store._hub is not None
    assert store._hub.next_lane() == 2, "a second lane was opened"


class EmbeddedStore(MemoryStore):
    """Commits at once; of one commit it does not know the outcome."""

    def __init__(self, *, applied: bool) -> None:
        super().__init__(f"faulty-{next(_names)}")
        self.in_doubt: int | None = None
        self.overtaken = False
        self._applied = applied

    def commit_now(self, batch: Batch) -> CommitResult | None:
        self.overtaken |= self.in_doubt is not None
        if self.in_doubt is None and batch.number == 6:
            self.in_doubt = batch.number
            if self._applied:
                super().commit_now(batch)
            raise UnknownCommitError("an I/O error")
        return super().commit_now(batch)

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        assert batch.number == self.in_doubt
        resolved = await super().resolve(batch)
        self.in_doubt = None
        self.commit_now = super().commit_now  # type: ignore[method-assign]
        return resolved


@pytest.mark.parametrize("applied", [True, False])
async def test_nothing_overtakes_a_commit_in_doubt(*, applied: bool) -> None:
    """**turn-atomic** A lane has one batch on its way: a later one would hide what came of it.

    The worker, with the next turn at hand and nothing else to do, would commit that at once.
    """
    store = EmbeddedStore(applied=applied)
    backend = StoreBackend(store, StoreOptions(poll_interval=0.05, lease=3600.0))
    async with TaskHubWorker(backend=backend) as worker:
        worker.add_orchestration(count)
        worker.add_activity(add_one)
        await worker.start()
        client = TaskHubClient(backend=backend)
        async with asyncio.timeout(20):
            starts = [client.schedule_new_orchestration(count, input=9) for _ in range(9)]
            for started in await asyncio.gather(*starts):
                state = await client.wait_for_orchestration_completion(started)
                assert state.result == 9
    assert not store.overtaken


@pytest.mark.parametrize("kind", ["applied-fenced", "lost-fenced"])
async def test_a_start_in_doubt_on_a_lost_lane_is_made_once(kind: str) -> None:
    """**start-duplicate** A start is never refused because of itself."""
    answers = iter([kind])
    store = FaultyStore(lambda batch: next(answers, None) if batch.creates else None)
    backend = StoreBackend(store)
    async with backend:
        request = StartRequest(name="anything", instance_id="same")
        assert await backend.create_instance(request) == "same"
        with pytest.raises(InstanceAlreadyExistsError):
            await backend.create_instance(request)


@pytest.mark.parametrize("kind", ["applied-fenced", "lost-fenced"])
async def test_an_event_in_doubt_on_a_lost_lane_is_not_sent_again(kind: str) -> None:
    """**event-name** An event counts once at most: nobody but the sender may send it again."""
    answers = iter([kind])
    store = FaultyStore(lambda batch: next(answers, None) if batch.messages else None)
    backend = StoreBackend(store)
    async with backend:
        await backend.create_instance(StartRequest(name="anything", instance_id="same"))
        with pytest.raises(UnknownCommitError, match="unknown whether the message to 'same'"):
            await backend.raise_event("same", "go", None)
        assert store._hub is not None
        assert len(store._hub.instances["same"].inbox) == (1 if kind == "applied-fenced" else 0)


@pytest.mark.parametrize("kind", ["applied-fenced", "lost-fenced"])
async def test_a_start_bears_witness_for_the_rest_of_its_batch(kind: str) -> None:
    """**event-name** What was sent in one batch with a start is known to be sent, or is sent."""
    answers = iter([kind])
    store = FaultyStore(lambda batch: next(answers, None) if batch.messages else None)
    backend = StoreBackend(store)
    async with backend:
        await backend.create_instance(StartRequest(name="anything", instance_id="old"))
        await asyncio.gather(
            backend.create_instance(StartRequest(name="anything", instance_id="new")),
            backend.raise_event("old", "go", None),
        )
        assert store._hub is not None
        assert len(store._hub.instances["old"].inbox) == 1


async def test_a_bug_of_the_store_is_told_to_clients_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client that asked hears of it; the lane starts anew and serves the next."""
    answers = iter(["broken"])
    store = FaultyStore(lambda batch: next(answers, None) if batch.creates else None)
    backend = StoreBackend(store)
    async with backend:
        with pytest.raises(RuntimeError, match="a bug of the store"):
            await backend.create_instance(StartRequest(name="anything", instance_id="one"))
        assert await backend.create_instance(StartRequest(name="anything")) is not None
    assert "could not take a batch" in caplog.text


class HazyStore(MemoryStore):
    """Does not show its first lane the last turn of what it owns; or of some id, no lane."""

    def __init__(self, damaged: str | None = None) -> None:
        super().__init__(f"hazy-{next(_names)}")
        self.lanes: list[LaneKey] = []
        self._damaged = damaged

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        key, standing = await super().open_lane(options)
        if options.orchestrations:
            self.lanes.append(key)
        return key, standing

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        return [
            chunks[:-1] if self._is_hazy(instance_id) else chunks
            for (instance_id, _), chunks in zip(
                executions, await super().read_history(executions), strict=True
            )
        ]

    def _is_hazy(self, instance_id: str) -> bool:
        return len(self.lanes) == 1 if self._damaged is None else instance_id == self._damaged


@asynccontextmanager
async def counting(store: HazyStore, *ids: str) -> AsyncIterator[TaskHubClient]:
    """Instances that run on a worker which can keep one of them in memory at a time."""
    backend = StoreBackend(store, StoreOptions(lease=3600.0))
    worker = TaskHubWorker(backend=backend, options=WorkerOptions(max_cached_sessions=1))
    async with worker:
        worker.add_orchestration(count)
        worker.add_activity(add_one)
        await worker.start()
        client = TaskHubClient(backend=backend)
        for instance_id in ids:
            await client.schedule_new_orchestration(count, input=9, instance_id=instance_id)
        yield client


async def test_a_lane_at_odds_with_its_store_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    """**failure-infra** Whoever of the two is wrong, the instance goes on from what is durable."""
    store = HazyStore()
    async with counting(store, "a", "b", "c") as client:
        for instance_id in ("a", "b", "c"):
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state.result == 9
    assert len(store.lanes) == 2
    assert "it is given up" in caplog.text


async def test_what_has_lost_a_turn_is_set_aside() -> None:
    """**failure-infra** A damaged instance stands still and says why; the others go on."""
    store = HazyStore(damaged="b")
    async with counting(store, "a", "b", "c") as client:
        for instance_id in ("a", "c"):
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state.result == 9
        async with asyncio.timeout(20):
            while True:
                state = await client.get_orchestration_state("b")
                if state is not None and state.parked_reason:
                    break
                await asyncio.sleep(0.01)
        assert "some are lost" in state.parked_reason
    assert len(store.lanes) == 2
