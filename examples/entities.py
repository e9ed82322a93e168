"""Entities: accounts that outlive every orchestration, and transfers that lock two of them."""

import asyncio
import sys

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.task import EntityId
from durabletask.worker import TaskHubWorker


@task.entity
class Account(task.DurableEntity):
    def balance(self) -> int:
        return self.get_state(int, 0)

    def deposit(self, amount: int) -> int:
        balance = self.balance() + amount
        if balance < 0:
            raise ValueError("an account cannot be overdrawn")
        self.set_state(balance)
        return balance

    def withdraw(self, amount: int) -> int:
        return self.deposit(-amount)


@task.orchestration
def open_accounts(ctx: task.OrchestrationContext, deposits: dict):
    # One entity does one thing after the other; several work side by side.
    calls = [
        ctx.call_entity(EntityId("account", owner), "deposit", amount)
        for owner, amount in deposits.items()
    ]
    return (yield task.when_all(calls))


@task.orchestration
def transfer(ctx: task.OrchestrationContext, order: dict):
    source, target = EntityId("account", order["from"]), EntityId("account", order["to"])
    # Nobody else sees the accounts before both have changed.
    with (yield ctx.lock_entities([source, target])):
        if (yield ctx.call_entity(source, "balance")) < order["amount"]:
            return "too little money"
        yield ctx.call_entity(source, "withdraw", order["amount"])
        yield ctx.call_entity(target, "deposit", order["amount"])
    return "done"


async def main(url: str | None) -> None:
    async with TaskHubWorker(url) as worker:
        worker.add_entity(Account)
        worker.add_orchestration(open_accounts)
        worker.add_orchestration(transfer)
        await worker.start()

        client = TaskHubClient(url)
        start = client.schedule_new_orchestration
        opening = await start(open_accounts, input={"ada": 100, "bob": 100})
        await client.wait_for_orchestration_completion(opening)

        # In whatever order they come, nobody waits for ever, and no money is lost.
        pairs = [("ada", "bob"), ("bob", "ada"), ("ada", "bob"), ("bob", "ada")]
        orders = [{"from": one, "to": other, "amount": 30} for one, other in pairs]
        orders.append({"from": "ada", "to": "bob", "amount": 1000})
        started = [await start(transfer, input=order) for order in orders]
        for instance_id in started:
            state = await client.wait_for_orchestration_completion(instance_id)
            print(state.result)

        for owner in ("ada", "bob"):
            account = await client.get_entity(EntityId("account", owner))
            assert account is not None
            print(f"{owner} has {account.state}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
