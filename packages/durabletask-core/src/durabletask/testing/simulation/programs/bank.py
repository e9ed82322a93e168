"""Transfers between accounts: whatever goes wrong, no money is lost and none is made."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.testing.simulation.program import Program

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Bank"]

_ACCOUNTS = 4
_TRANSFERS = 6
_BALANCE = 100


@task.orchestration
def transfer(ctx: task.OrchestrationContext, order: list[int]) -> Any:
    """Take from one account and give to another, or give it back if that is closed."""
    source, target, amount = order
    try:
        yield ctx.call_activity("withdraw", input=[source, amount])
    except task.TaskFailedError:
        return "too little money"
    yield ctx.create_timer(timedelta(milliseconds=300))
    try:
        yield ctx.call_activity("deposit", input=[target, amount])
    except task.TaskFailedError:
        yield ctx.call_activity("deposit", input=[source, amount])
        return "given back"
    return "done"


class Bank(Program):
    """An account book that takes every entry once, by the activity's idempotency key."""

    orchestrations = (transfer,)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.withdraw, self.deposit)
        self.closed = chance.randrange(_ACCOUNTS)
        self.balances = [_BALANCE] * _ACCOUNTS
        self.entries: dict[str, bool] = {}

    async def withdraw(self, ctx: task.ActivityContext, entry: list[int]) -> None:
        """Take money from an account.

        Raises:
            ValueError: there is too little on it.
        """
        await asyncio.sleep(0.05)
        account, amount = entry
        if ctx.idempotency_key not in self.entries:
            self.entries[ctx.idempotency_key] = self.balances[account] >= amount
            if self.entries[ctx.idempotency_key]:
                self.balances[account] -= amount
        if not self.entries[ctx.idempotency_key]:
            raise ValueError("too little money")

    def deposit(self, ctx: task.ActivityContext, entry: list[int]) -> None:
        """Put money on an account; the closed one takes nothing but what comes back to it.

        Raises:
            ValueError: it is closed.
        """
        account, amount = entry
        if account == self.closed and amount % 2:
            raise ValueError("closed")
        if ctx.idempotency_key not in self.entries:
            self.entries[ctx.idempotency_key] = True
            self.balances[account] += amount

    async def play(self, client: TaskHubClient) -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(self.chance.random() * 3)
            source, target = self.chance.sample(range(_ACCOUNTS), 2)
            amount = self.chance.randrange(1, 90)
            if source == self.closed:
                amount += amount % 2
            order = [source, target, amount]
            started = await client.schedule_new_orchestration(
                transfer, input=order, instance_id=f"transfer-{number}"
            )
            await client.wait_for_orchestration_completion(started)

        await asyncio.gather(*(one(number) for number in range(_TRANSFERS)))

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        if sum(self.balances) != _ACCOUNTS * _BALANCE:
            yield f"the sum of all accounts has changed: {self.balances}"
        if min(self.balances) < 0:
            yield f"an account is overdrawn: {self.balances}"
        if len(states) != _TRANSFERS:
            yield f"{len(states)} transfers exist instead of {_TRANSFERS}"
        for state in states.values():
            if state.runtime_status is not task.OrchestrationStatus.COMPLETED:
                yield f"{state.instance_id} is {state.runtime_status}"
