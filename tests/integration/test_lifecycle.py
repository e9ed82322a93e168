"""The lives of clients and workers: what they leave behind, refuse, and do for each other."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    WorkerStateError,
)
from durabletask.plugins import connect
from durabletask.state import OrchestrationStatus
from durabletask.store.source import StoreWorkItemSource
from durabletask.testing.conformance.backend.driver import eventually
from durabletask.worker import TaskHubWorker, WorkerOptions

PATIENCE = 20.0


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty task hub."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'hub.db'}"


@pytest_asyncio.fixture
async def client(url: str) -> AsyncIterator[TaskHubClient]:
    """A client of the hub."""
    async with TaskHubClient(url) as client:
        yield client


class Workers:
    """Workers of one hub; those still at work at the end of the test are stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stack = AsyncExitStack()

    async def start(
        self, *, does: list[Any], knows: list[Any] | None = None, **options: Any
    ) -> TaskHubWorker:
        """Start a worker that does these activities and knows these orchestrations."""
        worker = TaskHubWorker(self.url, options=WorkerOptions(**options))
        for activity in does:
            worker.add_activity(activity)
        for orchestration in knows or []:
            worker.add_orchestration(orchestration)
        await worker.start()
        self.stack.push_async_callback(worker.stop, 1.0)
        return worker


@pytest_asyncio.fixture
async def workers(url: str) -> AsyncIterator[Workers]:
    """Starts workers on the hub."""
    workers = Workers(url)
    async with workers.stack:
        yield workers


@task.activity
def double(ctx: task.ActivityContext, number: int) -> int:
    """Twice the number."""
    return 2 * number


@task.orchestration
def doubling(ctx: task.OrchestrationContext, number: int):
    """Asks an activity."""
    return (yield ctx.call_activity(double, input=number))


@task.orchestration
def calls(ctx: task.OrchestrationContext, name: str):
    """Calls the activity of this name."""
    return (yield ctx.call_activity(name))


async def result_of(client: TaskHubClient, instance_id: str) -> Any:
    """What the instance returns; it must not fail."""
    state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    state.raise_if_failed()
    return state.result


# --- what is left behind -----------------------------------------------------------------------

