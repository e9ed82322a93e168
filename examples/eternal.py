"""Eternal: an orchestration that never ends, and whose history never grows.

Each round ends with ``continue_as_new``, which begins again with a new input and an empty history.
"""

import asyncio
import sys
from datetime import timedelta

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

INTERVAL = timedelta(seconds=0.1)


@task.activity
def do_work(ctx: task.ActivityContext, state: dict) -> None:
    print(f"round {state['iteration']}")


@task.orchestration
def periodic_task(ctx: task.OrchestrationContext, state: dict | None):
    state = state or {"iteration": 0}

    yield ctx.call_activity(do_work, input=state)
    yield ctx.create_timer(INTERVAL)

    state["iteration"] += 1
    ctx.continue_as_new(state)


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(periodic_task)
        worker.add_activity(do_work)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(periodic_task)

        await asyncio.sleep(1)
        await client.terminate_orchestration(instance_id, reason="enough for today")
        state = await client.wait_for_orchestration_completion(instance_id)
        print(f"{state.runtime_status.name}: {state.result}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
