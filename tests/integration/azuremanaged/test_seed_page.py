"""The page that this library implements: every block of Python on it runs as printed.

`page.md` is a copy of the reference page. A sidecar of the test's own, started by
`durabletask serve` where the page expects the emulator, is all that the programs need.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.servers.ports import is_free

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.task._decorators import definition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 8080
"""Where the page's programs look for the emulator."""

CONNECTION_STRING = f"Endpoint=http://localhost:{PORT};TaskHub=default;Authentication=None"
PLACEHOLDER = '"your-connection-string"'
PATIENCE = 60.0

_PARTS = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)

pytestmark = pytest.mark.timeout(180)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of Python on the page; `heading` is the last heading above it."""

    heading: str
    code: str

    @property
    def is_program(self) -> bool:
        return "asyncio.run(main())" in self.code

    @property
    def is_coroutine(self) -> bool:
        return re.search(r"^(await|async with)\b|= await\b", self.code, re.MULTILINE) is not None


def blocks() -> list[Block]:
    """Every block of Python, in order."""
    found: list[Block] = []
    heading = ""
    text = (Path(__file__).parent / "page.md").read_text("utf-8")
    for match in re.finditer(
        r"^#+ (?P<heading>[^\n]+)$|^```python\n(?P<code>.*?)^```$", text, re.M | re.S
    ):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(Block(heading, match["code"]))
    return found


BLOCKS = blocks()
PROGRAMS = [block for block in BLOCKS if block.is_program]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`durabletask serve` runs, with its defaults; another run of the tests may have the port."""
    deadline = time.monotonic() + PATIENCE
    line = ""
    while not line:
        assert time.monotonic() < deadline, f"somebody else listens on port {PORT}"
        if not is_free(PORT):
            time.sleep(0.2)
            continue
        server = serve(tmp_path_factory.mktemp("serve"))
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:  # somebody else was quicker
            server.wait(PATIENCE)
            server.stdout.close()
    assert line == f"serving sqlite:///durabletask.db on grpc://127.0.0.1:{PORT}\n"
    yield
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE) == 0
    server.stdout.close()


