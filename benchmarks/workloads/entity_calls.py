"""Calls of entities: many orchestrations at once, several of which share an entity."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.hub import running_hub
from benchmarks.programs import add_up
from benchmarks.verify import WrongResultError, check_completed
from benchmarks.workload import Outcome, Workload
from durabletask.task import EntityId

if TYPE_CHECKING:
    from benchmarks.measure import Meter
    from benchmarks.workload import Setting
    from durabletask.client import TaskHubClient
    from durabletask.task import OrchestrationState

__all__ = ["ENTITY_CALLS"]

CALLERS = 100
TALLIES = 20
WARM_UP = 500


async def _add(client: TaskHubClient, key: str, steps: int) -> OrchestrationState:
    instance_id = await client.schedule_new_orchestration(add_up, input=[key, steps])
    return await client.wait_for_orchestration_completion(instance_id)


async def _run(setting: Setting, meter: Meter) -> Outcome:
    steps = max(1, setting.n // CALLERS)
    async with running_hub(setting.url, setting.activities) as client:
        check_completed(await _add(client, "alone", WARM_UP), WARM_UP)
        with meter.span() as span:
            states = await asyncio.gather(
                *(_add(client, f"tally-{number % TALLIES}", steps) for number in range(CALLERS))
            )
        found = 0
        for number in range(TALLIES):
            entity = await client.get_entity(EntityId("tally", f"tally-{number}"))
            last = max(state.result for state in states[number::TALLIES])
            if entity is None or entity.state != last:
                raise WrongResultError(f"a tally is {entity}, and its caller was told {last}")
            found += last
    if found != steps * CALLERS:
        raise WrongResultError(f"{steps * CALLERS} calls have come to {found}")
    return Outcome(items=steps * CALLERS, span=span)


ENTITY_CALLS = Workload(name="entity_calls", default_n=10_000, unit="calls/s", run=_run)
