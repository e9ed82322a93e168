"""How workers stop: what they finish, and what they leave to others."""

import asyncio
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.store.source import StoreWorkItemSource
from durabletask.testing.conformance.backend.driver import eventually
from durabletask.worker import TaskHubWorker

from .scene import PATIENCE, Workers, calls, double, result_of


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
