"""Our client and worker on the in-memory sidecar that Microsoft's package ships."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.servers.ports import free_port

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.entities import EntityId, EntityQuery
from durabletask.errors import InstanceNotFoundError, OrchestrationStateError, TaskFailedError
from durabletask.history import EntityLockGranted, ExecutionRewound
from durabletask.state import OrchestrationQuery, OrchestrationState, OrchestrationStatus
from durabletask.worker import TaskHubWorker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE = 30.0
RETRY = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=3)


@task.activity
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


_attempts: dict[str, int] = {}


@task.activity
def flaky(ctx: task.ActivityContext, key: str) -> int:
    """Works the third time."""
    _attempts[key] = _attempts.get(key, 0) + 1
    if _attempts[key] < 3:
        raise ValueError(f"attempt {_attempts[key]}")
    return _attempts[key]


@task.orchestration
def sequence(ctx: task.OrchestrationContext, count: int) -> Any:
    """One activity after the other, then many, a child, and a timer."""
    total = 0
    for number in range(count):
        total += yield ctx.call_activity(echo, input=number)
    many = yield task.when_all([ctx.call_activity(echo, input=n) for n in range(count)])
    below = yield ctx.call_sub_orchestration(child, input=total)
    yield ctx.create_timer(timedelta(milliseconds=50))
    ctx.set_custom_status("done")
    return [total, sum(many), below]


@task.orchestration
def child(ctx: task.OrchestrationContext, value: int) -> Any:
    """A sub-orchestration."""
    return (yield ctx.call_activity(echo, input=value + 1))


@task.orchestration
def retrying(ctx: task.OrchestrationContext, key: str) -> Any:
    """Tries again."""
    return (yield ctx.call_activity(flaky, input=key, retry_policy=RETRY))


@task.orchestration
def failing(ctx: task.OrchestrationContext, key: str) -> Any:
    """Does not."""
    yield ctx.call_activity(flaky, input=key)


@task.orchestration
def counting(ctx: task.OrchestrationContext, state: dict[str, int]) -> Any:
    """Continues as new with every event."""
    total = state["total"] + (yield ctx.wait_for_external_event("add"))
    if state["left"] > 1:
        ctx.continue_as_new({"left": state["left"] - 1, "total": total}, save_events=True)
        return None
    return total


@task.orchestration
def fragile(ctx: task.OrchestrationContext, key: str) -> Any:
    """An activity that works the third time, tried once."""
    token = str(ctx.new_uuid())
    yield ctx.call_activity(echo, input=token)
    return [token, (yield ctx.call_activity(flaky, input=key))]


@task.orchestration
def fragile_family(ctx: task.OrchestrationContext, key: str) -> Any:
    """All that can fail at once, beside what does not."""
    token = str(ctx.new_uuid())
    first = yield ctx.call_activity(echo, input=token)
    event = ctx.wait_for_external_event("go")
    calls = [
        ctx.call_sub_orchestration(fragile, input=f"{key}-1"),
        ctx.call_activity(flaky, input=f"{key}-2"),
        ctx.call_activity(echo, input=5),
        ctx.call_sub_orchestration(child, input=6),
    ]
    results = yield task.when_all(calls)
    yield ctx.create_timer(timedelta(milliseconds=20))
    return [first == token, results[0][1], *results[1:], (yield event)]


@task.entity
class Counter(task.DurableEntity):
    """A number."""

    def add(self, amount: int) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total

    def get(self) -> int:
        return self.get_state(int, 0)

    def caller(self) -> str | None:
        return self.entity_context.caller_id

    def add_and_fail(self, amount: int) -> None:
        self.add(amount)
        self.signal_entity(counter("never"), "add", 1)
        raise ValueError(f"no more than {amount}")

    def pass_on(self, keys: list[str]) -> None:
        self.add(1)
        if keys:
            self.signal_entity(counter(keys[0]), "pass_on", keys[1:])

    def flaky(self, key: str) -> int:
        """Works the third time."""
        _attempts[key] = _attempts.get(key, 0) + 1
        if _attempts[key] < 3:
            raise ValueError(f"attempt {_attempts[key]}")
        self.add(1)
        return _attempts[key]

    def launch(self, key: str) -> str:
        return self.schedule_new_orchestration("adding", input=[key, 5])


def counter(key: str) -> EntityId:
    """The counter of this key."""
    return EntityId("counter", key)


@task.orchestration
def adding(ctx: task.OrchestrationContext, request: list[Any]) -> Any:
    """Calls, one of which fails, and a signal."""
    key, amount = request
    one = yield ctx.call_entity(counter(key), "add", amount)
    try:
        yield ctx.call_entity(counter(key), "add_and_fail", 100)
    except TaskFailedError as error:
        assert "no more than 100" in str(error)
    ctx.signal_entity(counter(f"{key}-beside"), "add", one)
    called = yield ctx.call_entity(counter(key), "caller")
    two = yield ctx.call_entity(counter(key), "add", amount)
    return [one, called == ctx.instance_id, two]


@task.orchestration
def moving(ctx: task.OrchestrationContext, request: list[Any]) -> Any:
    """Moves an amount from one counter to another, with both of them locked."""
    giver, taker, amount = request
    with (yield ctx.lock_entities([counter(giver), counter(taker)])):
        given = yield ctx.call_entity(counter(giver), "get")
        taken = yield ctx.call_entity(counter(taker), "get")
        yield ctx.call_activity(echo, input=0)
        yield ctx.call_entity(counter(giver), "add", -amount)
        one = yield ctx.call_entity(counter(taker), "add", amount)
        other = yield ctx.call_entity(counter(giver), "get")
    return [given - other, one - taken]


@task.orchestration
def fragile_caller(ctx: task.OrchestrationContext, key: str) -> Any:
    """An operation that works the third time, tried once, and others before and after."""
    first = yield ctx.call_entity(counter(key), "add", 10)
    found = yield ctx.call_entity(counter(key), "flaky", key)
    last = yield ctx.call_entity(counter(key), "add", 100)
    return [first, found, last]


@task.orchestration
def fragile_holder(ctx: task.OrchestrationContext, key: str) -> Any:
    """The same while it holds a lock."""
    with (yield ctx.lock_entities([counter(key)])):
        yield ctx.call_entity(counter(key), "flaky", key)


@task.orchestration
def dropping(ctx: task.OrchestrationContext, request: list[str]) -> Any:
    """Ends while it holds locks."""
    how, *keys = request
    yield ctx.lock_entities([counter(key) for key in keys])
    if how == "fail":
        raise ValueError("while it holds locks")
    if how == "again":
        ctx.continue_as_new(["return", *keys])
    if how == "terminate":
        yield ctx.wait_for_external_event("never")
    return how


@task.orchestration
def leaving(ctx: task.OrchestrationContext, request: list[Any]) -> Any:
    """Goes on as new without waiting for its call, under the number of which it calls again."""
    key, left = request
    call = ctx.call_entity(counter(key), "add", 1 if left else 1000)
    if left:
        ctx.continue_as_new([key, left - 1])
        return None
    return (yield call)


@pytest_asyncio.fixture(params=["sticky", "evicting"])
async def hub(
    start: Callable[..., Any], request: pytest.FixtureRequest
) -> AsyncIterator[TaskHubClient]:
    """A client on a foreign sidecar with a worker of ours."""
    port = free_port()
    start("python", f"localhost:{port}", "default", "sidecar")
    url = f"grpc://localhost:{port}"
    kept = 0 if request.param == "evicting" else 1000
    options = WorkerOptions(max_cached_sessions=kept, stop_timeout=5.0)
    async with TaskHubClient(url) as client, TaskHubWorker(url, options=options) as worker:
        for orchestration in (
            sequence,
            child,
            retrying,
            failing,
            counting,
            fragile,
            fragile_family,
            adding,
            moving,
            dropping,
            leaving,
            fragile_caller,
            fragile_holder,
        ):
            worker.add_orchestration(orchestration)
        worker.add_entity(Counter)
        worker.add_activity(echo)
        worker.add_activity(flaky)
        await worker.start()
        yield client


async def finish(hub: TaskHubClient, instance_id: str) -> OrchestrationState:
    return await hub.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)


@pytest.mark.asyncio
async def test_work_and_its_ends(hub: TaskHubClient) -> None:
    """Activities, children, timers, retries, failures, custom status."""
    ids = [await hub.schedule_new_orchestration(sequence, input=5) for _ in range(5)]
    for instance_id in ids:
        state = await finish(hub, instance_id)
        assert state.result == [10, 10, 11], state.failure_details
        assert state.custom_status == "done"
    key = ids[0]
    state = await finish(hub, await hub.schedule_new_orchestration(retrying, input=key))
    assert state.result == 3
    state = await finish(hub, await hub.schedule_new_orchestration(failing, input=f"{key}-f"))
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert state.failure_details.is_caused_by(ValueError)


@pytest.mark.asyncio
async def test_signals(hub: TaskHubClient) -> None:
    """Events, continue_as_new, suspension, termination, purging, queries, restart."""
    instance_id = await hub.schedule_new_orchestration(counting, input={"left": 3, "total": 0})
    for number in (1, 2, 3):
        await hub.raise_event(instance_id, "add", number)
    assert (await finish(hub, instance_id)).result == 6
    waiting = await hub.schedule_new_orchestration(counting, input={"left": 1, "total": 0})
    await hub.wait_for_orchestration_start(waiting, timeout=PATIENCE)
    await hub.suspend_orchestration(waiting)
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await hub.get_orchestration_state(waiting)
            assert state is not None
            if state.runtime_status is OrchestrationStatus.SUSPENDED:
                break
            await asyncio.sleep(0.05)
    await hub.raise_event(waiting, "add", 7)
    await hub.resume_orchestration(waiting)
    assert (await finish(hub, waiting)).result == 7
    doomed = await hub.schedule_new_orchestration(counting, input={"left": 1, "total": 0})
    await hub.wait_for_orchestration_start(doomed, timeout=PATIENCE)
    await hub.terminate_orchestration(doomed, "enough")
    state = await finish(hub, doomed)
    assert (state.runtime_status, state.result) == (OrchestrationStatus.TERMINATED, "enough")
    named = OrchestrationQuery(name="counting")
    found = {state.instance_id async for state in hub.iter_orchestrations(named)}
    assert found == {instance_id, waiting, doomed}
    assert len(await hub.get_orchestration_history(waiting)) > 3
    assert (await hub.purge_orchestration(doomed)).deleted_instance_count == 1
    assert await hub.get_orchestration_state(doomed) is None
    again = await hub.restart_orchestration(waiting, restart_with_new_instance_id=True)
    await hub.raise_event(again, "add", 8)
    assert (await finish(hub, again)).result == 8


@pytest.mark.asyncio
async def test_rewinding(hub: TaskHubClient) -> None:
    """**rewind** A server that leaves it to the worker to rewrite the history is served too."""
    instance_id = await hub.schedule_new_orchestration(fragile_family, input=f"{id(hub)}")
    await hub.raise_event(instance_id, "go", "gone")
    for reason in ("once", "twice"):
        state = await finish(hub, instance_id)
        assert state.runtime_status is OrchestrationStatus.FAILED
        await hub.rewind_orchestration(instance_id, reason=reason)
    state = await finish(hub, instance_id)
    assert state.result == [True, 3, 3, 5, 7, "gone"], state.failure_details
    assert _attempts[f"{id(hub)}-1"] == _attempts[f"{id(hub)}-2"] == 3
    history = await hub.get_orchestration_history(instance_id)
    told = [event.reason for event in history if isinstance(event, ExecutionRewound)]
    assert told == ["once", "twice"]
    with pytest.raises(OrchestrationStateError):
        await hub.rewind_orchestration(instance_id)
    with pytest.raises(InstanceNotFoundError):
        await hub.rewind_orchestration("nobody")


@pytest.mark.asyncio
async def test_rewinding_what_calls_entities(hub: TaskHubClient) -> None:
    """**rewind** What had failed is called again, and answered; what had not is not."""
    key = f"{id(hub)}-entity"
    instance_id = await hub.schedule_new_orchestration(fragile_caller, input=key)
    for reason in ("once", "twice"):
        state = await finish(hub, instance_id)
        assert state.runtime_status is OrchestrationStatus.FAILED
        await hub.rewind_orchestration(instance_id, reason=reason)
    state = await finish(hub, instance_id)
    assert state.result == [10, 3, 111], state.failure_details


@pytest.mark.asyncio
async def test_what_has_held_a_lock_is_not_rewound(hub: TaskHubClient) -> None:
    """**rewind** Others have had the entity since, so it fails once more and says why."""
    key = f"{id(hub)}-held"
    instance_id = await hub.schedule_new_orchestration(fragile_holder, input=key)
    await finish(hub, instance_id)
    await hub.rewind_orchestration(instance_id)
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await finish(hub, instance_id)
            assert state.failure_details is not None
            if "Restart it instead" in state.failure_details.message:
                break
            await asyncio.sleep(0.02)
    await finish(hub, await hub.schedule_new_orchestration(fragile_holder, input=f"{key}-2"))
    await reaches(hub, key, None)


async def value(hub: TaskHubClient, key: str) -> int | None:
    """The state of a counter."""
    state = await hub.get_entity(counter(key))
    return None if state is None else state.get_state(int)


async def reaches(hub: TaskHubClient, key: str, wanted: int | None) -> None:
    """Wait for a counter."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await value(hub, key) == wanted:
                return
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_entities(hub: TaskHubClient) -> None:
    """**entity-serial** Calls and signals, by orchestrations, clients and entities."""
    state = await finish(hub, await hub.schedule_new_orchestration(adding, input=["a", 2]))
    assert state.result == [2, True, 4], state.failure_details
    await reaches(hub, "a-beside", 2)
    for _ in range(5):
        await hub.signal_entity(counter("a"), "add", 1)
    await reaches(hub, "a", 9)
    await hub.signal_entity(counter("0"), "pass_on", ["1", "2", "3"])
    await reaches(hub, "3", 1)
    await hub.signal_entity(counter("a"), "launch", "launched")
    await reaches(hub, "launched", 10)
    await hub.signal_entity(counter("late"), "add", 1, signal_time=timedelta(seconds=0.5))
    assert await value(hub, "late") is None
    await reaches(hub, "late", 1)
    assert await value(hub, "never") is None
    ids = [await hub.schedule_new_orchestration(adding, input=["many", 1]) for _ in range(20)]
    for instance_id in ids:
        await finish(hub, instance_id)
    assert await value(hub, "many") == 40


