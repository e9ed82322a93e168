"""Finished instances are purged, by id and by query: those go, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.client import TaskHubClient
from durabletask.state import OrchestrationQuery

from .verdict import Outcome, Survey

if TYPE_CHECKING:
    import random

    from .place import Place


def family_of(instance_id: str, survey: Survey) -> set[str]:
    """An instance and its children."""
    states = survey.states.values()
    children = {state.instance_id for state in states if state.parent_instance_id == instance_id}
    return {instance_id, *children}


async def purge_some(place: Place, chance: random.Random) -> int:
    """Purge a third of a hub in which nothing goes on, and look who is left.

    Returns:
        How many were purged.
    """
    async with TaskHubClient(place.url) as client:
        before = await Survey.of(client)
        gone: set[str] = set()
        roots = sorted(name for name, state in before.states.items() if state.name != "child")
        for instance_id in chance.sample(roots, len(roots) // 4):
            recursive = chance.random() < 0.5
            doomed = family_of(instance_id, before) if recursive else {instance_id}
            purged = await client.purge_orchestration(instance_id, recursive=recursive)
            assert purged.deleted_instance_count == len(doomed), f"{instance_id}: {purged}"
            assert await client.get_orchestration_state(instance_id) is None
            gone |= doomed
        name = chance.choice(sorted({state.name for state in before.states.values()}))
        named = {key for key, state in before.states.items() if state.name == name} - gone
        purged = await client.purge_orchestrations_by(OrchestrationQuery(name=name))
        assert purged.deleted_instance_count == len(named), f"all named {name}: {purged}"
        gone |= named
        after = await Survey.of(client)
        assert after.states.keys() == before.states.keys() - gone, "the wrong ones were purged"
        for instance_id, state in after.states.items():
            assert Outcome.of(state) == Outcome.of(before.states[instance_id]), instance_id
            assert after.histories[instance_id] == before.histories[instance_id], instance_id
    return len(gone)


async def purge_all(place: Place) -> None:
    """Leave nothing in the hub."""
    async with TaskHubClient(place.url) as client:
        await client.purge_orchestrations_by(OrchestrationQuery())
        page = await client.query_orchestrations()
        assert page.items == [], f"{len(page.items)} are left"
