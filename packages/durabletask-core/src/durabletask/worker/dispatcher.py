"""The worker's loop: receive, run, receive again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from durabletask.backend import OrchestrationWorkItem

if TYPE_CHECKING:
    from durabletask.backend import WorkItemSource
    from durabletask.worker.activities import ActivityRunner
    from durabletask.worker.turns import TurnRunner

__all__ = ["dispatch"]


async def dispatch(source: WorkItemSource, turns: TurnRunner, activities: ActivityRunner) -> None:
    """Run everything the source delivers, until it has been drained."""
    while items := await source.receive():
        unloaded: list[OrchestrationWorkItem] = []
        for item in items:
            if isinstance(item, OrchestrationWorkItem):
                if not turns.start(item):
                    unloaded.append(item)
            else:
                activities.start(item)
        if unloaded:
            turns.replay(unloaded)
        # ``receive`` returns without suspending while there is work; let others run too.
        await asyncio.sleep(0)
