"""**rewind** What may happen between the reading and the writing, and children with odd ids."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendUnavailableError,
    InstanceNotFoundError,
    InvalidRequestError,
    OrchestrationStateError,
)
from durabletask.history import ExecutionRewound
from durabletask.state import OrchestrationStatus
from durabletask.store import StoreBackend
from durabletask.stores.memory import MemoryStore
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from durabletask.store import RewoundInstance

pytestmark = pytest.mark.asyncio

PATIENCE = 10.0

_names = itertools.count()


class MeddlingStore(MemoryStore):
    """Lets something happen before it rewinds, and answers what a test says."""

    def __init__(self) -> None:
        super().__init__(f"rewinding-{next(_names)}")
        self.before: Callable[[], Awaitable[Any]] | None = None
        self.answers: list[bool | Exception] = []
        self.calls = 0

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        self.calls += 1
        before, self.before = self.before, None
        if before is not None:
            await before()
        done = await super().rewind_instances(rewound)
        answer = self.answers.pop(0) if self.answers else done
        if isinstance(answer, Exception):
            raise answer
        return answer


class Place:
    """A worker whose activity ``act`` fails while ``is_broken``, and a client."""

    def __init__(self) -> None:
        self.store = MeddlingStore()
        backend = StoreBackend(self.store)
        self.client = TaskHubClient(backend=backend)
        self.worker = TaskHubWorker(backend=backend)
        self.is_broken = True

        @task.activity(name="act", inline=True)
        def act(ctx: task.ActivityContext) -> str:
            if self.is_broken:
                raise ConnectionError("broken")
            return "done"

        self.worker.add_activity(act)
        for body in (single, parent, namesakes):
            self.worker.add_orchestration(body)

    async def fail(self, body: Any, instance_id: str = "i") -> None:
        """Start an instance that fails, and mend what it fails of."""
        await self.client.schedule_new_orchestration(body, instance_id=instance_id)
        assert (await self.end(instance_id)).runtime_status is OrchestrationStatus.FAILED
        self.is_broken = False

    async def end(self, instance_id: str = "i") -> Any:
        return await self.client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)

    async def rewinds(self, instance_id: str = "i") -> int:
        """How often the history says that it was rewound."""
        history = await self.client.get_orchestration_history(instance_id)
        return sum(isinstance(event, ExecutionRewound) for event in history)


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    async with place.worker:
        await place.worker.start()
        yield place


@task.orchestration
def single(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.call_activity("act"))


@task.orchestration
def parent(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.call_sub_orchestration(single, instance_id="child"))


@task.orchestration
def namesakes(ctx: task.OrchestrationContext) -> Any:
    """Two children under one id, of which the second is refused."""
    calls = [ctx.call_sub_orchestration(single, instance_id="child") for _ in range(2)]
    outcomes = []
    for call in calls:
        try:
            outcomes.append((yield call))
        except task.TaskFailedError as error:
            outcomes.append(error.details.error_type.rpartition(".")[2])
    if "done" not in outcomes:
        raise RuntimeError(f"{outcomes}")
    return outcomes


async def test_an_answer_that_got_lost(place: Place) -> None:
    """A store that repeats the call finds its own work, and the caller hears of success."""
    await place.fail(single)
    place.store.answers = [False]
    await place.client.rewind_orchestration("i")
    assert (await place.end()).result == "done"
    assert (place.store.calls, await place.rewinds()) == (1, 1)


async def test_trouble_is_told(place: Place) -> None:
    """**failure-infra** Whether it was done is then to be seen from the instance."""
    await place.fail(single)
    place.store.answers = [BackendUnavailableError("the connection broke")]
    with pytest.raises(BackendUnavailableError):
        await place.client.rewind_orchestration("i")
    assert (await place.end()).result == "done"


async def test_somebody_was_quicker(place: Place) -> None:
    """The instance runs again already, so it is not rewound twice."""
    await place.fail(single)
    place.store.before = lambda: place.client.rewind_orchestration("i", reason="quicker")
    with pytest.raises(OrchestrationStateError):
        await place.client.rewind_orchestration("i", reason="slower")
    assert (await place.end()).result == "done"
    assert await place.rewinds() == 1


async def test_a_child_was_purged_meanwhile(place: Place) -> None:
    """All is read anew, and the child begins again."""
    await place.fail(parent)
    place.store.before = lambda: place.client.purge_orchestration("child")
    await place.client.rewind_orchestration("i")
    assert (await place.end()).result == "done"
    assert (place.store.calls, await place.rewinds("child")) == (2, 0)


async def test_a_child_was_rewound_meanwhile(place: Place) -> None:
    """It runs, so its parent has to wait; then its result counts."""
    await place.fail(parent)
    place.store.before = lambda: place.client.rewind_orchestration("child")
    with pytest.raises(OrchestrationStateError, match="child"):
        await place.client.rewind_orchestration("i")
    assert (await place.end("child")).result == "done"
    await place.client.rewind_orchestration("i")
    assert (await place.end()).result == "done"


async def test_what_cannot_be_stored(place: Place) -> None:
    """A reason that no history takes, and ids that no store has."""
    await place.fail(single)
    for call in (
        place.client.rewind_orchestration("i", reason="\ud800"),
        place.client.suspend_orchestration("i", "\ud800"),
        place.client.resume_orchestration("i", "\ud800"),
    ):
        with pytest.raises(InvalidRequestError):
            await call
    for instance_id in ("\0", "\ud800"):
        with pytest.raises(InstanceNotFoundError):
            await place.client.rewind_orchestration(instance_id)
    assert place.store.calls == 0


async def test_it_was_purged_meanwhile(place: Place) -> None:
    """There is nothing to be rewound any more."""
    await place.fail(single)
    place.store.before = lambda: place.client.purge_orchestration("i")
    with pytest.raises(InstanceNotFoundError):
        await place.client.rewind_orchestration("i")


async def test_a_child_whose_id_is_anothers_is_refused_again(place: Place) -> None:
    """The instance that has the id is left alone."""
    await place.fail(single, "child")
    await place.client.schedule_new_orchestration(parent, instance_id="i")
    assert (await place.end()).runtime_status is OrchestrationStatus.FAILED
    await place.client.rewind_orchestration("i")
    state = await place.end()
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert "already exists" in state.failure_details.cause.message
    assert (await place.end("child")).runtime_status is OrchestrationStatus.FAILED
    await place.client.purge_orchestration("child")
    await place.client.rewind_orchestration("i")
    assert (await place.end()).result == "done"


async def test_the_first_of_two_children_with_one_id_has_it(place: Place) -> None:
    """Its result is no answer to the second call, which was refused and is so again."""
    await place.fail(namesakes)
    await place.client.rewind_orchestration("i")
    assert (await place.end()).result == ["done", "InstanceAlreadyExistsError"]
