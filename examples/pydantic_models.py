"""Pydantic models as payloads: they are validated where they are rebuilt.

This example needs pydantic: ``pip install pydantic``.
"""

import asyncio
import sys

from pydantic import BaseModel, Field

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


class Order(BaseModel):
    customer: str = Field(min_length=1)
    quantity: int = Field(gt=0)


@task.activity
def confirm(ctx: task.ActivityContext, order: Order) -> str:
    return f"{order.quantity} for {order.customer}"


@task.orchestration
async def take_order(ctx: task.OrchestrationContext, order: Order) -> str:
    return await ctx.call_activity(confirm, input=order)


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(take_order)
        worker.add_activity(confirm)
        await worker.start()

        client = TaskHubClient(url)
        for order in (Order(customer="Ada", quantity=2), {"customer": "Bob", "quantity": 0}):
            instance_id = await client.schedule_new_orchestration(take_order, input=order)
            state = await client.wait_for_orchestration_completion(instance_id)
            try:
                state.raise_if_failed()
                print(state.result)
            except task.OrchestrationFailedError as error:
                print(error)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
