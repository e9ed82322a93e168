"""Clients and workers that are used wrongly, or that nobody closes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    WorkerStateError,
)
from durabletask.worker import TaskHubWorker

from .scene import Workers, double, doubling

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
    # On a busy machine anything is slow, and debug mode would say so.
    asyncio.get_running_loop().slow_callback_duration = 60
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
    asyncio.get_running_loop().slow_callback_duration = 60
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
        with pytest.raises(WorkerStateError, match="add_activity or add_entity"):
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
