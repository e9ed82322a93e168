"""What operators do: suspend, resume, terminate, purge, start again under the same id."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.backend import ReusePolicy
from durabletask.errors import (
    InstanceAlreadyExistsError,
    InstanceNotFoundError,
    OrchestrationStateError,
)
from durabletask.state import FINISHED, OrchestrationQuery
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Operating"]

_ANY_FINISHED = ReusePolicy(replace=FINISHED)


@task.orchestration
def family(ctx: task.OrchestrationContext, depth: int) -> Any:
    """Work a little, and have children that do the same."""
    yield ctx.call_activity("work", input=depth)
    children = [ctx.call_sub_orchestration(family, input=depth - 1) for _ in range(min(depth, 2))]
    yield ctx.create_timer(timedelta(milliseconds=500))
    yield task.when_all(children)
    yield ctx.call_activity("work", input=depth)
    return depth


@task.orchestration
async def eternal(ctx: task.OrchestrationContext, number: int) -> None:
    """Go on for ever; only termination ends it."""
    await ctx.call_activity("work", input=number)
    await ctx.create_timer(timedelta(seconds=0.7))
    ctx.continue_as_new(number + 1)


class Operating(Program):
    """An operator who does something to a family every now and then."""

    orchestrations = (family, eternal)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.work,)
        self.doings = [
            chance.choice(
                (self._suspend, self._resume, self._terminate, self._start_again, self._restart)
            )
            for _ in range(chance.randrange(0, 6))
        ]
        self.terminated = False
        self.purged: set[str] = set()

    def work(self, ctx: task.ActivityContext, number: int) -> int:
        """Do nothing, in a thread."""
        return number

    async def play(self, client: TaskHubClient) -> None:
        await client.schedule_new_orchestration(
            family, input=self.chance.randrange(3), instance_id="family", tags={"kind": "family"}
        )
        await client.schedule_new_orchestration(
            eternal, input=0, instance_id="eternal", start_at=timedelta(0)
        )
        await client.schedule_new_orchestration(family, input=0, instance_id="purged")
        for doing in self.doings:
            await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.3, 1.0)))
            await doing(client)
        await insist(client.resume_orchestration, "family")
        await client.wait_for_orchestration_completion("family")
        await insist(client.terminate_orchestration, "eternal", "enough")
        await client.wait_for_orchestration_completion("eternal")
        await client.wait_for_orchestration_completion("purged")
        await self._purge(client)

    async def _suspend(self, client: TaskHubClient) -> None:
        await insist(client.suspend_orchestration, "family", "a break")

    async def _resume(self, client: TaskHubClient) -> None:
        await insist(client.resume_orchestration, "family")

    async def _terminate(self, client: TaskHubClient) -> None:
        self.terminated = True
        await insist(client.terminate_orchestration, "family", "stopped")

    async def _start_again(self, client: TaskHubClient) -> None:
        try:
            await client.schedule_new_orchestration(
                family, input=1, instance_id="family", reuse_id_policy=_ANY_FINISHED
            )
        except InstanceAlreadyExistsError:
            pass  # it has not finished

    async def _restart(self, client: TaskHubClient) -> None:
        new_id = self.chance.random() < 0.5
        try:
            await client.restart_orchestration("family", restart_with_new_instance_id=new_id)
        except (OrchestrationStateError, InstanceAlreadyExistsError):
            pass  # it has not finished, or another was quicker

    async def _purge(self, client: TaskHubClient) -> None:
        while (await client.purge_orchestration("purged")).deleted_instance_count:
            self.purged.add("purged")
        try:
            await client.wait_for_orchestration_completion("purged")
        except InstanceNotFoundError:
            self.purged.add("missing")
        page = await client.query_orchestrations(OrchestrationQuery(tags={"kind": "family"}))
        if any(state.tags != {"kind": "family"} for state in page.items):
            self.purged.add("a query found more than it should")

    async def assist(self, client: TaskHubClient) -> None:
        started = await client.schedule_new_orchestration(family, input=1)
        await client.wait_for_orchestration_completion(started)

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        if not self.purged <= {"purged", "missing"} or "missing" not in self.purged:
            yield f"purging went wrong: {sorted(self.purged)}"
        if "purged" in states:
            yield "an instance that was purged is there again"
        if (states["eternal"].runtime_status, states["eternal"].serialized_output) != (
            task.OrchestrationStatus.TERMINATED,
            '"enough"',
        ):
            yield f"what was terminated is {states['eternal'].runtime_status}"
        for state in states.values():
            status = state.runtime_status
            if state.name == "family" and status is task.OrchestrationStatus.COMPLETED:
                continue
            if not (self.terminated or state.instance_id == "eternal"):
                yield f"{state.instance_id} is {status} though nobody has terminated it"
