"""hello_sequence with our worker and client against a sidecar; one process is both.

Usage: python -m benchmarks.sidecar.ours URL COUNT SHORT LONG
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

CITIES = ("Tokyo", "Seattle", "London")


@task.activity
async def say_hello(ctx: task.ActivityContext, city: str) -> str:
    """The activity."""
    return f"Hello {city}!"


@task.orchestration
def hello(ctx: task.OrchestrationContext, _: Any) -> Any:
    """Three activities, one after another."""
    results = []
    for city in CITIES:
        results.append((yield ctx.call_activity(say_hello, input=city)))
    return results


@task.orchestration
def steps(ctx: task.OrchestrationContext, count: int) -> Any:
    """So many activities, one after another."""
    for _ in range(count):
        yield ctx.call_activity(say_hello, input="Tokyo")
    return count


async def work(url: str, count: int, short: int, long: int) -> dict[str, float]:
    """So many instances at once, then one of each number of steps."""
    async with TaskHubWorker(url) as worker, TaskHubClient(url) as client:
        for orchestration in (hello, steps):
            worker.add_orchestration(orchestration)
        worker.add_activity(say_hello)
        await worker.start()

        async def run() -> None:
            instance_id = await client.schedule_new_orchestration(hello)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=120)
            assert state.result == [f"Hello {city}!" for city in CITIES]

        async def ms_per_step(length: int) -> float:
            began = time.perf_counter()
            instance_id = await client.schedule_new_orchestration(steps, input=length)
            await client.wait_for_orchestration_completion(instance_id, timeout=120)
            return 1000 * (time.perf_counter() - began) / length

        await asyncio.gather(*(run() for _ in range(20)))  # warm up
        began = time.perf_counter()
        await asyncio.gather(*(run() for _ in range(count)))
        figures = {"rate": count / (time.perf_counter() - began)}
        if long:
            figures["ms_per_step"] = await ms_per_step(short)
            figures["ms_per_step_long"] = await ms_per_step(long)
    return figures


if __name__ == "__main__":
    address, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(work(address, *map(int, numbers)))))