def serve(folder: Path) -> subprocess.Popen[str]:
    """Start the sidecar as the command line does."""
    environment = {name: value for name, value in os.environ.items() if name != "DURABLETASK_URL"}
    program = Path(sys.executable).parent / "durabletask"
    return subprocess.Popen(
        [program, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.heading)
def test_a_program_runs_as_printed(block: Block, tmp_path: Path) -> None:
    """With no change but the connection string that the page leaves open."""
    program = tmp_path / "program.py"
    program.write_text(block.code.replace(PLACEHOLDER, repr(CONNECTION_STRING)), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    results = {
        "Quick Start": "Result: ['Hello Tokyo!', 'Hello Seattle!', 'Hello London!']\n",
        "Complete Example": "Result: {'success': True, 'order_id': 'order-123', "
        "'payment_id': 'payment-order-123'}\n",
    }
    assert done.stdout.endswith(results[block.heading])


# --- the other blocks: their names, as a user would have defined them ---------------------------


@task.activity
def anything(ctx: task.ActivityContext, value: Any) -> Any:
    """Stands for every activity that the page calls and does not define."""
    return {"id": "payment"} if ctx.name == "process_payment" else value


@task.orchestration
def my_orchestration(ctx: task.OrchestrationContext, value: Any) -> Any:
    """What the page's client starts and signals."""
    yield ctx.wait_for_external_event("ApprovalEvent")
    return value


ACTIVITIES = (
    "my_activity process_payment arrange_shipping validate_order send_approval_request "
    "process_approval process_rejection escalate_request do_work unreliable_activity"
).split()

NAMES: dict[str, Any] = {
    **{name: name for name in ACTIVITIES},
    "Order": dict,
    "child_orchestration": "my_orchestration",
    "connection_string": CONNECTION_STRING,
    "datetime": datetime,
    "input_data": {"data": 1},
    "my_activity": anything,
    "my_orchestration": my_orchestration,
    "print": lambda *_: None,
    "task": task,
    "timedelta": timedelta,
    "DurableTaskSchedulerClient": DurableTaskSchedulerClient,
    "DurableTaskSchedulerWorker": DurableTaskSchedulerWorker,
}
"""What the page takes for granted in its pieces of programs."""

DEFINING = [b for b in BLOCKS if re.search(r"^@task", b.code, re.MULTILINE) and not b.is_program]
COROUTINES = [b for b in BLOCKS if b.is_coroutine and not b.is_program]
PIECES = [
    b
    for b in BLOCKS
    if ("yield" in b.code or "ctx." in b.code) and b not in PROGRAMS + DEFINING + COROUTINES
]
OTHERS = [b for b in BLOCKS if b not in PROGRAMS + DEFINING + COROUTINES + PIECES]

INPUTS: dict[str, Any] = {"fan_out_fan_in": ["a", "bc"], "periodic_task": None}


def test_every_block_is_run() -> None:
    """The page is read whole."""
    kinds = (PROGRAMS, DEFINING, COROUTINES, PIECES, OTHERS)
    assert [len(found) for found in kinds] == [2, 8, 13, 5, 5]


def executed(code: str, **more: Any) -> dict[str, Any]:
    """The names of the page after a block was executed."""
    namespace = NAMES | more
    exec(code.replace(PLACEHOLDER, repr(CONNECTION_STRING)), namespace)
    return namespace


@pytest.mark.usefixtures("served")
@pytest.mark.asyncio
@pytest.mark.parametrize("block", DEFINING, ids=lambda block: block.heading)
async def test_what_the_page_defines_runs(block: Block) -> None:
    """Orchestrators and activities of a block, on the served hub."""
    own = [value for name, value in executed(block.code).items() if name not in NAMES]
    functions = [value for value in own if hasattr(value, "__durabletask_definition__")]
    orchestrations = [f for f in functions if definition_of(f).kind == "orchestration"]
    activities = [f for f in functions if definition_of(f).kind == "activity"]
    hub = f"page-{BLOCKS.index(block)}"
    async with DurableTaskSchedulerWorker(None, hub) as worker:
        for activity in activities:
            worker.add_activity(activity)
        for name in {*ACTIVITIES, "anything"} - {definition_of(f).name for f in activities}:
            worker.add_activity(anything, name=name)
        for orchestration in [*orchestrations, my_orchestration]:
            worker.add_orchestration(orchestration)
        await worker.start()
        async with DurableTaskSchedulerClient(None, hub) as client:
            for orchestration in orchestrations:
                name = definition_of(orchestration).name
                instance_id = await client.schedule_new_orchestration(
                    orchestration, input=INPUTS.get(name, {"data": 1})
                )
                if name == "approval_workflow":
                    await client.raise_event(instance_id, "ApprovalReceived", {"approved": True})
                if name == "periodic_task":
                    await client.wait_for_orchestration_start(instance_id, timeout=PATIENCE)
                    await client.terminate_orchestration(instance_id)
                state = await client.wait_for_orchestration_completion(
                    instance_id, timeout=PATIENCE
                )
                assert state.failure_details is None


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
@pytest.mark.usefixtures("served")
@pytest.mark.asyncio
async def test_what_the_page_awaits_runs() -> None:
    """The calls of clients and workers, each on an instance that waits for its event."""
    for number, block in enumerate(COROUTINES):
        namespace = dict(NAMES) | {"my_orchestration": waiting, "my_activity": anything}
        worker = DurableTaskSchedulerWorker(CONNECTION_STRING)
        if "worker.st" not in block.code and "as worker" not in block.code:
            worker.add_orchestration(waiting)
            await worker.start()
        else:
            worker.add_orchestration(my_orchestration)
        client = DurableTaskSchedulerClient(CONNECTION_STRING)
        instance_id = f"page-{number}"
        if "schedule_new_orchestration" not in block.code:
            await client.schedule_new_orchestration(waiting, instance_id=instance_id)
        if "wait_for_orchestration_completion" in block.code or "purge" in block.code:
            await client.raise_event(instance_id, "ApprovalEvent", 1)
            await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
        namespace |= {"client": client, "worker": worker, "instance_id": instance_id}
        code = "async def piece():\n" + textwrap.indent(block.code, "    ")
        exec(code, namespace)
        await asyncio.wait_for(namespace["piece"](), PATIENCE)
        await worker.stop()
        for name in ("my-custom-id", instance_id):
            if await client.get_orchestration_state(name) is not None:
                await client.terminate_orchestration(name)
        await client.close()


@task.orchestration
def waiting(ctx: task.OrchestrationContext, value: Any) -> Any:
    """What the page's client starts and signals."""
    yield ctx.wait_for_external_event("ApprovalEvent")
    return value


@pytest.mark.usefixtures("served")
@pytest.mark.asyncio
@pytest.mark.parametrize("block", PIECES, ids=lambda block: block.heading)
async def test_pieces_of_orchestrators_run(block: Block) -> None:
    """Each as the body of one, until it is done or, if it has no end, until it is stopped."""
    body = textwrap.indent(block.code, "    ")
    defined = executed(
        f"@task.orchestration\ndef piece(ctx, value):\n{body}\n    return 'done'\n    yield",
        new_input={"data": 2},
    )
    hub = f"page-{block.heading.removesuffix('()')}"
    async with DurableTaskSchedulerWorker(None, hub) as worker:
        worker.add_activity(anything)
        worker.add_orchestration(defined["piece"])
        worker.add_orchestration(my_orchestration)
        await worker.start()
        async with DurableTaskSchedulerClient(None, hub) as client:
            instance_id = await client.schedule_new_orchestration("piece", input={"data": 1})
            waiting_for = {"wait_for_external_event()": instance_id}
            waiting_for["call_sub_orchestration()"] = "child-123"
            if block.heading in waiting_for:
                receiver = waiting_for[block.heading]
                async with asyncio.timeout(PATIENCE):
                    await started(client, receiver)
                await client.raise_event(receiver, "ApprovalEvent", {"approved": True})
            has_end = block.heading not in ("create_timer()", "continue_as_new()")
            if not has_end:
                await client.terminate_orchestration(instance_id)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
            assert state.failure_details is None
            assert state.runtime_status.name == ("COMPLETED" if has_end else "TERMINATED")
            assert state.result == ("done" if has_end else None)


async def started(client: DurableTaskSchedulerClient, instance_id: str) -> None:
    """Return once an instance exists."""
    while True:
        if await client.get_orchestration_state(instance_id) is not None:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("block", OTHERS, ids=lambda block: block.heading)
def test_the_rest_is_executed(block: Block) -> None:
    """As it stands."""
    executed(block.code, worker=DurableTaskSchedulerWorker(CONNECTION_STRING))
