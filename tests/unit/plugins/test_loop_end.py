"""Programs that close nothing: every loop ends clean, and the next one starts where it may.

Each program runs in an interpreter of its own, in which every warning is an error and what is not
closed is reported.
"""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, datetime, gc, logging, sys
from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

# Whatever the event loop has to complain about shall be seen, and what SQLite is linked shall not.
logging.getLogger("durabletask").addHandler(logging.NullHandler())
url = sys.argv[1]

@task.orchestration
def hello(ctx, name):
    return f"Hello {name}!"
    yield

def new_worker():
    worker = TaskHubWorker(url)
    worker.add_orchestration(hello)
    return worker

async def call():
    client = TaskHubClient(url)
    instance_id = await client.schedule_new_orchestration("hello", input="nobody")
    state = await client.get_orchestration_state(instance_id)
    print(state.runtime_status.name)

async def work():
    async with new_worker() as worker:
        await worker.start()
        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(hello, input="you")
        print((await client.wait_for_orchestration_completion(instance_id)).result)
    print((await client.get_orchestration_state(instance_id)).result)

async def walk_away():
    worker = new_worker()
    await worker.start()
    client = TaskHubClient(url)
    tomorrow = datetime.timedelta(days=1)
    instance_id = await client.schedule_new_orchestration(hello, start_at=tomorrow)
    waiting = asyncio.create_task(client.wait_for_orchestration_completion(instance_id))
    await asyncio.sleep(0)
    print("gone")

async def give_up():
    await walk_away()
    raise SystemExit(0)

for name in sys.argv[2:]:
    asyncio.run(globals()[name]())
    gc.collect()
"""

OUTPUT = {
    "call": ["PENDING"],
    "work": ["Hello you!", "Hello you!"],
    "walk_away": ["gone"],
    "give_up": ["gone"],
}


@pytest.mark.parametrize("url", ["memory://", "sqlite:///hub.db"])
@pytest.mark.parametrize(
    "loops",
    [
        pytest.param(["call", "call"], id="a client that nobody closes"),
        pytest.param(["work", "work"], id="a worker, and a client that outlives it"),
        pytest.param(["walk_away", "work"], id="a worker that nobody stops, and a call it awaits"),
        pytest.param(["work", "give_up"], id="the end of the program in the middle of it all"),
    ],
)
def test_loops_end_clean(tmp_path: Path, url: str, loops: list[str]) -> None:
    """No warning, no thread or task left over, no error of the next loop on the same URL."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, url, *loops]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == [line for name in loops for line in OUTPUT[name]]
