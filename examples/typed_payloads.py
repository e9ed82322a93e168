"""Typed payloads: dataclasses, enums, decimals and dates go in and come out as themselves.

Payloads are stored as JSON. The annotations of a function say what they are rebuilt as.
"""

import asyncio
import enum
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.worker import TaskHubWorker


class Carrier(enum.Enum):
    POST = "post"
    BIKE = "bike"


@dataclass(frozen=True)
class Item:
    name: str
    price: Decimal


@dataclass(frozen=True)
class Order:
    items: list[Item]
    due: date


@dataclass(frozen=True)
class Receipt:
    total: Decimal
    carrier: Carrier
    due: date


@task.activity
def add_up(ctx: task.ActivityContext, items: list[Item]) -> Decimal:
    return sum((item.price for item in items), Decimal())


@task.activity
def choose_carrier(ctx: task.ActivityContext, order: Order) -> Carrier:
    return Carrier.POST if len(order.items) > 1 else Carrier.BIKE


@task.orchestration
async def take_order(ctx: task.OrchestrationContext, order: Order) -> Receipt:
    total = await ctx.call_activity(add_up, input=order.items)
    carrier = await ctx.call_activity(choose_carrier, input=order)
    return Receipt(total, carrier, order.due)


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_orchestration(take_order)
        worker.add_activity(add_up)
        worker.add_activity(choose_carrier)
        await worker.start()

        client = TaskHubClient(url)
        order = Order([Item("desk", Decimal("199.90")), Item("lamp", Decimal("20.10"))], date.max)
        instance_id = await client.schedule_new_orchestration(take_order, input=order)
        state = await client.wait_for_orchestration_completion(instance_id)
        print(state.result)
        print(state.get_output(Receipt))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
