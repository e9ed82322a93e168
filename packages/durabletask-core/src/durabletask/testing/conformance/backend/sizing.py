"""Sizes: many completions, long histories, large payloads, odd ids, and neighbours."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.errors import (
    InstanceNotFoundError,
    InvalidRequestError,
    PayloadTooLargeError,
    SerializationError,
)
from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["SizeSuite"]

ODD_IDS = (
    "x" * 100,
    "\U0001f600" * 100,
    "ordre n° 7 — été",
    "e\u0301",
    "é",
    "E",
    "e",
    "e ",
    "' OR 1=1; --",
    '{"a": 1}',
    "a/b:c|d\\e%f_g*h?i",
    "\u202eright to left\u202c עברית",
    "x" * 256,
)
"""Ids that differ, if only in case, blanks or normal form."""

BAD_IDS = {
    "too long": "x" * 257,
    "empty": "",
    "blank": " \t",
    "lone surrogate": "a\ud800b",
    "NUL": "a\0b",
}


@task.activity(inline=True)
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@task.orchestration
def summing(ctx: task.OrchestrationContext, count: int) -> Body:
    """Waits for so many activities at once, then for an event."""
    total = sum((yield task.when_all([ctx.call_activity(echo, input=n) for n in range(count)])))
    ctx.set_custom_status("all in")
    yield ctx.wait_for_external_event("end")
    return total


@task.orchestration
def hearing(ctx: task.OrchestrationContext) -> Body:
    """Gives back what it hears."""
    return (yield ctx.wait_for_external_event("say"))


@pytest.mark.asyncio
class SizeSuite(BackendFixtures):
    """What must fit, what is refused, and what must not cost more."""

    async def test_many_completions_come_in_few_turns(self, any_hub: HubDriver) -> None:
        """**fan-in** N activities that end together cost few turns, not N."""
        self.require(any_hub.backend, "history")
        gate = Gate()
        count = 400

        @task.activity
        async def held(ctx: task.ActivityContext) -> int:
            await gate.wait("together")
            return 1

        @task.orchestration
        def fan(ctx: task.OrchestrationContext) -> Body:
            calls = [ctx.call_activity(held) for _ in range(count)]
            ctx.set_custom_status("sent")
            return sum((yield task.when_all(calls)))

        await any_hub.work(fan, held)
        instance_id = await any_hub.start(fan)
        await any_hub.shows(instance_id, "sent")
        gate.open("together")
        assert await any_hub.result(instance_id) == count
        assert await any_hub.turns(instance_id) <= count / 8

    async def test_events_in_a_crowd_come_in_few_turns(self, any_hub: HubDriver) -> None:
        """**fan-in** What has come while nobody looked is one turn."""
        self.require(any_hub.backend, "history")

        @task.orchestration
        def listening(ctx: task.OrchestrationContext, count: int) -> Body:
            for _ in range(count):
                yield ctx.wait_for_external_event("e")

        count = 200
        instance_id = await any_hub.start(listening, count)
        await asyncio.gather(
            *(any_hub.client.raise_event(instance_id, "e", n) for n in range(count))
        )
        await any_hub.work(listening)
        await any_hub.result(instance_id)
        assert await any_hub.turns(instance_id) <= count / 8

    async def test_a_step_costs_the_same_at_any_age(self, hub: HubDriver) -> None:
        """**fan-in** Cost per step does not grow with the length of history."""
        steps = 600
        times: list[float] = []

        @task.activity(inline=True)
        def stamp(ctx: task.ActivityContext) -> None:
            times.append(time.perf_counter())

        @task.orchestration
        def long_lived(ctx: task.OrchestrationContext) -> Body:
            for _ in range(steps):
                yield ctx.call_activity(stamp)

        await hub.work(long_lived, stamp)
        await hub.result_of(long_lived)
        took = [after - before for before, after in pairwise(times)]
        # The median, and a wide margin: the machine may be busy with other things.
        assert median(took[-150:]) < 5 * median(took[:150]) + 0.002

    async def test_a_long_history(self, hub: HubDriver) -> None:
        """**size** A history of 100,000 events is recorded, and replayed by another worker."""
        count = 50_000
        await hub.work(summing, echo)
        instance_id = await hub.start(summing, count)
        await hub.shows(instance_id, "all in")
        await hub.stop()
        await hub.work(summing, echo)
        await hub.client.raise_event(instance_id, "end")
        assert await hub.result(instance_id) == count * (count - 1) // 2
        if hub.backend.capabilities.history:
            assert len(await hub.history(instance_id)) > 2 * count

    async def test_the_largest_payload(self, any_hub: HubDriver) -> None:
        """**size** A payload of the declared limit passes everywhere, to the byte."""
        largest = self.payload(any_hub)

        @task.orchestration
        def porter(ctx: task.OrchestrationContext, load: str) -> Body:
            heard = yield ctx.wait_for_external_event("say")
            carried = yield ctx.call_activity(echo, input=load)
            ctx.set_custom_status(carried)
            return [heard == load, carried == load]

        @task.orchestration
        def giver(ctx: task.OrchestrationContext, load: str) -> str:
            return load

        await any_hub.work(porter, giver, echo)
        instance_id = await any_hub.start(porter, largest)
        await any_hub.client.raise_event(instance_id, "say", largest)
        state = await any_hub.finish(instance_id)
        assert state.result == [True, True]
        assert state.input == state.custom_status == largest
        assert await any_hub.result_of(giver, largest) == largest

    async def test_a_byte_too_much_for_clients(self, hub: HubDriver) -> None:
        """**size** One byte more is refused by the call, before anything is written."""
        too_large = self.payload(hub) + "x"
        await hub.work(hearing)
        with pytest.raises(PayloadTooLargeError, match=r"input.*hearing.*bytes"):
            await hub.start(hearing, too_large, instance_id="never")
        assert await hub.client.get_orchestration_state("never") is None
        instance_id = await hub.start(hearing)
        with pytest.raises(PayloadTooLargeError, match=r"'say'.*bytes"):
            await hub.client.raise_event(instance_id, "say", too_large)
        with pytest.raises(PayloadTooLargeError, match="bytes"):
            await hub.client.terminate_orchestration(instance_id, too_large)
        await hub.client.raise_event(instance_id, "say", "less")
        assert await hub.result(instance_id) == "less"

    async def test_a_byte_too_much_for_orchestrators(self, hub: HubDriver) -> None:
        """**size** Inside, the call raises where it can be caught; a result fails its task."""
        limit = hub.backend.capabilities.max_payload_bytes

        @task.activity
        def boaster(ctx: task.ActivityContext) -> str:
            return "x" * limit

        @task.orchestration
        def careful(ctx: task.OrchestrationContext) -> Body:
            too_large = "x" * limit
            calls: list[Callable[[], Any]] = [
                lambda: ctx.call_activity(echo, input=too_large),
                lambda: ctx.send_event("nobody", "hello", data=too_large),
                lambda: ctx.set_custom_status(too_large),
            ]
            refused = 0
            for call in calls:
                try:
                    call()
                except PayloadTooLargeError:
                    refused += 1
            try:
                yield ctx.call_activity(boaster)
            except task.TaskFailedError as error:
                return [refused, error.is_caused_by(PayloadTooLargeError), str(error)]

        await hub.work(careful, boaster, echo)
        refused, is_too_large, text = await hub.result_of(careful)
        assert (refused, is_too_large) == (3, True)
        assert "boaster" in text

    async def test_ids_may_be_odd(self, any_hub: HubDriver) -> None:
        """**size** An id of 100 characters of any Unicode is fine, and none is another."""
        await any_hub.work(hearing)
        for name in ODD_IDS:
            assert await any_hub.start(hearing, instance_id=name, tags={"id": name}) == name
        for name in ODD_IDS:
            await any_hub.client.raise_event(name, "say", name)
        for name in ODD_IDS:
            state = await any_hub.finish(name)
            assert (state.instance_id, state.result, state.tags) == (name, name, {"id": name})
        for name in ODD_IDS:
            purged = await any_hub.client.purge_orchestration(name)
            assert purged.deleted_instance_count == 1

    @pytest.mark.parametrize("bad", BAD_IDS)
    async def test_bad_ids_are_refused(self, hub: HubDriver, bad: str) -> None:
        """**size** Too long, blank or not Unicode: refused clearly, before anything is written."""
        name = BAD_IDS[bad]
        with pytest.raises(InvalidRequestError, match="instance id"):
            await hub.start(hearing, instance_id=name)
        with pytest.raises(InvalidRequestError, match="name"):
            await hub.start(name)
        instance_id = await hub.start(hearing)
        with pytest.raises(InvalidRequestError, match="name of an event"):
            await hub.client.raise_event(instance_id, name)
        if bad == "lone surrogate":
            with pytest.raises(SerializationError, match="surrogate"):
                await hub.start(hearing, name, instance_id="never")
            assert await hub.client.get_orchestration_state("never") is None
        if hub.backend.capabilities.query:
            assert len((await hub.client.query_orchestrations()).items) == 1

    async def test_words_that_no_history_holds(self, hub: HubDriver) -> None:
        """**size** The reasons of operators, and versions: refused before anything is written."""
        client, broken = hub.client, "a\ud800b"
        instance_id = await hub.start(hearing)
        say: list[Callable[..., Awaitable[None]]] = [
            client.suspend_orchestration,
            client.resume_orchestration,
        ]
        if hub.backend.capabilities.rewind:
            say.append(client.rewind_orchestration)
        for call in say:
            with pytest.raises(InvalidRequestError, match=r"the reason of .* not valid Unicode"):
                await call(instance_id, reason=broken)
        with pytest.raises(InvalidRequestError, match=r"version .* not valid Unicode"):
            await client.schedule_new_orchestration(hearing, version=broken)
        assert (await hub.state(instance_id)).runtime_status is OrchestrationStatus.PENDING
        await hub.work(hearing)
        await client.raise_event(instance_id, "say", "whole")
        assert await hub.result(instance_id) == "whole"

    @pytest.mark.parametrize("bad", BAD_IDS)
    async def test_ids_that_none_can_have_are_not_found(self, hub: HubDriver, bad: str) -> None:
        """**size** To ask for one is no trouble of the store, and no trouble for others."""
        name, client = BAD_IDS[bad], hub.client
        assert await client.get_orchestration_state(name) is None
        for call in (
            client.raise_event(name, "say"),
            client.suspend_orchestration(name),
            client.resume_orchestration(name),
            client.terminate_orchestration(name),
            client.wait_for_orchestration_completion(name, timeout=10),
        ):
            with pytest.raises(InstanceNotFoundError):
                await call
        assert (await client.purge_orchestration(name)).deleted_instance_count == 0
        instance_id = await hub.start(hearing)
        if hub.backend.capabilities.query:
            page = await client.query_orchestrations(OrchestrationQuery(instance_id_prefix=name))
            expected = [] if name else [instance_id]
            assert [state.instance_id for state in page.items] == expected

    async def test_hubs_never_see_each_other(self, hub: HubDriver, neighbour: HubDriver) -> None:
        """**hub** Neighbours share neither instances nor work, whatever their ids and names."""
        await hub.start(hearing, instance_id="same", tags={"hub": "here"})
        await hub.start(hearing, instance_id="mine")
        await neighbour.start(hearing, instance_id="same", tags={"hub": "there"})
        await neighbour.work(hearing)
        await neighbour.client.raise_event("same", "say", "there")
        assert await neighbour.result("same") == "there"
        state = await hub.state("same")
        assert (state.runtime_status, state.tags) == (OrchestrationStatus.PENDING, {"hub": "here"})
        assert await neighbour.client.get_orchestration_state("mine") is None
        with pytest.raises(InstanceNotFoundError):
            await neighbour.client.terminate_orchestration("mine")
        if hub.backend.capabilities.query:
            page = await neighbour.client.query_orchestrations()
            assert [found.tags for found in page.items] == [{"hub": "there"}]
        assert (await neighbour.client.purge_orchestration("same")).deleted_instance_count == 1
        await hub.work(hearing)
        for name in ("same", "mine"):
            await hub.client.raise_event(name, "say", "here")
            assert await hub.result(name) == "here"

    @staticmethod
    def payload(hub: HubDriver) -> str:
        """A text whose JSON takes exactly as many bytes as the backend allows."""
        room = hub.backend.capabilities.max_payload_bytes - len('""')
        return "é" * (room // 2) + "x" * (room % 2)
