"""Random orchestrations come to the same outcome however and wherever they are run."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationState, OrchestrationStatus
from durabletask.worker import TaskHubWorker, WorkerOptions

from .programs import (
    ACTIVITIES,
    ORCHESTRATORS,
    Activity,
    All,
    Child,
    Interpreter,
    Miss,
    One,
    Program,
    Publish,
    Race,
    Receive,
    Sleep,
    State,
)

# --- what programs there are -------------------------------------------------------------------

activities = st.builds(
    Activity,
    name=st.sampled_from([activity.__name__ for activity in ACTIVITIES]),
    value=st.integers(0, 99),
    fails=st.integers(0, 2),
    attempts=st.integers(1, 3),
)
simple = activities | st.builds(Sleep, st.integers(0, 3)) | st.builds(Miss)


def steps_of(operations: st.SearchStrategy, *, size: int) -> st.SearchStrategy:
    """Lists of steps made of these operations."""
    return st.lists(
        st.one_of(
            st.builds(One, operations, st.booleans()),
            st.builds(All, st.lists(operations, max_size=5)),
            st.builds(Race, operations, st.integers(0, 2), st.integers(0, 2), st.booleans()),
            st.builds(Publish, st.integers(0, 9)),
        ),
        min_size=1,
        max_size=size,
    )


grandchildren = st.builds(Child, steps_of(simple, size=2), st.integers(1, 2))
children = st.builds(Child, steps_of(simple | grandchildren, size=3), st.integers(1, 2))
receiving = st.builds(Receive, st.sampled_from("ab"))
programs = st.builds(
    Program, steps_of(simple | children | receiving, size=6), rounds=st.integers(1, 3)
)

# --- where and how they are run ----------------------------------------------------------------

KEPT = WorkerOptions()
EVICTED = WorkerOptions(max_cached_sessions=0)


class Place(NamedTuple):
    """The event loop of a backend, and clients of its hubs, each with a worker of its own kind."""

    runner: asyncio.Runner
    clients: list[TaskHubClient]


@asynccontextmanager
async def opened(url: str, options: WorkerOptions) -> AsyncIterator[TaskHubClient]:
    """A client of a hub on which a worker runs."""
    async with TaskHubWorker(url, options=options) as worker, TaskHubClient(url) as client:
        for orchestrator in ORCHESTRATORS:
            worker.add_orchestration(orchestrator)
        for activity in ACTIVITIES:
            worker.add_activity(activity)
        await worker.start()
        yield client


def place_at(url: str) -> Iterator[Place]:
    """Two hubs in one place: sessions are kept in one, and evicted after every turn in the other.

    They stay open for all examples, so that those run in milliseconds.
    """
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        clients = [
            runner.run(stack.enter_async_context(opened(f"{url}?task_hub={hub}", options)))
            for hub, options in (("kept", KEPT), ("evicted", EVICTED))
        ]
        yield Place(runner, clients)
        runner.run(stack.aclose())


@pytest.fixture(scope="module")
def memory() -> Iterator[Place]:
    """The memory backend."""
    yield from place_at("memory://")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The SQLite backend."""
    yield from place_at(f"sqlite:///{tmp_path_factory.mktemp('hub') / Path('hub.db')}")


async def run(
    client: TaskHubClient, orchestrator: str, program: Program, wanted: Interpreter
) -> OrchestrationState:
    """Run a program and send it the events that it takes."""
    instance_id = await client.schedule_new_orchestration(orchestrator, input=State(program, 1, []))
    for name, number in wanted.received.items():
        for value in range(number):
            await client.raise_event(instance_id, name.swapcase(), value)
    return await client.wait_for_orchestration_completion(instance_id, timeout=20)


async def run_everywhere(
    place: Place, program: Program, wanted: Interpreter
) -> list[OrchestrationState]:
    """Run a program as generator and as coroutine, with sessions kept and evicted, all at once."""
    return await asyncio.gather(
        *(
            run(client, orchestrator.__name__, program, wanted)
            for client in place.clients
            for orchestrator in ORCHESTRATORS
        )
    )


def check(place: Place, program: Program) -> None:
    """Every way of running a program gives what the plain interpreter says."""
    wanted = Interpreter(program)
    for state in place.runner.run(run_everywhere(place, program, wanted)):
        assert state.custom_status == wanted.status
        if wanted.failure is None:
            assert state.runtime_status is OrchestrationStatus.COMPLETED, state.failure_details
            assert state.result == wanted.log
        else:
            assert state.runtime_status is OrchestrationStatus.FAILED
            assert state.failure_details is not None
            assert state.failure_details.message == wanted.failure


@given(programs)
def test_on_memory(memory: Place, program: Program) -> None:
    """**replay-order**, **all-waits**, **any-winner**, **retry-quiet**, **can-events** together.

    A plain interpreter, kept sessions and sessions rebuilt before every turn agree.
    """
    check(memory, program)


@settings(max_examples=50)
@given(programs)
def test_on_sqlite(sqlite: Place, program: Program) -> None:
    """The same on files: **turn-atomic**, **activity-once**, **inbox-order** among them."""
    check(sqlite, program)
