"""Chaining: the result of each activity is the input of the next."""

import asyncio
import sys

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


@task.activity
def extract(ctx: task.ActivityContext, source: str) -> list[int]:
    return [int(number) for number in source.split(",")]


@task.activity
def transform(ctx: task.ActivityContext, numbers: list[int]) -> list[int]:
    return [number * number for number in numbers]


@task.activity
def load(ctx: task.ActivityContext, numbers: list[int]) -> str:
    return f"loaded {len(numbers)} numbers, {sum(numbers)} in all"


@task.orchestration
def pipeline(ctx: task.OrchestrationContext, source: str):
    numbers = yield ctx.call_activity(extract, input=source)
    squares = yield ctx.call_activity(transform, input=numbers)
    return (yield ctx.call_activity(load, input=squares))


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(pipeline)
        worker.add_activity(extract)
        worker.add_activity(transform)
        worker.add_activity(load)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(pipeline, input="1,2,3")
        state = await client.wait_for_orchestration_completion(instance_id)
        print(state.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