HELLO = """
import asyncio, gc, json, os, sys, threading
from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

@task.activity
def double(ctx, number: int) -> int:
    return 2 * number

@task.orchestration
def doubling(ctx, number: int):
    return (yield ctx.call_activity(double, input=number))

async def main(url):
    worker = TaskHubWorker(url)
    worker.add_activity(double)
    worker.add_orchestration(doubling)
    await worker.start()
    client = TaskHubClient(url)
    instance_id = await client.schedule_new_orchestration(doubling, input=21)
    state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
    await worker.stop()
    assert (await TaskHubClient(url).get_orchestration_state(instance_id)).result == 42
    return state.result

async def look(url):
    return await TaskHubClient(url).get_orchestration_state("unknown")

url = sys.argv[1]
results = [asyncio.run(main(url)), asyncio.run(look(url)), asyncio.run(main(url))]
gc.collect()
files = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
         if os.path.exists(f"/proc/self/fd/{n}")] if sys.platform == "linux" else []
print(json.dumps({
    "results": results,
    "threads": [thread.name for thread in threading.enumerate()],
    "files": [file for file in files if "hub" in file],
}))
"""


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python, with every warning an error, on nothing but these arguments."""
    environment = {name: value for name, value in os.environ.items() if name != "DURABLETASK_URL"}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize("url", ["memory://", "sqlite:///hub.db"])
@pytest.mark.parametrize("debug", [[], ["-X", "dev"]], ids=["", "asyncio-debug"])
def test_a_client_that_nobody_closes_leaks_nothing(
    url: str, debug: list[str], tmp_path: Path
) -> None:
    """No warning, no thread, no open file is left when its event loop has ended."""
    done = python(*debug, "-c", HELLO, url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "results": [42, None, 42],
        "threads": ["MainThread"],
        "files": [],
    }
    # SQLite removes the write-ahead log only if the last connection was closed in order.
    assert not list(tmp_path.glob("*-wal"))


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.asyncio
class TestMisuse:
    """Each mistake with a worker or client is a named error that says what to do."""

    async def test_a_second_start(self, workers: Workers) -> None:
        """A worker starts once, also when it has been stopped."""
        worker = await workers.start(does=[double])
        with pytest.raises(WorkerStateError, match=r"is running; .* make a new one"):
            await worker.start()
        await worker.stop()
        with pytest.raises(WorkerStateError, match=r"is stopped; .* make a new one"):
            await worker.start()
        with pytest.raises(WorkerStateError, match="is stopped"):
            async with worker:
                pass

    async def test_two_starts_at_a_time(self, url: str) -> None:
        """One of them wins, the other is refused, and the worker works."""
        async with TaskHubWorker(url) as worker:
            worker.add_activity(double)
            first, second = await asyncio.gather(
                worker.start(), worker.start(), return_exceptions=True
            )
            assert first is None
            assert isinstance(second, WorkerStateError)

    async def test_registration_after_start(self, workers: Workers) -> None:
        """Too late: the store has been told what this worker knows."""
        worker = await workers.start(does=[double])
        with pytest.raises(WorkerStateError, match=r"register everything before start\(\)"):
            worker.add_activity(double)
        with pytest.raises(WorkerStateError, match=r"register everything before start\(\)"):
            worker.add_orchestration(doubling)

    async def test_nothing_registered(self, url: str) -> None:
        """A worker without functions would wait for ever; it may be mended and started."""
        worker = TaskHubWorker(url)
        with pytest.raises(WorkerStateError, match="add_orchestration or add_activity"):
            await worker.start()
        worker.add_activity(double)
        await worker.start()
        await worker.stop()

    async def test_never_started(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        """Whoever forgets to start a worker hears of it."""
        async with TaskHubWorker(url) as worker:
            worker.add_activity(double)
        [message] = caplog.messages
        assert "was never started" in message
        assert "call start()" in message

    async def test_stop_again_and_again(self, workers: Workers) -> None:
        """Stopping is idempotent, before and after."""
        worker = await workers.start(does=[double])
        await worker.stop()
        await worker.stop()
        fresh = TaskHubWorker(workers.url)
        await fresh.stop()
        with pytest.raises(WorkerStateError, match="is stopped"):
            await fresh.start()

    async def test_a_client_after_its_close(self, url: str) -> None:
        """Every call of a closed client says so."""
        client = TaskHubClient(url)
        async with client:
            assert await client.get_orchestration_state("a") is None
        await client.close()
        for call in (
            lambda: client.get_orchestration_state("a"),
            lambda: client.schedule_new_orchestration("a"),
            lambda: client.raise_event("a", "b"),
            lambda: client.wait_for_orchestration_completion("a"),
            lambda: client.purge_orchestration("a"),
            client.query_orchestrations,
            client.__aenter__,
        ):
            with pytest.raises(BackendClosedError, match="make a new one"):
                await call()

    async def test_a_start_that_failed_may_be_repeated(self, tmp_path: Path) -> None:
        """When what the error asks for has been done, the same worker starts."""
        folder = tmp_path / "later"
        worker = TaskHubWorker(f"sqlite:///{folder / 'hub.db'}")
        worker.add_activity(double)
        with pytest.raises(BackendUnavailableError, match="create it first"):
            await worker.start()
        folder.mkdir()
        await worker.start()
        await worker.stop()


# --- stopping ----------------------------------------------------------------------------------


@pytest.mark.asyncio
class TestStopping:
    """``stop`` waits for what runs, within its limit, and others get the rest."""

    async def test_it_waits_for_what_runs(self, client: TaskHubClient, workers: Workers) -> None:
        """**activity-once** A result that came while stopping counts; nothing runs twice."""
        runs = []
        running = asyncio.Event()

        async def slow(ctx: task.ActivityContext) -> str:
            runs.append(ctx.task_id)
            running.set()
            await asyncio.sleep(0.3)
            return "slow"

        worker = await workers.start(does=[slow], knows=[calls])
        instance_id = await client.schedule_new_orchestration(calls, input="slow")
        await running.wait()
        await worker.stop(PATIENCE)
        await workers.start(does=[slow], knows=[calls])
        assert await result_of(client, instance_id) == "slow"
        assert runs == [1]

    async def test_it_does_not_wait_for_ever(self, client: TaskHubClient, workers: Workers) -> None:
        """**failure-infra** What outlasts the limit is abandoned and runs again elsewhere."""
        attempts: list[str] = []
        cancelled = []
        running = asyncio.Event()

        async def endless(ctx: task.ActivityContext) -> str:
            attempts.append("begun")
            running.set()
            if len(attempts) == 1:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    cancelled.append(True)
                    raise
            return "done"

        worker = await workers.start(does=[endless], knows=[calls])
        instance_id = await client.schedule_new_orchestration(calls, input="endless")
        await running.wait()
        began = time.monotonic()
        await worker.stop(0.1)
        assert time.monotonic() - began < 5.0
        assert cancelled == [True]
        await workers.start(does=[endless], knows=[calls])
        assert await result_of(client, instance_id) == "done"
        assert len(attempts) == 2

    async def test_a_thread_is_left_behind(
        self, client: TaskHubClient, workers: Workers, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**activity-once** A thread cannot be stopped: it is reported, its result dropped."""
        attempts: list[str] = []
        running, released = threading.Event(), threading.Event()

        def stubborn(ctx: task.ActivityContext) -> int:
            attempts.append("begun")
            number = len(attempts)
            running.set()
            if number == 1:
                released.wait(PATIENCE)
            return number

        worker = await workers.start(does=[stubborn], knows=[calls])
        instance_id = await client.schedule_new_orchestration(calls, input="stubborn")
        await asyncio.to_thread(running.wait, PATIENCE)
        await worker.stop(0.1)
        released.set()
        assert any("is left behind" in message for message in caplog.messages)
        await workers.start(does=[stubborn], knows=[calls])
        assert await result_of(client, instance_id) == 2

    async def test_what_broke_the_loop_is_raised(
        self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The worker is stopped all the same, and says so at once in the log."""

        async def broken(source: object) -> None:
            raise LookupError("broken")

        monkeypatch.setattr(StoreWorkItemSource, "receive", broken)
        worker = TaskHubWorker(url)
        worker.add_activity(double)
        await worker.start()

        async def is_told() -> bool:
            return any("loop broke" in message for message in caplog.messages)

        await eventually(is_told, "the log tells")
        with pytest.raises(LookupError, match="broken"):
            await worker.stop()
        await worker.stop()
        assert repr(worker).endswith("stopped)")


SERVE = """
import asyncio, sys
from durabletask import task
from durabletask.worker import TaskHubWorker

@task.activity
async def nap(ctx) -> str:
    print("napping", flush=True)
    await asyncio.sleep(0.3)
    return "rested"

@task.orchestration
def calls(ctx, name: str):
    return (yield ctx.call_activity(name))

worker = TaskHubWorker(sys.argv[1])
worker.add_activity(nap)
worker.add_orchestration(calls)
asyncio.run(worker.run())
print("ended", flush=True)
"""


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_run_ends_on_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """A process that only runs a worker drains and exits with 0, without a word."""
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", SERVE, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with TaskHubClient(url) as client:
            instance_id = await client.schedule_new_orchestration("calls", input="nap")
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            assert line == b"napping\n"
            process.send_signal(number)
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
            assert (process.returncode, out, err) == (0, b"ended\n", b"")
            history = await client.get_orchestration_history(instance_id)
            assert [event for event in history if type(event).__name__ == "TaskScheduled"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


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


# --- code that has changed ---------------------------------------------------------------------


@task.orchestration(name="changing")
def old_code(ctx: task.OrchestrationContext):
    """Calls an activity, then waits."""
    yield ctx.call_activity(double, input=1)
    return (yield ctx.wait_for_external_event("go"))


@task.orchestration(name="changing")
def new_code(ctx: task.OrchestrationContext):
    """Waits for a timer instead."""
    yield ctx.create_timer(timedelta(milliseconds=1))
    return (yield ctx.wait_for_external_event("go"))


@pytest.mark.asyncio
class TestChangedCode:
    """**replay-park** An instance whose code has changed is set aside, or fails if so wished."""

    async def begin(self, client: TaskHubClient, workers: Workers, code: Any) -> str:
        """An instance that waits for its event, its worker gone, the event on its way."""
        worker = await workers.start(does=[double], knows=[code])
        instance_id = await client.schedule_new_orchestration("changing")

        async def waits() -> bool:
            history = await client.get_orchestration_history(instance_id)
            return any(type(event).__name__ == "TaskCompleted" for event in history)

        await eventually(waits, "the activity is done")
        await worker.stop()
        await client.raise_event(instance_id, "go", "gone")
        return instance_id

    async def parked(self, client: TaskHubClient, instance_id: str) -> str:
        """The reason why it is set aside, once it is; it counts as running."""

        async def reason() -> str | None:
            state = await client.get_orchestration_state(instance_id)
            assert state is not None
            assert state.runtime_status is OrchestrationStatus.RUNNING
            return state.parked_reason

        found: str = await eventually(reason, "it is set aside")
        return found

    async def test_other_code_releases_it(self, client: TaskHubClient, workers: Workers) -> None:
        """**replay-check** The reason names both sides; a worker with the old code goes on."""
        instance_id = await self.begin(client, workers, old_code)
        await workers.start(does=[double], knows=[new_code])
        reason = await self.parked(client, instance_id)
        assert "NonDeterminismError" in reason
        assert "double" in reason
        assert "timer" in reason
        await workers.stack.aclose()
        await workers.start(does=[double], knows=[old_code])
        assert await result_of(client, instance_id) == "gone"
        state = await client.get_orchestration_state(instance_id)
        assert state is not None
        assert state.parked_reason is None

    async def test_an_operator_releases_it(self, client: TaskHubClient, workers: Workers) -> None:
        """What the code depends on has been mended: resuming tries again."""
        mended = [True]

        @task.orchestration(name="changing")
        def fickle(ctx: task.OrchestrationContext):
            if mended[0]:
                yield ctx.call_activity(double, input=1)
            else:
                yield ctx.create_timer(timedelta(milliseconds=1))
            return (yield ctx.wait_for_external_event("go"))

        instance_id = await self.begin(client, workers, fickle)
        mended[0] = False
        await workers.start(does=[double], knows=[fickle])
        await self.parked(client, instance_id)
        mended[0] = True
        await client.resume_orchestration(instance_id)
        assert await result_of(client, instance_id) == "gone"

    async def test_it_fails_if_so_wished(self, client: TaskHubClient, workers: Workers) -> None:
        """``nondeterminism="fail"`` ends it with the same text."""
        instance_id = await self.begin(client, workers, old_code)
        await workers.start(does=[double], knows=[new_code], nondeterminism="fail")
        state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by("NonDeterminismError")
        assert "double" in state.failure_details.message
