"""Retry by policy: the same activity again, after growing pauses, with no loop to write."""

import asyncio
import sys
from datetime import timedelta

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

PATIENT = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=0.1),
    max_number_of_attempts=5,
    backoff_coefficient=2,
    non_retryable_error_types=(ValueError,),
)

calls = 0


@task.activity
def unreliable_activity(ctx: task.ActivityContext, name: str) -> str:
    global calls
    if not name:
        raise ValueError("nobody to reach")
    calls += 1
    if calls < 3:
        raise ConnectionError(f"no route to {name}")
    return f"reached {name} at attempt {calls}"


@task.orchestration
def reach(ctx: task.OrchestrationContext, name: str):
    return (yield ctx.call_activity(unreliable_activity, input=name, retry_policy=PATIENT))


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(reach)
        worker.add_activity(unreliable_activity)
        await worker.start()

        client = TaskHubClient(url)
        for name in ("mars", ""):
            instance_id = await client.schedule_new_orchestration(reach, input=name)
            state = await client.wait_for_orchestration_completion(instance_id)
            try:
                state.raise_if_failed()
                print(state.result)
            except task.OrchestrationFailedError as error:
                print(error)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
