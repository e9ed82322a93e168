"""A worker and a client on a hub, for tests that only want to see it work."""

from __future__ import annotations

from typing import Any

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.redis import RedisBackend
from durabletask.worker import TaskHubWorker

from .hubs import fresh_hub


@task.activity
async def greet(ctx: task.ActivityContext, name: str) -> str:
    return f"Hello {name}!"


@task.orchestration
def greetings(ctx: task.OrchestrationContext, names: list[str]) -> Any:
    said = []
    for name in names:
        said.append((yield ctx.call_activity(greet, input=name)))
    return said


async def hello(place: Any, task_hub_name: str | None = None, **options: Any) -> None:
    """Run an orchestration to its end."""
    hub = task_hub_name or fresh_hub()
    backend = RedisBackend(place, task_hub_name=hub, **options)
    async with backend, TaskHubWorker(backend=backend) as worker:
        client = TaskHubClient(backend=backend)
        worker.add_orchestration(greetings)
        worker.add_activity(greet)
        await worker.start()
        instance_id = await client.schedule_new_orchestration(greetings, input=["Ann", "Bob"])
        state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state.result == ["Hello Ann!", "Hello Bob!"]
