"""Hello cities: three activities, one after another.

Run it with ``python examples/hello_cities.py``. It keeps its state in the SQLite file
``durabletask.db`` in the working directory. Name another place by a URL:

    python examples/hello_cities.py memory://
"""

import asyncio
import sys

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


@task.activity
def say_hello(ctx: task.ActivityContext, city: str) -> str:
    return f"Hello {city}!"


@task.orchestration
def hello_cities(ctx: task.OrchestrationContext, _):
    result1 = yield ctx.call_activity(say_hello, input="Tokyo")
    result2 = yield ctx.call_activity(say_hello, input="Seattle")
    result3 = yield ctx.call_activity(say_hello, input="London")
    return [result1, result2, result3]


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(hello_cities)
        worker.add_activity(say_hello)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(hello_cities)
        state = await client.wait_for_orchestration_completion(instance_id)
        for greeting in state.result:
            print(greeting)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
