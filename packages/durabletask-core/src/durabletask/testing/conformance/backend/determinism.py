"""Code that does not do what its history says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.errors import NonDeterminismError
from durabletask.state import OrchestrationState, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DeterminismSuite"]

RUNNING = OrchestrationStatus.RUNNING
FAILED = OrchestrationStatus.FAILED
DAYS = timedelta(days=9)


@task.activity
def echo(ctx: task.ActivityContext, value: Any) -> Any:
    """Gives back what it gets."""
    return value


CALLS: dict[str, Callable[[task.OrchestrationContext], Any]] = {
    "activity 'echo'": lambda ctx: ctx.call_activity(echo, input="x"),
    "activity 'other'": lambda ctx: ctx.call_activity("other", input="x"),
    "a timer": lambda ctx: ctx.create_timer(DAYS),
    "sub-orchestration 'child'": lambda ctx: ctx.call_sub_orchestration("child"),
    "event 'hello'": lambda ctx: ctx.send_event("bob", "hello"),
    "'eve'": lambda ctx: ctx.send_event("eve", "hello"),
    "nothing": lambda ctx: None,
}
"""What an orchestrator may ask for, by a piece of the text that tells of it."""


def asking(what: str) -> Callable[..., Body]:
    """The code of "changing" that asks for this first, then waits."""

    @task.orchestration(name="changing")
    def changing(ctx: task.OrchestrationContext) -> Body:
        CALLS[what](ctx)
        yield ctx.wait_for_external_event("say")

    return changing


@pytest.mark.asyncio
class DeterminismSuite(BackendFixtures):
    """Mismatches between code and history."""

    @pytest.mark.parametrize(
        ("before", "now"),
        [
            ("activity 'echo'", "activity 'other'"),
            ("activity 'echo'", "a timer"),
            ("a timer", "sub-orchestration 'child'"),
            ("a timer", "nothing"),
            ("nothing", "activity 'echo'"),
            ("event 'hello'", "'eve'"),
        ],
    )
    async def test_both_sides_are_named(self, hub: HubDriver, before: str, now: str) -> None:
        """**replay-check** The text names what history has, what the code did, and the number."""
        instance_id = await self.change(hub, before, now, nondeterminism="fail")
        state = await hub.finish(instance_id)
        assert state.runtime_status is FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by(NonDeterminismError)
        text = state.failure_details.message
        for part in (before, now, "#1", "changing", instance_id):
            assert part in text

    async def test_inputs_are_not_compared(self, hub: HubDriver) -> None:
        """**replay-check** A changed input is no mismatch: what was asked for stays."""

        def calling(value: str) -> Callable[..., Body]:
            @task.orchestration(name="calling")
            def calling(ctx: task.OrchestrationContext) -> Body:
                result = yield ctx.call_activity(echo, input=value)
                ctx.set_custom_status("called")
                yield ctx.wait_for_external_event("end")
                return result

            return calling

        await hub.work(calling("old"), echo)
        instance_id = await hub.start("calling")
        await hub.shows(instance_id, "called")
        await hub.stop()
        await hub.work(calling("new"), echo)
        await hub.client.raise_event(instance_id, "end")
        assert await hub.result(instance_id) == "old"

    async def test_a_mismatch_parks(self, hub: HubDriver) -> None:
        """**replay-park** The instance stays RUNNING with a reason, until other code comes."""
        self.require(hub.backend, "parking")

        @task.orchestration(name="changing")
        def rolled_back(ctx: task.OrchestrationContext) -> Body:
            ctx.create_timer(DAYS)
            heard = []
            for _ in range(2):
                heard.append((yield ctx.wait_for_external_event("say")))
            return heard

        instance_id = await self.change(hub, "a timer", "activity 'other'")
        state = await self.parked(hub, instance_id)
        assert state.runtime_status is RUNNING
        assert state.parked_reason is not None
        for part in ("NonDeterminismError", "a timer", "activity 'other'", "#1"):
            assert part in state.parked_reason
        await hub.client.raise_event(instance_id, "say", "end")
        await hub.stop()
        await hub.work(rolled_back)
        state = await hub.finish(instance_id)
        assert (state.result, state.parked_reason) == (["go on", "end"], None)

    async def test_an_operator_releases(self, hub: HubDriver) -> None:
        """**replay-park** ``resume_orchestration`` has it tried again, by the same code."""
        self.require(hub.backend, "parking")
        mended = False

        @task.orchestration(name="moody")
        def moody(ctx: task.OrchestrationContext) -> Body:
            CALLS["a timer" if mended or not ctx.is_replaying else "nothing"](ctx)
            yield ctx.wait_for_external_event("say")
            return "mended"

        await hub.work(moody, max_cached_sessions=0)
        instance_id = await hub.start(moody)
        await hub.reaches(instance_id, RUNNING)
        await hub.client.raise_event(instance_id, "say")
        await self.parked(hub, instance_id)
        mended = True
        await hub.client.resume_orchestration(instance_id)
        assert await hub.result(instance_id) == "mended"

    @staticmethod
    async def change(hub: HubDriver, before: str, now: str, **options: Any) -> str:
        """An instance whose code is another since its first turn, with something to do."""
        await hub.work(asking(before), echo)
        instance_id = await hub.start("changing")
        await hub.reaches(instance_id, RUNNING)
        await hub.stop()
        await hub.work(asking(now), echo, **options)
        await hub.client.raise_event(instance_id, "say", "go on")
        return instance_id

    @staticmethod
    async def parked(hub: HubDriver, instance_id: str) -> OrchestrationState:
        """The state of the instance once it is set aside."""

        async def is_parked() -> OrchestrationState | None:
            state = await hub.state(instance_id)
            return state if state.parked_reason is not None else None

        found: OrchestrationState = await eventually(is_parked, f"{instance_id!r} is set aside")
        return found
