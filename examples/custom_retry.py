"""Retry with logic of your own: a failed activity is an exception like any other.

For the usual retries give the call a ``RetryPolicy`` instead; see ``retry_policy.py``.
"""

import asyncio
import sys
from datetime import timedelta

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker

calls = 0


@task.activity
def unreliable_activity(ctx: task.ActivityContext, name: str) -> str:
    global calls
    calls += 1
    if calls < 3:
        raise ConnectionError(f"no route to {name}")
    return f"reached {name}"


@task.orchestration
def retry_orchestration(ctx: task.OrchestrationContext, name: str):
    max_attempts = 5
    attempt = 0
    while attempt < max_attempts:
        try:
            result = yield ctx.call_activity(unreliable_activity, input=name)
            return {"success": True, "attempts": attempt + 1, "result": result}
        except task.TaskFailedError as error:
            attempt += 1
            if attempt >= max_attempts or not error.is_caused_by(ConnectionError):
                return {"success": False, "error": str(error)}
            # Exponential backoff
            yield ctx.create_timer(timedelta(seconds=0.1 * 2**attempt))


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(retry_orchestration)
        worker.add_activity(unreliable_activity)
        await worker.start()

        client = TaskHubClient(url)
        instance_id = await client.schedule_new_orchestration(retry_orchestration, input="mars")
        state = await client.wait_for_orchestration_completion(instance_id)
        print(state.result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
