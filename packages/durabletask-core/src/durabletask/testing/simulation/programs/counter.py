"""Events that are counted: each arrives once and in order, over many executions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Counting"]


@task.orchestration
def counter(ctx: task.OrchestrationContext, state: dict[str, Any]) -> Any:
    """Take numbered keys until there are enough, some in each execution; then report."""
    seen: list[int] = state["seen"]
    for _ in range(state["at_once"]):
        if len(seen) == state["expected"]:
            ctx.send_event(state["listener"], "total", data=len(set(seen)))
            return seen
        number, key = yield ctx.wait_for_external_event("add")
        if number < len(seen):
            continue  # its sender did not know whether it had been sent
        if key not in seen:
            yield ctx.call_activity("remember", input=[ctx.instance_id, key])
        seen.append(key)
    ctx.continue_as_new(state, save_events=True)


@task.orchestration
async def listener(ctx: task.OrchestrationContext, counters: int) -> list[int]:
    """Wait for what the counters report."""
    totals = await task.when_all([ctx.wait_for_external_event("TOTAL") for _ in range(counters)])
    return sorted(totals)


class Counting(Program):
    """Counters get keys, some of them twice; the counts are the numbers of distinct keys."""

    orchestrations = (counter, listener)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.remember,)
        self.remembered: dict[str, set[int]] = {}
        self.sent = {
            f"counter-{n}": [chance.randrange(5) for _ in range(chance.randrange(2, 7))]
            for n in range(chance.randrange(1, 4))
        }

    def remember(self, ctx: task.ActivityContext, entry: tuple[str, int]) -> int:
        """Add a key to a set that is not the engine's."""
        name, key = entry
        self.remembered.setdefault(name, set()).add(key)
        return key

    async def play(self, client: TaskHubClient) -> None:
        await client.schedule_new_orchestration(
            listener, input=len(self.sent), instance_id="listener"
        )
        await asyncio.gather(*(self._feed(client, name) for name in self.sent))
        await client.wait_for_orchestration_completion("listener")

    async def _feed(self, client: TaskHubClient, name: str) -> None:
        keys = self.sent[name]
        state = {
            "seen": [],
            "expected": len(keys),
            "at_once": self.chance.randrange(1, 4),
            "listener": "listener",
        }
        await client.schedule_new_orchestration(counter, input=state, instance_id=name)
        for number, key in enumerate(keys):
            await asyncio.sleep(self.chance.choice((0.0, 0.0, 0.1, 1.0)))
            await insist(client.raise_event, name, "add", [number, key])
        await client.wait_for_orchestration_completion(name)

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for name, keys in self.sent.items():
            if states[name].result != keys:
                yield f"{name} was sent {keys} and has got {states[name].result}"
            if self.remembered.get(name) != {*keys}:
                yield f"{name} was sent {keys}, and {self.remembered.get(name)} is remembered"
        totals = sorted(len({*keys}) for keys in self.sent.values())
        if states["listener"].result != totals:
            yield f"the listener has heard {states['listener'].result} instead of {totals}"
