"""Poison: work that kills whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import HubDriver, eventually
from durabletask.testing.conformance.backend.taker import Taker, TakerFactory, TakerFixtures, ends

if TYPE_CHECKING:
    from durabletask.testing.conformance.backend.outage import FragileFactory

__all__ = ["PoisonSuite"]

MOST_DEATHS = 10
"""More than any backend is to put up with in this test."""


@pytest.mark.asyncio
class PoisonSuite(TakerFixtures):
    """Workers that die with an instance in their hands, one after the other."""

    async def test_who_kills_workers_is_set_aside(
        self,
        hub: HubDriver,
        fragile_factory: FragileFactory | None,
        open_taker: TakerFactory,
    ) -> None:
        """**failure-poison** With a reason, and only for so long as no operator releases it."""
        self.require(hub.backend, "parking")
        if fragile_factory is None:
            pytest.skip("the suite has no fixture fragile_factory for this backend")
        deadly = await hub.start("o")

        async def reason() -> str | None:
            state = await hub.state(deadly)
            assert state.runtime_status in (
                OrchestrationStatus.PENDING,
                OrchestrationStatus.RUNNING,
            ), "a worker's death has ended the instance"
            return state.parked_reason

        deaths = 0
        while await reason() is None:
            assert deaths < MOST_DEATHS, "nobody sets it aside"
            backend, outage = await fragile_factory()
            victim = await open_taker(backend)

            async def is_struck(victim: Taker = victim) -> bool:
                return await victim.next(0.02) is not None or await reason() is not None

            await eventually(is_struck, f"it comes again, or is set aside, after {deaths} deaths")
            # Whoever is cut off for good is dead to the others: even its farewell is not heard.
            outage.begin()
            await victim.close()
            await backend.close()
            deaths += 1
        assert deaths > 2, "one death proves nothing, and the last one only found it set aside"
        assert "poison" in (await reason() or "")

        healthy = await open_taker()
        assert await healthy.rests()
        await hub.client.resume_orchestration(deadly)
        turn = await healthy.turn()
        assert turn.instance_id == deadly
        healthy.source.complete_orchestration(turn, ends('"harmless after all"'))
        assert await hub.result(deadly) == "harmless after all"
        assert (await hub.state(deadly)).parked_reason is None
