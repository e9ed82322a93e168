"""Crash points: a worker dies at each of its calls of the store, and another ends its work.

The worker here is that of production. Its death is played: from some call on none comes back, and
its store object is closed, as the end of a process would do it. What it still does in memory it
does for nobody.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityId
from durabletask.errors import BackendUnavailableError
from durabletask.history import ExecutionCompleted, TaskCompleted, TaskScheduled
from durabletask.store import StoreBackend, StoreOptions
from durabletask.testing.conformance.store.fixtures import StoreFixtures
from durabletask.testing.relay import StoreRelay
from durabletask.worker import TaskHubWorker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from durabletask.backend import Capabilities
    from durabletask.history import HistoryEvent
    from durabletask.state import OrchestrationState
    from durabletask.store import Store
    from durabletask.testing.conformance.store.fixtures import Advance, StoreFactory

__all__ = ["CrashPointSuite"]

_LEASE = 0.4
_AT_ONCE = 8
_PARTS = 4
_PATIENCE = 30.0

_OPTIONS = StoreOptions(
    lease=_LEASE, poll_interval=0.1, local_backlog=2, probation_after=100, poison_after=100
)

_marks = itertools.count()


class _MortalStore(StoreRelay):
    """Dies at one of its calls: before it is made, or before its answer is there.

    Args:
        at: the number of the call, from 1; 0 never.
        when: which of the two.
    """

    def __init__(self, store: Store, at: int, when: Literal["before", "after"]) -> None:
        self.calls = 0
        self.died = asyncio.Event()
        self._store = store
        self._at = at
        self._when = when
        self._is_buried = False

    async def _call(self, verb: str, *arguments: Any, **options: Any) -> Any:
        if self._is_buried:
            raise BackendUnavailableError("this process is dead")
        self.calls += 1
        fatal = self.calls == self._at
        if fatal and self._when == "before":
            self.died.set()
        await self._silence()
        outcome: Any
        try:
            outcome = await getattr(self._store, verb)(*arguments, **options)
        except Exception as error:
            outcome = error
        if fatal:
            self.died.set()
        await self._silence()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _silence(self) -> None:
        """The dead hear of no answer, neither of a good one nor of an error."""
        if self.died.is_set():
            await asyncio.get_running_loop().create_future()

    async def bury(self) -> None:
        """What the end of a process does: its connections close. Its lanes are left to expire."""
        self.died.set()
        await self._store.close()

    def let_go(self) -> None:
        """The test is over: what still hangs in a call is cancelled, and no further one hangs."""
        self._is_buried = True

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    async def open(self) -> None:
        pass  # it is

    async def close(self) -> None:
        await self._store.close()

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._store.subscribe(wake)

    def now(self) -> int:
        return self._store.now()


def _crossing(ctx: task.OrchestrationContext, step: int) -> Any:
    """One of everything that a turn can write, twice, by continue_as_new."""
    mark = ctx.name.partition("-")[2]
    number = yield ctx.call_activity(f"add-{mark}", input=0)
    first = ctx.call_activity(f"add-{mark}", input=1)
    child = ctx.call_sub_orchestration(f"child-{mark}", input=number)
    second, grown = yield task.when_all([first, child])
    yield ctx.create_timer(timedelta(milliseconds=5))
    word = yield ctx.wait_for_external_event("word")
    if step == 1:
        ctx.continue_as_new(2, save_events=True)
    return [number, second, grown, word]


def _child(ctx: task.OrchestrationContext, number: int) -> Any:
    """A child with an activity of its own."""
    return (yield ctx.call_activity(f"add-{ctx.name.partition('-')[2]}", input=number))


def _asking(ctx: task.OrchestrationContext, step: int) -> Any:
    """Whatever can be asked of an entity, in two executions."""
    mark = ctx.name.partition("-")[2]
    first, second = (EntityId(f"tally-{mark}", key) for key in "ab")
    ctx.signal_entity(first, "pass_on", step)
    total = yield ctx.call_entity(first, "add", 1)
    with (yield ctx.lock_entities([second, first])):
        before = yield ctx.call_entity(second, "add", 10)
        after = yield ctx.call_entity(second, "add", -10)
    if step == 1:
        ctx.continue_as_new(2)
    return [total, before - after, (yield ctx.call_entity(first, "add", 0))]


class _Tally(task.DurableEntity):
    """A number, which tells another of some of its changes."""

    def add(self, amount: int) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total

    def pass_on(self, amount: int) -> None:
        self.add(amount)
        mine = self.entity_context.entity_id
        self.signal_entity(EntityId(mine.name, "c"), "add", amount)


class _Scene:
    """One scenario that nobody else takes part in, because its names are its own."""

    name = "crossing"

    def __init__(self, open_store: StoreFactory) -> None:
        self._open_store = open_store
        self._mark = str(next(_marks))
        self.instance_id = f"{self.name}-{self._mark}"
        self.runs: set[tuple[str, int]] = set()

    def _worker(self, backend: StoreBackend) -> TaskHubWorker:
        worker = TaskHubWorker(backend=backend, options=WorkerOptions(max_cached_sessions=1))

        async def add(ctx: task.ActivityContext, number: int) -> int:
            self.runs.add((ctx.idempotency_key, ctx.task_id))
            return number + 1

        worker.add_orchestration(_crossing, name=f"crossing-{self._mark}")
        worker.add_orchestration(_child, name=f"child-{self._mark}")
        worker.add_activity(add, name=f"add-{self._mark}")
        return worker

    async def play(self, at: int, when: Literal["before", "after"]) -> int:
        """Run it, with a death at this call (0: none), and check what came of it.

        Returns:
            How many calls the worker that died, or did not, has made.
        """
        mortal = _MortalStore(await self._open_store(), at, when)
        doomed = self._worker(StoreBackend(mortal, _OPTIONS))
        starting = asyncio.create_task(doomed.start())
        async with TaskHubClient(
            backend=StoreBackend(await self._open_store(), _OPTIONS)
        ) as client:
            await client.schedule_new_orchestration(
                self.instance_id, input=1, instance_id=self.instance_id
            )
            for word in ("first", "second"):
                await client.raise_event(self.instance_id, "word", word)
            ending = asyncio.create_task(
                client.wait_for_orchestration_completion(self.instance_id, timeout=_PATIENCE)
            )
            dying = asyncio.create_task(mortal.died.wait())
            await asyncio.wait([ending, dying], return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if mortal.died.is_set():
                await mortal.bury()
                heir = self._worker(StoreBackend(await self._open_store(), _OPTIONS))
                await heir.start()
                state = await ending
                await heir.stop(0)
            else:
                state = await ending
            self._check(state, await client.get_orchestration_history(self.instance_id))
            await self._check_entities(client)
        mortal.let_go()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await doomed.stop(0)
        return mortal.calls

    def _check(self, state: OrchestrationState, history: list[HistoryEvent]) -> None:
        assert state.result == [1, 2, 2, "second"], state
        assert sum(isinstance(event, ExecutionCompleted) for event in history) == 1
        assert isinstance(history[-1], ExecutionCompleted)
        scheduled = [event.task_id for event in history if isinstance(event, TaskScheduled)]
        completed = [event.task_id for event in history if isinstance(event, TaskCompleted)]
        assert sorted(scheduled) == sorted(completed) == [1, 2]
        ran = {task_id for key, task_id in self.runs if state.execution_id in key}
        assert ran == {1, 2}, "what is recorded as done was done, and nothing else"

    async def _check_entities(self, client: TaskHubClient) -> None:
        pass


class _EntityScene(_Scene):
    """The same, of entities."""

    name = "asking"

    def _worker(self, backend: StoreBackend) -> TaskHubWorker:
        worker = TaskHubWorker(backend=backend, options=WorkerOptions(max_cached_sessions=1))
        worker.add_orchestration(_asking, name=self.instance_id)
        worker.add_entity(_Tally, name=f"tally-{self._mark}")
        return worker

    def _check(self, state: OrchestrationState, history: list[HistoryEvent]) -> None:
        assert state.result == [5, 10, 5], state
        assert sum(isinstance(event, ExecutionCompleted) for event in history) == 1

    async def _check_entities(self, client: TaskHubClient) -> None:
        standing: tuple[Any, ...] | None = None
        for key, wanted in (("a", 5), ("b", 0), ("c", 3)):
            for _ in range(int(_PATIENCE / 0.05)):
                found = await client.get_entity(EntityId(f"tally-{self._mark}", key))
                standing = None if found is None else (found.state, found.locked_by, found.backlog)
                if standing == (wanted, None, 0):
                    break
                await asyncio.sleep(0.05)
            assert standing == (wanted, None, 0), f"{key} is {standing}"


@pytest.mark.asyncio
class CrashPointSuite(StoreFixtures):
    """A process may die at any moment, and the next one goes on from what is durable."""

    @pytest_asyncio.fixture
    async def passing_time(self, store: Store, advance: Advance) -> AsyncIterator[None]:
        """Lets the store's clock run while workers do."""

        async def pass_time() -> None:
            while True:
                await advance(0.05)
                await asyncio.sleep(0.05)

        passing = asyncio.create_task(pass_time())
        yield
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)

    @pytest.mark.parametrize("part", range(_PARTS))
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_worker_dies_at_each_of_its_calls(
        self,
        store: Store,
        open_store: StoreFactory,
        passing_time: None,
        when: Literal["before", "after"],
        part: int,
    ) -> None:
        """Whichever call was its last, another ends the work, and each result counts once."""
        if not self.can_open_twice(store):
            pytest.skip("the hub can be opened by one store object at a time")
        await _die_everywhere(_Scene, open_store, when, part)

    @pytest.mark.parametrize("part", range(_PARTS))
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_a_worker_dies_while_entities_are_asked(
        self,
        store: Store,
        open_store: StoreFactory,
        passing_time: None,
        when: Literal["before", "after"],
        part: int,
    ) -> None:
        """**entity-serial**, **entity-lock** Each operation counts once, and no lock is left."""
        self.require(store, "entities")
        if not self.can_open_twice(store):
            pytest.skip("the hub can be opened by one store object at a time")
        await _die_everywhere(_EntityScene, open_store, when, part)


async def _die_everywhere(
    scene: type[_Scene], open_store: StoreFactory, when: Literal["before", "after"], part: int
) -> None:
    """Play a scene with a death at every call of this part of all."""
    calls = await scene(open_store).play(0, when)
    points = range(1 + part, calls + 1, _PARTS)
    for start in range(0, len(points), _AT_ONCE):
        group = points[start : start + _AT_ONCE]
        await asyncio.gather(*(scene(open_store).play(at, when) for at in group))
