"""Fan-out and fan-in: many activities at the same time, then one over all their results."""

import asyncio
import random
import sys
import time

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


@task.activity
def process_item(ctx: task.ActivityContext, item: str) -> int:
    time.sleep(random.uniform(0.01, 0.05))  # Simulate work
    return len(item) * 2


@task.activity
def aggregate_results(ctx: task.ActivityContext, results: list[int]) -> dict:
    return {
        "count": len(results),
        "sum": sum(results),
        "average": sum(results) / len(results) if results else 0,
    }


@task.orchestration
def fan_out_fan_in(ctx: task.OrchestrationContext, items: list[str]):
    # Calling schedules the activity; only yielding waits for it.
    tasks = [ctx.call_activity(process_item, input=item) for item in items]
    results = yield task.when_all(tasks)
    return (yield ctx.call_activity(aggregate_results, input=results))


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(fan_out_fan_in)
        worker.add_activity(process_item)
        worker.add_activity(aggregate_results)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(
            fan_out_fan_in, input=["apple", "pear", "cherry", "fig"]
        )
        state = await client.wait_for_orchestration_completion(instance_id)
        print(state.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
