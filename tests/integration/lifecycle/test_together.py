"""Clients and workers beside each other: where they meet, and who does what."""

import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.plugins import connect
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import eventually
from durabletask.worker import TaskHubWorker

from .scene import PATIENCE, Workers, calls, double, doubling, result_of

# --- where they meet ---------------------------------------------------------------------------


@pytest.mark.asyncio
class TestPlaces:
    """Defaults of the URL, and task hubs."""

    async def test_without_a_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``DURABLETASK_URL`` is the default, then a file in the working directory."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("DURABLETASK_URL", raising=False)
        async with TaskHubClient() as client, TaskHubWorker() as worker:
            worker.add_orchestration(doubling)
            worker.add_activity(double)
            await worker.start()
            instance_id = await client.schedule_new_orchestration(doubling, input=2)
            assert await result_of(client, instance_id) == 4
        assert (tmp_path / "durabletask.db").is_file()
        monkeypatch.setenv("DURABLETASK_URL", "sqlite:///other.db")
        async with TaskHubClient() as client:
            assert await client.get_orchestration_state(instance_id) is None
        assert (tmp_path / "other.db").is_file()
        async with TaskHubClient("sqlite:///durabletask.db") as client:
            assert await client.get_orchestration_state(instance_id) is not None

    async def test_task_hubs_never_see_each_other(self, url: str) -> None:
        """**hub** The same id lives twice; each worker runs what its hub holds."""
        ran = []

        def registered(worker: TaskHubWorker, hub: str) -> TaskHubWorker:
            @task.orchestration(name="where")
            def where(ctx: task.OrchestrationContext) -> str:
                ran.append(hub)
                return hub

            worker.add_orchestration(where)
            return worker

        async with (
            TaskHubClient(f"{url}?task_hub=east") as east,
            TaskHubClient(url, task_hub_name="west") as west,
            TaskHubWorker(url, task_hub_name="east") as in_east,
            TaskHubWorker(f"{url}?task_hub=west") as in_west,
        ):
            await registered(in_east, "east").start()
            await east.schedule_new_orchestration("where", instance_id="same")
            await west.schedule_new_orchestration("where", instance_id="same")
            assert await result_of(east, "same") == "east"
            state = await west.get_orchestration_state("same")
            assert state is not None
            assert state.runtime_status is OrchestrationStatus.PENDING
            await east.purge_orchestration("same")
            assert await east.get_orchestration_state("same") is None
            await registered(in_west, "west").start()
            assert await result_of(west, "same") == "west"
        assert ran == ["east", "west"]


# --- who does what -----------------------------------------------------------------------------


@task.orchestration
async def outer(ctx: task.OrchestrationContext, number: int) -> list[int]:
    """Asks an activity of its own worker, one of another worker, and a child there."""
    return [
        await ctx.call_activity(double, input=number),
        await ctx.call_activity("triple", input=number),
        await ctx.call_sub_orchestration("inner", input=number),
    ]


@task.activity
async def triple(ctx: task.ActivityContext, number: int) -> int:
    """Thrice the number."""
    return 3 * number


@task.orchestration
def inner(ctx: task.OrchestrationContext, number: int):
    """Asks an activity of the other worker."""
    return 1 + (yield ctx.call_activity("double", input=number))


@pytest.mark.asyncio
class TestTwoWorkers:
    """Workers with different registrations on one hub each get only what they know."""

    async def test_each_gets_what_it_knows(
        self, client: TaskHubClient, workers: Workers, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**failure-unregistered** Activities known only to the other run there."""
        await workers.start(does=[double], knows=[outer])
        await workers.start(does=[triple], knows=[inner])
        started = [await client.schedule_new_orchestration(outer, input=n) for n in range(20)]
        results = [await result_of(client, instance_id) for instance_id in started]
        assert results == [[2 * n, 3 * n, 2 * n + 1] for n in range(20)]
        assert caplog.messages == []

    async def test_each_with_a_backend_of_its_own(self, tmp_path: Path) -> None:
        """**turn-single** The same through two backends on one file, as in two processes."""
        url = f"sqlite:///{tmp_path / 'hub.db'}"
        async with AsyncExitStack() as stack:
            for activity, orchestration in ((double, outer), (triple, inner)):
                worker = TaskHubWorker(backend=connect(url))
                worker.add_activity(activity)
                worker.add_orchestration(orchestration)
                await stack.enter_async_context(worker)
                await worker.start()
            client = await stack.enter_async_context(TaskHubClient(url))
            started = [await client.schedule_new_orchestration(outer, input=n) for n in range(20)]
            results = [await result_of(client, instance_id) for instance_id in started]
        assert results == [[2 * n, 3 * n, 2 * n + 1] for n in range(20)]

    async def test_a_name_that_nobody_knows(
        self, client: TaskHubClient, workers: Workers, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**failure-unregistered** A warning long before the grace ends; then a clear failure."""
        await workers.start(does=[double], knows=[calls], unregistered_grace=4.0)
        began = time.monotonic()
        instance_id = await client.schedule_new_orchestration(calls, input="dubble")

        async def is_warned() -> bool:
            return any("'dubble'" in message for message in caplog.messages)

        await eventually(is_warned, "somebody is warned")
        state = await client.get_orchestration_state(instance_id)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.RUNNING
        state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
        assert time.monotonic() - began >= 4.0
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert "registered: double" in state.failure_details.message
        assert state.failure_details.is_caused_by("ActivityNotRegisteredError")