@pytest.mark.asyncio
async def test_locks(hub: TaskHubClient) -> None:
    """**entity-lock** While one holds them nobody else gets through."""
    keys = ["x", "y", "z"]
    requests = [[keys[n % 3], keys[(n + 1 + n % 2) % 3], n % 5 + 1] for n in range(15)]
    ids = [await hub.schedule_new_orchestration(moving, input=request) for request in requests]
    for instance_id, (_, _, amount) in zip(ids, requests, strict=True):
        state = await finish(hub, instance_id)
        assert state.result == [amount, amount], state.failure_details
    assert sum([await value(hub, key) or 0 for key in keys]) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["return", "again", "fail", "terminate"])
async def test_what_ends_gives_up_its_locks(hub: TaskHubClient, how: str) -> None:
    """**entity-lock** However it ends: the server does not release them by itself."""
    instance_id = await hub.schedule_new_orchestration(dropping, input=[how, "x", "y"])
    if how == "terminate":
        async with asyncio.timeout(PATIENCE):
            while True:
                history = await hub.get_orchestration_history(instance_id)
                if any(isinstance(event, EntityLockGranted) for event in history):
                    break
                await asyncio.sleep(0.02)
        await hub.terminate_orchestration(instance_id)
    await finish(hub, instance_id)
    moved = await finish(hub, await hub.schedule_new_orchestration(moving, input=["x", "y", 1]))
    assert moved.result == [1, 1], moved.failure_details


