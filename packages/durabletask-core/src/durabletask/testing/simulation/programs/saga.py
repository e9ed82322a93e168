"""Journeys that are booked whole or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.errors import InstanceNotFoundError
from durabletask.testing.simulation.program import Program, insist

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Travelling"]

_PARTS = ("flight", "hotel", "car")

_PATIENT = task.RetryPolicy(
    first_retry_interval=timedelta(milliseconds=200),
    max_number_of_attempts=None,
    backoff_coefficient=1.5,
    max_retry_interval=timedelta(seconds=2),
)


@task.orchestration
def journey(ctx: task.OrchestrationContext, number: int) -> Any:
    """Book all parts; if one cannot be had, or nobody confirms, cancel in reverse order."""
    booked: list[str] = []
    try:
        for part in _PARTS:
            yield ctx.call_activity("book", input=[number, part])
            booked.append(part)
        yield ctx.wait_for_external_event("confirm", timeout=timedelta(seconds=4))
    except (task.TaskFailedError, TimeoutError):
        for part in reversed(booked):
            yield ctx.call_activity("cancel", input=[number, part], retry_policy=_PATIENT)
        return "cancelled"
    return "booked"


@task.orchestration
async def agency(ctx: task.OrchestrationContext, numbers: list[int]) -> list[str]:
    """Book several journeys as sub-orchestrations."""
    journeys = [
        ctx.call_sub_orchestration(journey, input=number, instance_id=f"journey-{number}")
        for number in numbers
    ]
    return await task.when_all(journeys)


class Travelling(Program):
    """A booking office whose parts are sometimes sold out, and where cancelling may fail."""

    orchestrations = (journey, agency)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.book, self.cancel)
        self.numbers = [*range(chance.randrange(1, 5))]
        self.sold_out = {number: chance.choice((*_PARTS, None, None)) for number in self.numbers}
        self.booked: set[tuple[int, str]] = set()
        self.known: set[str] = set()

    def book(self, ctx: task.ActivityContext, what: tuple[int, str]) -> None:
        """Book a part, once for each key, however late a worker comes that was taken for dead.

        Raises:
            LookupError: it is sold out.
        """
        number, part = what
        if self.sold_out[number] == part:
            raise LookupError("sold out")
        if ctx.idempotency_key not in self.known:
            self.known.add(ctx.idempotency_key)
            self.booked.add((number, part))

    async def cancel(self, ctx: task.ActivityContext, what: tuple[int, str]) -> None:
        """Cancel what is booked; to do it twice is to do it once."""
        number, part = what
        await asyncio.sleep(0.1)
        if self.chance.random() < 0.3:
            raise ConnectionError("engaged")
        self.booked.discard((number, part))

    async def play(self, client: TaskHubClient) -> None:
        await client.schedule_new_orchestration(agency, input=self.numbers, instance_id="agency")
        for number in self.numbers:
            if self.chance.random() < 0.6:
                await self._confirm(client, f"journey-{number}")
        await client.wait_for_orchestration_completion("agency")

    async def _confirm(self, client: TaskHubClient, name: str) -> None:
        while True:
            try:
                await insist(client.raise_event, name, "Confirm")
            except InstanceNotFoundError:
                await asyncio.sleep(0.2)  # the agency has not come so far
            else:
                return

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        results = states["agency"].result
        for number in self.numbers:
            parts = [part for part in _PARTS if (number, part) in self.booked]
            if parts not in ([], [*_PARTS]):
                yield f"of journey {number} only {parts} is booked"
            if (results[number] == "booked") != bool(parts):
                yield f"journey {number} was reported {results[number]}, and {parts} is booked"
            if parts and self.sold_out[number] is not None:
                yield f"journey {number} is booked though it is sold out"
