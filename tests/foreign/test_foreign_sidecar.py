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
from durabletask.errors import InstanceNotFoundError, OrchestrationStateError
from durabletask.history import ExecutionRewound
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
        ):
            worker.add_orchestration(orchestration)
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
