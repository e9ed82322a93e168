"""What the tests here share: small programs, and workers that end with the test."""

from contextlib import AsyncExitStack
from typing import Any

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker, WorkerOptions

PATIENCE = 20.0


class Workers:
    """Workers of one hub; those still at work at the end of the test are stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stack = AsyncExitStack()

    async def start(
        self, *, does: list[Any], knows: list[Any] | None = None, **options: Any
    ) -> TaskHubWorker:
        """Start a worker that does these activities and knows these orchestrations."""
        worker = TaskHubWorker(self.url, options=WorkerOptions(**options))
        for activity in does:
            worker.add_activity(activity)
        for orchestration in knows or []:
            worker.add_orchestration(orchestration)
        await worker.start()
        self.stack.push_async_callback(worker.stop, 1.0)
        return worker


@task.activity
def double(ctx: task.ActivityContext, number: int) -> int:
    """Twice the number."""
    return 2 * number


@task.orchestration
def doubling(ctx: task.OrchestrationContext, number: int):
    """Asks an activity."""
    return (yield ctx.call_activity(double, input=number))


@task.orchestration
def calls(ctx: task.OrchestrationContext, name: str):
    """Calls the activity of this name."""
    return (yield ctx.call_activity(name))


async def result_of(client: TaskHubClient, instance_id: str) -> Any:
    """What the instance returns; it must not fail."""
    state = await client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    state.raise_if_failed()
    return state.result