@pytest.mark.asyncio
async def test_answers_to_former_executions(hub: TaskHubClient) -> None:
    """An answer that comes too late is not taken for that of a call of the same number."""
    ids = [await hub.schedule_new_orchestration(leaving, input=[f"left-{n}", 3]) for n in range(10)]
    for instance_id in ids:
        state = await finish(hub, instance_id)
        assert state.result >= 1000, state.failure_details


@pytest.mark.asyncio
async def test_reading_entities(hub: TaskHubClient) -> None:
    """**entity-state** One by one, and page by page."""
    for number in range(5):
        await hub.signal_entity(counter(f"q-{number}"), "add", number + 1)
    await hub.signal_entity(counter("other"), "add", 1)
    query = EntityQuery(name="Counter", key_prefix="q-", page_size=2)
    for number in range(5):
        await reaches(hub, f"q-{number}", number + 1)
    found = {state.entity_id.key: state.state async for state in hub.iter_entities(query)}
    assert found == {f"q-{number}": number + 1 for number in range(5)}
    bare = await hub.get_entity(counter("q-0"), include_state=False)
    assert bare is not None
    assert (bare.has_state, bare.serialized_state) == (True, None)
    await hub.signal_entity(counter("q-0"), "delete")
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await hub.get_entity(counter("q-0"))
            if state is None or not state.has_state:
                break
            await asyncio.sleep(0.02)
    await hub.clean_entity_storage()
    assert len([state async for state in hub.iter_entities(query)]) == 4
