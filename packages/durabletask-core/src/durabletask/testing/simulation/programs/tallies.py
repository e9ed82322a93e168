"""Entities that count: each key counts once, however often and by whomever it is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.entities import EntityId
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.entities import EntityState
    from durabletask.state import OrchestrationState

__all__ = ["Tallying"]

_SUM = EntityId("Tally", "sum")
_FLEETING = EntityId("fleeting", "f")


class Tally(task.DurableEntity):
    """The keys it was given. The first time, it passes each on to the sum of all."""

    def add(self, key: str) -> int:
        keys: list[str] = self.get_state(list, [])
        if key not in keys:
            self.set_state([*keys, key])
            mine = self.entity_context.entity_id
            if mine != _SUM:
                self.signal_entity(_SUM, "add", f"{mine.key}/{key}")
        return len(self.get_state(list, []))

    async def add_slowly(self, key: str) -> int:
        await asyncio.sleep(0.2)
        count = self.add(key)
        await asyncio.sleep(0.2)
        return count

    def add_in_vain(self, key: str) -> None:
        self.add(f"vain {key}")
        raise ValueError("it does not count")

    def count(self) -> int:
        return len(self.get_state(list, []))


def fleeting(ctx: task.EntityContext) -> list[int]:
    """Forgets at once what it is told, and so is removed and comes back again and again."""
    ctx.set_state([*ctx.get_state(list, []), 1])
    remembered: list[int] = ctx.get_state(list, [])
    ctx.delete_state()
    return remembered


@task.orchestration
def feeder(ctx: task.OrchestrationContext, errands: list[list[Any]]) -> Any:
    """Bring keys to tallies, one way or the other, some of them in an execution of its own."""
    for _ in range(3):
        if not errands:
            return "done"
        how, name, key = errands.pop(0)
        tally = EntityId("tally", name)
        if how == "signal":
            ctx.signal_entity(tally, "add", key)
        elif how == "later":
            ctx.signal_entity(tally, "add", key, signal_time=timedelta(seconds=0.7))
        elif how == "vain":
            try:
                yield ctx.call_entity(tally, "add_in_vain", key)
                raise RuntimeError("a failure was not told")
            except task.TaskFailedError as error:
                if not error.is_caused_by(ValueError):
                    raise
        elif how == "race":
            call = ctx.call_entity(tally, "add_slowly", key)
            yield task.when_any([call, ctx.create_timer(timedelta(seconds=0.3))])
        elif how == "fleeting":
            remembered = yield ctx.call_entity(_FLEETING, "tell")
            if remembered != [1]:
                raise RuntimeError(f"it remembers {remembered}")
            yield ctx.create_timer(timedelta(seconds=float(len(key))))
        else:
            before, count = yield task.when_all(
                [ctx.call_entity(tally, "count"), ctx.call_entity(tally, how, key)]
            )
            if count not in (before, before + 1):
                raise RuntimeError(f"{before} and one more make {count}")
    ctx.continue_as_new(errands)


_WAYS = ("signal", "later", "vain", "race", "fleeting", "add", "add", "add_slowly")


class Tallying(Program):
    """Orchestrations and clients that bring keys to entities, which tell another entity."""

    orchestrations = (feeder,)
    entities = (Tally, fleeting)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.errands = {
            f"feeder-{n}": [
                [chance.choice(_WAYS), chance.choice("xy"), f"{chance.randrange(8):b}"]
                for _ in range(chance.randrange(1, 7))
            ]
            for n in range(chance.randrange(1, 4))
        }
        self.signals = [
            [chance.choice("xyz"), f"{chance.randrange(8):b}"] for _ in range(chance.randrange(4))
        ]

    def _wanted(self) -> dict[str, set[str]]:
        """The keys of each tally, in the end."""
        wanted: dict[str, set[str]] = {}
        for errands in self.errands.values():
            for how, name, key in errands:
                if how not in ("vain", "fleeting"):
                    wanted.setdefault(name, set()).add(key)
        for name, key in self.signals:
            wanted.setdefault(name, set()).add(key)
        total = {f"{name}/{key}" for name, keys in wanted.items() for key in keys}
        return {**wanted, "sum": total} if total else {}

    async def play(self, client: TaskHubClient) -> None:
        async def feed(name: str) -> None:
            await asyncio.sleep(self.chance.choice((0.0, 0.0, 0.5)))
            await client.schedule_new_orchestration(
                feeder, input=self.errands[name], instance_id=name
            )
            await client.wait_for_orchestration_completion(name)

        async def signal() -> None:
            for name, key in self.signals:
                await insist(client.signal_entity, EntityId("TALLY", name), "add", key)
                await asyncio.sleep(self.chance.choice((0.0, 0.1, 1.0)))

        await asyncio.gather(signal(), *(feed(name) for name in self.errands))
        for name, keys in self._wanted().items():
            while True:
                state = await client.get_entity(EntityId("tally", name))
                if state is not None and len(state.state) == len(keys):
                    break
                await asyncio.sleep(0.5)

    async def assist(self, client: TaskHubClient) -> None:
        for _ in range(3):
            await asyncio.sleep(self.chance.choice((0.3, 1.0, 4.0)))
            await client.clean_entity_storage()
            async for state in client.iter_entities():
                assert state.has_state, state

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for name in self.errands:
            if states[name].result != "done":
                yield f"{name} has ended with {states[name].failure_details}"

    def check_entities(self, states: Mapping[str, EntityState]) -> Iterable[str]:
        wanted = {f"@tally@{name}": keys for name, keys in self._wanted().items()}
        found = {name: state.state for name, state in states.items()}
        for name in wanted.keys() | found.keys():
            keys = found.get(name, [])
            if sorted(keys) != sorted(wanted.get(name, ())):
                yield f"{name} has counted {keys} instead of {wanted.get(name)}"
