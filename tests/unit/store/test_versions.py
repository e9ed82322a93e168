"""Versions that a lane leaves to others: it meets each once, and then rests."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationStatus
from durabletask.store import StoreBackend, StoreOptions
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker, VersioningOptions, WorkerOptions

if TYPE_CHECKING:
    from durabletask.store import Batch, CommitResult, Interest, LaneKey, Work

pytestmark = pytest.mark.asyncio

_names = itertools.count()


class CountingStore(MemoryStore):
    """Writes down what is handed out and what is given up."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.claimed: list[str] = []
        self.given_up: list[tuple[str, bool]] = []
        self.owned: list[str] = []
        self.polls: list[frozenset[str]] = []

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        work = await super().poll(lane, interest)
        self.polls.append(interest.refused_versions)
        self.claimed += [row.instance_id for row in work.instances]
        return work

    def commit_now(self, batch: Batch) -> CommitResult | None:
        self._note(batch)
        return super().commit_now(batch)

    async def commit(self, batch: Batch) -> CommitResult:
        self._note(batch)
        return await super().commit(batch)

    def _note(self, batch: Batch) -> None:
        self.given_up += batch.released
        self.owned += [new.instance_id for new in batch.creates if new.owned]


@task.orchestration(name="job")
def job(ctx: task.OrchestrationContext, following: str | None) -> Any:
    if following is not None:
        ctx.continue_as_new(None, new_version=following)
        return None
    return ctx.version
    yield


@task.orchestration
def parent(ctx: task.OrchestrationContext) -> Any:
    calls = [
        ctx.call_sub_orchestration("job", version=version, instance_id=f"child {version}")
        for version in ("1", "2")
    ]
    yield calls[0]


async def rests(store: CountingStore) -> bool:
    """Whether nothing is claimed and given up any more, once all has had its time."""
    await asyncio.sleep(0.2)
    before = len(store.claimed), len(store.given_up)
    await asyncio.sleep(0.3)
    return before == (len(store.claimed), len(store.given_up))


def worker_of(backend: StoreBackend, version: str) -> TaskHubWorker:
    """A strict worker of this version."""
    versioning = VersioningOptions(version=version, match_strategy="strict")
    worker = TaskHubWorker(backend=backend, options=WorkerOptions(versioning=versioning))
    worker.add_orchestration(job)
    worker.add_orchestration(parent)
    return worker


def stores() -> tuple[CountingStore, StoreBackend]:
    store = CountingStore(f"versions-{next(_names)}")
    return store, StoreBackend(store, StoreOptions(poll_interval=0.02))


async def test_a_version_is_met_once(caplog: pytest.LogCaptureFixture) -> None:
    """**version-match** What was there before the worker is given up, and further polls pass it
    over; what the worker's own process starts is not owned by it to begin with."""
    store, backend = stores()
    caplog.set_level(logging.WARNING, logger="durabletask.store.repertoire")
    async with TaskHubClient(backend=backend) as client, worker_of(backend, "1") as worker:
        for n in range(5):
            await client.schedule_new_orchestration("job", instance_id=f"early {n}", version="2")
        await worker.start()
        for n in range(5):
            await client.schedule_new_orchestration("job", instance_id=f"late {n}", version="2")
        assert await rests(store)
        assert sorted(store.claimed) == [f"early {n}" for n in range(5)]
        assert sorted(store.given_up) == [(f"early {n}", True) for n in range(5)]
        assert store.owned == []
        assert store.polls[-1] == {"2"}
        [row] = (await store.get_instances(["early 0"], payloads=False)).values()
        assert row.status == "PENDING"
        assert [record.getMessage() for record in caplog.records] == [
            "orchestrations 'job' with the version '2' are left to other workers: this one has the "
            "version '1' and the match_strategy 'strict'"
        ]


async def test_no_version_is_met_once_too() -> None:
    """**version-match** The empty version can be refused, as any other."""
    store, backend = stores()
    async with TaskHubClient(backend=backend) as client, worker_of(backend, "1") as worker:
        await client.schedule_new_orchestration("job", instance_id="none")
        await worker.start()
        await client.schedule_new_orchestration("job", instance_id="empty", version="")
        assert await rests(store)
        assert store.given_up == [("none", True)]
        assert store.polls[-1] == {""}


async def test_children_are_owned_by_who_takes_their_version() -> None:
    """**version-match** Among the children of one turn, each by its own version."""
    store, backend = stores()
    async with TaskHubClient(backend=backend) as client, worker_of(backend, "1") as worker:
        await worker.start()
        await client.schedule_new_orchestration(parent, instance_id="p", version="1")
        await client.wait_for_orchestration_completion("p", timeout=10)
        assert store.owned == ["p", "child 1"]
        assert store.given_up == []
        state = await client.get_orchestration_state("child 2")
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.PENDING


async def test_a_new_version_is_given_up_after_the_commit() -> None:
    """**version-match** **can-fresh** The execution that follows is due for others, and at once
    for one in the same process."""
    store, backend = stores()
    async with (
        TaskHubClient(backend=backend) as client,
        worker_of(backend, "1") as one,
        worker_of(backend, "2") as two,
    ):
        await one.start()
        started = await client.schedule_new_orchestration(
            "job", input="2", instance_id="moves", version="1"
        )
        assert await rests(store)
        assert store.given_up == [("moves", True)]
        await two.start()
        state = await client.wait_for_orchestration_completion(started, timeout=10)
        assert (state.result, state.version) == ("2", "2")
        assert store.claimed == ["moves"]


async def test_who_fails_versions_takes_them() -> None:
    """**version-match** fail: nothing is left to others."""
    store, backend = stores()
    versioning = VersioningOptions(version="1", match_strategy="strict", failure_strategy="fail")
    worker = TaskHubWorker(backend=backend, options=WorkerOptions(versioning=versioning))
    worker.add_orchestration(job)
    async with TaskHubClient(backend=backend) as client, worker:
        await worker.start()
        started = await client.schedule_new_orchestration("job", version="2")
        state = await client.wait_for_orchestration_completion(started, timeout=10)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert store.given_up == []
        assert store.polls[-1] == frozenset()
