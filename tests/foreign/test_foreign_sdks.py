"""SDKs of others run their own clients and workers through our sidecar."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

PATIENCE = 120.0
PLACES = {"memory": "memory://", "sqlite": "sqlite:///{folder}/hub.db?synchronous=normal"}
SCENARIOS = {"python": 27, "js": 25}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a backend."""
    return PLACES[request.param].format(folder=tmp_path)


async def eventually(condition: Callable[[str], Awaitable[bool]], instance_id: str) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await condition(instance_id):
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("sdk", SCENARIOS)
def test_every_scenario(
    sdk: str, place: str, serve: Callable[[str], str], sdks: dict[str, list[str]]
) -> None:
    """Sequences, fan-out, children, timers, events, ends of all kinds, queries, id reuse, …"""
    done = subprocess.run(
        [*sdks[sdk], serve(place), "default", "all"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    passed = [line for line in done.stdout.splitlines() if line.startswith("passed ")]
    assert len(passed) == SCENARIOS[sdk]


@pytest.mark.asyncio
@pytest.mark.parametrize("sdk", SCENARIOS)
async def test_a_worker_is_killed(
    sdk: str, tmp_path: Path, serve: Callable[[str], str], start: Callable[..., Any]
) -> None:
    """**failure-infra** What it had in hand goes to another; nothing fails, nothing is lost."""
    address = serve(PLACES["sqlite"].format(folder=tmp_path))
    victim = start(sdk, address, "default", "worker")
    async with TaskHubClient(f"grpc://{address}") as client:
        ids = [await client.schedule_new_orchestration("long_lived", input=40) for _ in range(10)]

        async def is_under_way(instance_id: str) -> bool:
            state = await client.get_orchestration_state(instance_id)
            return state is not None and state.custom_status is not None

        for instance_id in ids:
            await eventually(is_under_way, instance_id)
        victim.kill()
        start(sdk, address, "default", "worker")
        for instance_id in ids:
            state = await client.wait_for_orchestration_completion(instance_id, timeout=60)
            assert state.result == 40, state.failure_details


@task.orchestration
def doubling(ctx: task.OrchestrationContext, values: list[int]) -> Any:
    """Calls activities that are written in another language."""
    results = yield task.when_all([ctx.call_activity("double", input=value) for value in values])
    return results


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["beside the sidecar", "through the sidecar"])
async def test_mixed_languages(
    way: str, tmp_path: Path, serve: Callable[[str], str], start: Callable[..., Any]
) -> None:
    """A JavaScript worker runs the activities that a Python orchestrator calls, over one hub."""
    place = PLACES["sqlite"].format(folder=tmp_path)
    address = serve(place)
    start("js", address, "default", "activities")
    url = place if way == "beside the sidecar" else f"grpc://{address}"
    async with TaskHubWorker(url) as worker, TaskHubClient(url) as client:
        worker.add_orchestration(doubling)
        await worker.start()
        instance_id = await client.schedule_new_orchestration(doubling, input=[*range(20)])
        state = await client.wait_for_orchestration_completion(instance_id, timeout=60)
    assert state.result == [2 * value for value in range(20)], state.failure_details
