"""Orchestrators and activities as ``async def``.

``await`` does what ``yield`` does in a generator, and type checkers see through it: here they know
that ``greetings`` is a list of str. Await durable tasks only; anything else is an error.
"""

import asyncio
import sys

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


@task.activity
async def say_hello(ctx: task.ActivityContext, city: str) -> str:
    await asyncio.sleep(0.01)  # in an activity everything may be awaited
    return f"Hello {city}!"


@task.orchestration
async def hello_cities(ctx: task.OrchestrationContext, cities: list[str]) -> list[str]:
    greetings = await task.when_all([ctx.call_activity(say_hello, input=c) for c in cities])
    return sorted(greetings)


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(hello_cities)
        worker.add_activity(say_hello)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(
            hello_cities, input=["Tokyo", "Seattle", "London"]
        )
        state = await client.wait_for_orchestration_completion(instance_id)
        print(state.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
