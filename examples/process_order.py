"""An order from start to end: validate it, process its items in parallel, charge, ship."""

import asyncio
import sys

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


class Order:
    def __init__(self, id: str, items: list, total: float):
        self.id = id
        self.items = items
        self.total = total


@task.orchestration
def process_order(ctx: task.OrchestrationContext, order_dict: dict):
    order = Order(**order_dict)

    is_valid = yield ctx.call_activity(validate_order, input=order_dict)
    if not is_valid:
        return {"success": False, "reason": "Invalid order"}

    # Process items in parallel
    item_tasks = []
    for item in order.items:
        item_tasks.append(ctx.call_activity(process_item, input=item))
    item_results = yield task.when_all(item_tasks)

    payment = yield ctx.call_activity(
        process_payment, input={"order_id": order.id, "total": order.total}
    )

    yield ctx.call_activity(schedule_shipping, input={"order_id": order.id, "items": item_results})

    return {"success": True, "order_id": order.id, "payment_id": payment["id"]}


@task.activity
def validate_order(ctx: task.ActivityContext, order: dict) -> bool:
    return len(order.get("items", [])) > 0


@task.activity
def process_item(ctx: task.ActivityContext, item: dict) -> dict:
    return {"item_id": item["id"], "status": "processed"}


@task.activity
def process_payment(ctx: task.ActivityContext, data: dict) -> dict:
    return {"id": f"payment-{data['order_id']}", "status": "completed"}


@task.activity
def schedule_shipping(ctx: task.ActivityContext, data: dict):
    print(f"Shipping scheduled for order {data['order_id']}")


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(process_order)
        worker.add_activity(validate_order)
        worker.add_activity(process_item)
        worker.add_activity(process_payment)
        worker.add_activity(schedule_shipping)
        await worker.start()

        client = TaskHubClient(url)
        order = {
            "id": "order-123",
            "items": [{"id": "item-1", "name": "Widget"}, {"id": "item-2", "name": "Gadget"}],
            "total": 99.99,
        }
        instance_id = await client.schedule_new_orchestration(process_order, input=order)
        print("Started orchestration")

        state = await client.wait_for_orchestration_completion(instance_id)
        print(f"Result: {state.result}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
