"""Patches: code that changes under running instances, which keep the path they are on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.errors import CapabilityError
from durabletask.history import PatchApplied
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PatchSuite"]

PATCH = "check for fraud"


@task.activity
def do(ctx: task.ActivityContext, what: str) -> str:
    """Gives back what it gets."""
    return what


def order(*, asks: bool, checks: bool = True) -> Callable[..., Body]:
    """The code of "order" of one day: before the patch, with its question, and without again."""

    @task.orchestration(name="order")
    def order(ctx: task.OrchestrationContext) -> Body:
        done = [(yield ctx.call_activity(do, input="reserve"))]
        ctx.set_custom_status("reserved")
        yield ctx.wait_for_external_event("paid")
        if ctx.is_patched(PATCH) if asks else checks:
            done.append((yield ctx.call_activity(do, input="check")))
        ctx.set_custom_status("accepted")
        yield ctx.wait_for_external_event("packed")
        if ctx.is_patched(PATCH) if asks else checks:
            done.append((yield ctx.call_activity(do, input="insure")))
        done.append((yield ctx.call_activity(do, input="ship")))
        return done

    return order


BEFORE = order(asks=False, checks=False)
PATCHED = order(asks=True)
FINAL = order(asks=False)

OLD_PATH = ["reserve", "ship"]
NEW_PATH = ["reserve", "check", "insure", "ship"]


@pytest.mark.asyncio
class PatchSuite(BackendFixtures):
    """``ctx.is_patched`` while workers are replaced."""

    async def test_a_new_instance_takes_the_new_path(self, any_hub: HubDriver) -> None:
        """**patch** The first question is answered yes, and so are the others."""
        self.require(any_hub.backend, "patches")
        await any_hub.work(PATCHED, do)
        instance_id = await any_hub.start("order")
        for event in ("paid", "packed"):
            await any_hub.client.raise_event(instance_id, event)
        assert await any_hub.result(instance_id) == NEW_PATH

    async def test_an_old_instance_keeps_the_old_path(self, any_hub: HubDriver) -> None:
        """**patch** What old code has passed without the question stays without the patch."""
        self.require(any_hub.backend, "patches")
        instance_id = await self.begun(any_hub, BEFORE, "paid", status="accepted")
        await any_hub.work(PATCHED, do)
        await any_hub.client.raise_event(instance_id, "packed")
        assert await any_hub.result(instance_id) == OLD_PATH

    async def test_an_old_instance_before_the_question_takes_the_new_path(
        self, any_hub: HubDriver
    ) -> None:
        """**patch** What decides is whether the turn of the question has happened."""
        self.require(any_hub.backend, "patches")
        instance_id = await self.begun(any_hub, BEFORE, status="reserved")
        await any_hub.work(PATCHED, do)
        for event in ("paid", "packed"):
            await any_hub.client.raise_event(instance_id, event)
        assert await any_hub.result(instance_id) == NEW_PATH

    @pytest.mark.parametrize("code", [PATCHED, FINAL], ids=["asking", "final"])
    async def test_the_answer_is_in_history(
        self, any_hub: HubDriver, code: Callable[..., Body]
    ) -> None:
        """**patch** Another worker goes on with it, also one whose code asks no more."""
        self.require(any_hub.backend, "patches")
        instance_id = await self.begun(any_hub, PATCHED, "paid", status="accepted")
        await any_hub.work(code, do)
        await any_hub.client.raise_event(instance_id, "packed")
        assert await any_hub.result(instance_id) == NEW_PATH

    async def test_history_shows_it_once(self, hub: HubDriver) -> None:
        """**patch** It is recorded by its id, in the turn that asked first."""
        self.require(hub.backend, "patches")
        self.require(hub.backend, "history")
        instance_id = await self.begun(hub, PATCHED, "paid", status="accepted")
        await hub.work(PATCHED, do)
        await hub.client.raise_event(instance_id, "packed")
        await hub.finish(instance_id)
        history = await hub.history(instance_id)
        assert [event for event in history if isinstance(event, PatchApplied)] == [
            PatchApplied(PATCH)
        ]

    async def test_a_new_execution_asks_anew(self, any_hub: HubDriver) -> None:
        """**patch** continue_as_new begins a history in which nothing is answered."""
        self.require(any_hub.backend, "patches")

        def rounds_that(patched: bool) -> Callable[..., Body]:
            @task.orchestration(name="rounds")
            def rounds(ctx: task.OrchestrationContext, log: list[Any]) -> Body:
                yield ctx.call_activity(do, input="one")
                log.append(ctx.is_patched("p") if patched else False)
                ctx.set_custom_status(len(log))
                yield ctx.wait_for_external_event("next")
                if patched:
                    log[-1] = [log[-1], ctx.is_patched("p")]
                if len(log) < 2:
                    ctx.continue_as_new(log)
                return log

            return rounds

        worker = await any_hub.work(rounds_that(False), do)
        instance_id = await any_hub.start("rounds", [])
        await any_hub.shows(instance_id, 1)
        await worker.stop()
        await any_hub.work(rounds_that(True), do)
        await any_hub.client.raise_event(instance_id, "next")
        await any_hub.shows(instance_id, 2)
        await any_hub.client.raise_event(instance_id, "next")
        assert await any_hub.result(instance_id) == [[False, False], [True, True]]

    async def test_a_rewound_instance_keeps_its_path(self, any_hub: HubDriver) -> None:
        """**patch** **rewind** What had been answered stays answered."""
        self.require(any_hub.backend, "patches")
        self.require(any_hub.backend, "rewind")
        broken = [True]

        @task.activity
        def ship(ctx: task.ActivityContext) -> str:
            if broken.pop():
                broken.append(False)
                raise OSError("no ship")
            return "shipped"

        def code(patched: bool) -> Callable[..., Body]:
            @task.orchestration(name="sending")
            def sending(ctx: task.OrchestrationContext) -> Body:
                path = "new" if patched and ctx.is_patched("p") else "old"
                yield ctx.call_activity(do, input=path)
                shipped = yield ctx.call_activity(ship)
                return [path, shipped, ctx.is_patched("p") if patched else None]

            return sending

        worker = await any_hub.work(code(False), do, ship)
        instance_id = await any_hub.start("sending")
        state = await any_hub.finish(instance_id)
        assert state.runtime_status is OrchestrationStatus.FAILED
        await worker.stop()
        await any_hub.work(code(True), do, ship)
        await any_hub.client.rewind_orchestration(instance_id)
        assert await any_hub.result(instance_id) == ["old", "shipped", False]

    async def test_a_service_that_cannot_record_it_is_named(self, hub: HubDriver) -> None:
        """**patch** Without the capability the question is an error inside the orchestrator."""
        if hub.backend.capabilities.patches:
            pytest.skip(f"the {hub.backend.capabilities.name} backend declares patches=True")

        @task.orchestration
        def asking(ctx: task.OrchestrationContext) -> Body:
            try:
                ctx.is_patched("p")
            except CapabilityError as error:
                return error.capability
            yield

        await hub.work(asking)
        assert await hub.result_of(asking) == "patches"

    async def begun(
        self, hub: HubDriver, code: Callable[..., Body], *events: str, status: str
    ) -> str:
        """An order that a worker with this code has brought to a status before it stopped."""
        worker = await hub.work(code, do)
        instance_id = await hub.start("order")
        for event in events:
            await hub.client.raise_event(instance_id, event)
        await hub.shows(instance_id, status)
        await worker.stop()
        return instance_id
