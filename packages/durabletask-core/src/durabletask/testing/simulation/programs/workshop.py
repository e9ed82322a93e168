"""A workshop where things break, are mended, and the work goes on from before it failed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.errors import InstanceNotFoundError, OrchestrationStateError
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Mending"]

_TWICE = task.RetryPolicy(
    first_retry_interval=timedelta(milliseconds=300), max_number_of_attempts=2
)


@task.orchestration
def assembly(ctx: task.OrchestrationContext, name: str) -> Any:
    """Make parts side by side, some in assemblies of their own, and say sorry if one fails."""
    chance = ctx.random.random()
    yield ctx.call_activity("make", input=f"{name}.frame")
    parts = [
        ctx.call_activity("make", input=f"{name}.{n}", retry_policy=_TWICE if n else None)
        for n in range(3)
    ]
    if len(name) < 2:
        parts += [
            ctx.call_sub_orchestration(assembly, input=f"{name}{n}", instance_id=f"{name}{n}")
            for n in range(2)
        ]
    try:
        yield task.when_all(parts)
    except task.TaskFailedError:
        if chance < 0.5:
            yield ctx.call_activity("apologise", input=name)
        raise
    order = yield ctx.wait_for_external_event("colour")
    yield ctx.call_activity("make", input=f"{name}.{order}")
    return name


class Mending(Program):
    """An operator who mends what is broken and rewinds what has failed, until all is done.

    In every worker process somebody rewinds as well, without mending anything first.
    """

    orchestrations = (assembly,)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.make, self.apologise)
        self.assemblies = ["a", "a0", "a1"]
        parts = [f"{name}.{n}" for name in self.assemblies for n in ("frame", 0, 1, 2, "red")]
        self.broken = {part: None for part in parts if chance.random() < 0.3}
        self.made: dict[str, dict[str, None]] = {}

    async def make(self, ctx: task.ActivityContext, part: str) -> str:
        """Make a part, unless its machine is broken.

        Raises:
            RuntimeError: it is.
        """
        await asyncio.sleep(0.05)
        if part in self.broken:
            raise RuntimeError(f"the machine for {part} is broken")
        self.made.setdefault(part, {})[ctx.idempotency_key] = None
        return part

    def apologise(self, ctx: task.ActivityContext, name: str) -> None:
        """Say sorry."""

    async def play(self, client: TaskHubClient) -> None:
        await client.schedule_new_orchestration(assembly, input="a", instance_id="a")
        while True:
            for name in self.assemblies:
                await self._order(client, name)
            try:
                state = await client.wait_for_orchestration_completion("a", timeout=5)
            except TimeoutError:
                continue  # an order may have come to one that had failed
            if state.runtime_status is task.OrchestrationStatus.COMPLETED:
                return
            for part in [*self.broken][: self.chance.randrange(1, 4)]:
                del self.broken[part]
            await self._rewind(client)

    async def _order(self, client: TaskHubClient, name: str) -> None:
        try:
            await insist(client.raise_event, name, "colour", "red")
        except InstanceNotFoundError:
            pass  # its parent has not come so far

    async def _rewind(self, client: TaskHubClient) -> None:
        try:
            await client.rewind_orchestration("a", reason="mended")
        except OrchestrationStateError:
            pass  # it runs, perhaps because another was quicker

    async def assist(self, client: TaskHubClient) -> None:
        for _ in range(3):
            await asyncio.sleep(self.chance.choice((0.5, 1.0, 2.0)))
            try:
                await client.rewind_orchestration("a")
            except (OrchestrationStateError, InstanceNotFoundError):
                pass

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for name in self.assemblies:
            status = states[name].runtime_status
            if status is not task.OrchestrationStatus.COMPLETED:
                yield f"{name} is {status} though everything was mended"
            for part in ("frame", 0, 1, 2, "red"):
                keys = self.made.get(f"{name}.{part}", {})
                if len(keys) != 1:
                    yield f"{name}.{part} was made under the keys {[*keys]}"
