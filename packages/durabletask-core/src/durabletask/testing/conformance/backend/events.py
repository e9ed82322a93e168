"""External events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.errors import InstanceNotFoundError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["EventSuite"]

SOON = timedelta(milliseconds=10)
FALSY: list[Any] = [0, 0.0, "", [], {}, False]


@task.orchestration
def takes_three(ctx: task.OrchestrationContext, names: list[str]) -> Body:
    """Waits for three events, one after the other."""
    taken = []
    for name in names:
        taken.append((yield ctx.wait_for_external_event(name)))
    return taken


@task.orchestration
async def takes_three_async(ctx: task.OrchestrationContext, names: list[str]) -> list[Any]:
    """The same as a coroutine."""
    return [await ctx.wait_for_external_event(name) for name in names]


@task.activity(inline=True)
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


@task.orchestration
def echo_child(ctx: task.OrchestrationContext, value: Any) -> Any:
    """The same as an orchestration."""
    return value


@pytest.mark.asyncio
class EventSuite(BackendFixtures):
    """Events from clients and from other orchestrations."""

    @pytest.mark.parametrize("body", [takes_three, takes_three_async])
    async def test_names_ignore_case_and_order_is_kept(self, any_hub: HubDriver, body: Any) -> None:
        """**event-name** Case-insensitive; first in, first out per name."""
        await any_hub.work(body)
        instance_id = await any_hub.start(body, ["Tick", "TOCK", "tick"])
        for value, name in enumerate(["TICK", "tick", "tock"]):
            await any_hub.client.raise_event(instance_id, name, value)
        assert await any_hub.result(instance_id) == [0, 2, 1]

    async def test_one_event_completes_one_waiter(self, any_hub: HubDriver) -> None:
        """**event-name** Waiters are served first in, first out, each by one event."""

        @task.orchestration
        def several(ctx: task.OrchestrationContext) -> Body:
            waits = [ctx.wait_for_external_event(name) for name in ("e", "E", "e")]
            yield waits[1]
            return [wait.result if wait.is_complete else "waiting" for wait in waits]

        await any_hub.work(several)
        instance_id = await any_hub.start(several)
        for value in range(2):
            await any_hub.client.raise_event(instance_id, "e", value)
        assert await any_hub.result(instance_id) == [0, 1, "waiting"]

    async def test_early_events_are_kept(self, any_hub: HubDriver) -> None:
        """**event-buffer** Events that arrive before any waiter, even before any worker."""
        instance_id = await any_hub.start(takes_three, ["a", "b", "a"])
        for value, name in enumerate("baab"):
            await any_hub.client.raise_event(instance_id, name, value)
        await any_hub.work(takes_three)
        assert await any_hub.result(instance_id) == [1, 0, 2]

    async def test_events_outlive_workers_and_suspension(self, any_hub: HubDriver) -> None:
        """**event-buffer** Kept across a suspension and a restart of the worker."""
        await any_hub.work(takes_three)
        instance_id = await any_hub.start(takes_three, ["a", "b", "c"])
        client = any_hub.client
        await client.raise_event(instance_id, "c", "first")
        await client.suspend_orchestration(instance_id)
        await any_hub.reaches(instance_id, OrchestrationStatus.SUSPENDED)
        await client.raise_event(instance_id, "a", "second")
        await any_hub.stop()
        await client.raise_event(instance_id, "b", "third")
        await any_hub.work(takes_three)
        await client.resume_orchestration(instance_id)
        assert await any_hub.result(instance_id) == ["second", "third", "first"]

    async def test_events_to_nobody(self, hub: HubDriver) -> None:
        """**event-missing** Unknown: InstanceNotFoundError. Finished: accepted and dropped."""
        with pytest.raises(InstanceNotFoundError, match="nobody"):
            await hub.client.raise_event("nobody", "hello")
        await hub.work(takes_three)
        instance_id = await hub.start(takes_three, [])
        await hub.finish(instance_id)
        await hub.client.raise_event(instance_id, "hello")
        assert (await hub.state(instance_id)).result == []

    @pytest.mark.parametrize("name", ["", "  ", "\t\n"], ids=["empty", "spaces", "tab"])
    async def test_blank_names_are_refused(self, hub: HubDriver, name: str) -> None:
        """**event-missing** A blank name is a ValueError, at the client and in the context."""

        @task.orchestration
        def blank(ctx: task.OrchestrationContext) -> Body:
            refused = 0
            for call in (
                lambda: ctx.wait_for_external_event(name),
                lambda: ctx.send_event("nobody", name),
                lambda: ctx.send_event(name, "hello"),
            ):
                try:
                    call()
                except ValueError:
                    refused += 1
            yield ctx.create_timer(timedelta(0))
            return refused

        await hub.work(blank)
        instance_id = await hub.start(blank)
        with pytest.raises(ValueError, match="blank"):
            await hub.client.raise_event(instance_id, name)
        assert await hub.result(instance_id) == 3

    async def test_orchestrations_send_events(self, any_hub: HubDriver) -> None:
        """**event-missing** ``send_event`` arrives; to a missing instance it is dropped."""

        @task.orchestration
        def sender(ctx: task.OrchestrationContext, receiver: str) -> Body:
            ctx.send_event("nobody", "hello", data=0)
            yield ctx.create_timer(timedelta(0))
            for value in (1, 2):
                ctx.send_event(receiver, "Hello", data=value)
            ctx.send_event(receiver, "bye")
            return "sent"

        await any_hub.work(sender, takes_three)
        receiver = await any_hub.start(takes_three, ["hello", "hello", "bye"])
        assert await any_hub.result_of(sender, receiver) == "sent"
        assert await any_hub.result(receiver) == [1, 2, None]

    async def test_an_orchestration_may_send_to_itself(self, any_hub: HubDriver) -> None:
        """**event-buffer** What an instance sends to itself arrives as from anybody."""

        @task.orchestration
        def narcissus(ctx: task.OrchestrationContext) -> Body:
            ctx.send_event(ctx.instance_id, "echo", data="me")
            return (yield ctx.wait_for_external_event("echo"))

        await any_hub.work(narcissus)
        assert await any_hub.result_of(narcissus) == "me"

    async def test_falsy_values_arrive_as_themselves(self, any_hub: HubDriver) -> None:
        """**falsy** As input, event, activity input and result, child input and result, output."""

        @task.orchestration
        def careful(ctx: task.OrchestrationContext, given: Any) -> Body:
            event = yield ctx.wait_for_external_event("value")
            result = yield ctx.call_activity(echo, input=given)
            child = yield ctx.call_sub_orchestration(echo_child, input=given)
            ctx.set_custom_status(given)
            assert repr([given, event, result, child]) == repr([given] * 4)
            return given

        await any_hub.work(careful, echo, echo_child)
        ids = []
        for value in [*FALSY, None]:
            instance_id = await any_hub.start(careful, value)
            await any_hub.client.raise_event(instance_id, "value", value)
            ids.append(instance_id)
        for instance_id, value in zip(ids, [*FALSY, None], strict=True):
            state = await any_hub.finish(instance_id)
            assert state.failure_details is None
            assert repr([state.input, state.result, state.custom_status]) == repr([value] * 3)

    async def test_only_the_absent_payload_is_none(self, any_hub: HubDriver) -> None:
        """**falsy** Left out means None, everywhere."""
        await any_hub.work(takes_three, echo_child)
        state = await any_hub.run(echo_child)
        assert (state.serialized_input, state.input, state.result) == (None, None, None)
        instance_id = await any_hub.start(takes_three, ["e"])
        await any_hub.client.raise_event(instance_id, "e")
        assert await any_hub.result(instance_id) == [None]

    @pytest.mark.parametrize("flavour", ["generator", "coroutine"])
    async def test_waiting_times_out(self, any_hub: HubDriver, flavour: str) -> None:
        """**event-timeout** TimeoutError is thrown inside; the event may still come later."""

        @task.orchestration(name="impatient")
        def generator(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.wait_for_external_event("late", timeout=SOON)
            except TimeoutError as error:
                ctx.set_custom_status("timed out")
                return [str(error), (yield ctx.wait_for_external_event("late"))]

        @task.orchestration(name="impatient")
        async def coroutine(ctx: task.OrchestrationContext) -> Any:
            try:
                return await ctx.wait_for_external_event("late", timeout=SOON)
            except TimeoutError as error:
                ctx.set_custom_status("timed out")
                return [str(error), await ctx.wait_for_external_event("late")]

        await any_hub.work(generator if flavour == "generator" else coroutine)
        instance_id = await any_hub.start("impatient")
        await any_hub.shows(instance_id, "timed out")
        await any_hub.client.raise_event(instance_id, "late", "at last")
        text, value = await any_hub.result(instance_id)
        assert "late" in text
        assert value == "at last"

    async def test_an_event_in_time(self, any_hub: HubDriver) -> None:
        """**event-timeout** An event in time is delivered, and its timer is forgotten."""

        @task.orchestration
        def patient(ctx: task.OrchestrationContext) -> Body:
            value = yield ctx.wait_for_external_event("e", timeout=timedelta(days=3))
            yield ctx.create_timer(SOON)
            return value

        await any_hub.work(patient)
        instance_id = await any_hub.start(patient)
        await any_hub.client.raise_event(instance_id, "e", "now")
        assert await any_hub.result(instance_id) == "now"
