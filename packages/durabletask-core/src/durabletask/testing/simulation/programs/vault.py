"""Accounts that are entities, and locks: nobody sees half of a transfer, and no lock is left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.entities import EntityId
from durabletask.errors import InstanceNotFoundError
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.entities import EntityState
    from durabletask.state import OrchestrationState

__all__ = ["Vault"]

_ACCOUNTS = [EntityId("account", str(n)) for n in range(3)]
_BALANCE = 100


def account(ctx: task.EntityContext, amount: int = 0) -> int:
    """Money. It refuses to be overdrawn."""
    balance = ctx.get_state(int, _BALANCE) + (amount if ctx.operation == "add" else 0)
    if balance < 0:
        raise ValueError("too little money")
    ctx.set_state(balance)
    return balance


@task.orchestration
def transfer(ctx: task.OrchestrationContext, order: list[Any]) -> Any:
    """Move money under a lock, and end in one of many ways while it is held."""
    source, target, amount, ending = order
    accounts = [_ACCOUNTS[target], _ACCOUNTS[source]]
    with (yield ctx.lock_entities(accounts)) as lock:
        before = yield ctx.call_entity(_ACCOUNTS[source], "look")
        try:
            after = yield ctx.call_entity(_ACCOUNTS[source], "add", -amount)
        except task.TaskFailedError:
            return "too little money"
        if after != before - amount:
            raise RuntimeError(f"{before} less {amount} is {after}")
        if ending == "slow":
            yield ctx.create_timer(timedelta(seconds=0.5))
        yield ctx.call_entity(_ACCOUNTS[target], "add", amount)
        if ending == "release":
            lock.release()
            return "done"
        if ending == "fail":
            raise RuntimeError("on purpose")
        if ending == "again":
            ctx.continue_as_new([target, source, amount, "done"])
    return "done"


@task.orchestration
async def audit(ctx: task.OrchestrationContext, entities: list[int]) -> int:
    """Add everything up while nobody can change it."""
    with await ctx.lock_entities([_ACCOUNTS[n] for n in entities]):
        balances = await task.when_all([ctx.call_entity(one, "look") for one in _ACCOUNTS])
    return sum(balances)


@task.orchestration
def lurker(ctx: task.OrchestrationContext, entities: list[int], days: float = 400) -> Any:
    """Lock, and wait to be terminated; it does not matter whether the lock was granted by then."""
    yield ctx.lock_entities([_ACCOUNTS[n] for n in entities])
    yield ctx.create_timer(timedelta(days=days))


@task.orchestration
def passer(ctx: task.OrchestrationContext) -> Any:
    """Lurk, but not for long: whoever starts it may not be there to end it."""
    yield from lurker(ctx, [1, 2], 0.5 / 86400)


class Vault(Program):
    """Transfers, audits, and operators who terminate whoever holds or wants a lock."""

    orchestrations = (transfer, audit, lurker, passer)
    entities = (account,)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        endings = ("done", "done", "slow", "release", "fail", "again")
        self.orders = {
            f"transfer-{n}": [*chance.sample(range(3), 2), chance.randrange(1, 80), ending]
            for n, ending in enumerate(chance.choices(endings, k=chance.randrange(1, 6)))
        }
        self.lurkers = {
            f"lurker-{n}": sorted(chance.sample(range(3), chance.randrange(1, 4)))
            for n in range(chance.randrange(3))
        }
        self.audits = [f"audit-{n}" for n in range(chance.randrange(3))]

    async def play(self, client: TaskHubClient) -> None:
        async def run(body: Any, name: str, given: Any) -> None:
            await asyncio.sleep(self.chance.random() * 2)
            await client.schedule_new_orchestration(body, input=given, instance_id=name)
            if body is lurker:
                await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.3, 2.0)))
                if self.chance.random() < 0.3:
                    await insist(client.suspend_orchestration, name)
                await insist(client.terminate_orchestration, name, "enough")
            await client.wait_for_orchestration_completion(name)

        await asyncio.gather(
            *(run(transfer, name, order) for name, order in self.orders.items()),
            *(run(lurker, name, entities) for name, entities in self.lurkers.items()),
            *(run(audit, name, [2, 0, 1]) for name in self.audits),
        )

    async def assist(self, client: TaskHubClient) -> None:
        started = await client.schedule_new_orchestration(passer)
        await asyncio.sleep(self.chance.choice((0.1, 1.0)))
        try:
            await insist(client.terminate_orchestration, started)
        except InstanceNotFoundError:
            raise AssertionError("an accepted start is gone") from None

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for name in self.audits:
            if states[name].result != _BALANCE * len(_ACCOUNTS):
                yield f"{name} has found {states[name].result}: {states[name].failure_details}"
        for name, (*_, ending) in self.orders.items():
            state, failure = states[name], states[name].failure_details
            meant = failure is not None and failure.message == "on purpose" and ending == "fail"
            if state.result not in ("done", "too little money") and not meant:
                yield f"{name} has ended as {state.runtime_status}: {failure}"

    def check_entities(self, states: Mapping[str, EntityState]) -> Iterable[str]:
        balances = [states[str(one)].state if str(one) in states else _BALANCE for one in _ACCOUNTS]
        if sum(balances) != _BALANCE * len(_ACCOUNTS):
            yield f"the sum of all accounts has changed: {balances}"
