"""Failures: their shape, names nobody knows, workers that end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from durabletask import task
from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["FailureSuite"]

FAILED = OrchestrationStatus.FAILED


class DetailedError(ValueError):
    """An error of these tests."""


@task.activity
def broken(ctx: task.ActivityContext, how: str) -> None:
    """Fails."""
    try:
        raise KeyError(how)
    except KeyError as error:
        if how == "from none":
            raise DetailedError("no cause") from None
        raise DetailedError("bad detail") from error


@task.activity
async def broken_async(ctx: task.ActivityContext, how: str) -> None:
    """Fails as a coroutine."""
    broken(ctx, how)


@task.orchestration
def broken_child(ctx: task.OrchestrationContext, how: str) -> Body:
    """Fails by its activity."""
    yield ctx.call_activity(broken, input=how)


@pytest.mark.asyncio
class FailureSuite(BackendFixtures):
    """What goes wrong in user code."""

    @pytest.mark.parametrize("flavour", ["generator", "coroutine", "plain"])
    async def test_a_failed_instance_says_how(self, any_hub: HubDriver, flavour: str) -> None:
        """**failure-shape** Qualified type, message, stack, and the chain of causes."""

        def fail() -> None:
            try:
                raise KeyError("root")
            except KeyError as error:
                raise DetailedError("top") from error

        @task.orchestration(name="failing")
        def generator(ctx: task.OrchestrationContext) -> Body:
            yield task.when_all([])
            fail()

        @task.orchestration(name="failing")
        async def coroutine(ctx: task.OrchestrationContext) -> None:
            fail()

        @task.orchestration(name="failing")
        def plain(ctx: task.OrchestrationContext) -> None:
            fail()

        bodies: dict[str, Any] = {"generator": generator, "coroutine": coroutine, "plain": plain}
        await any_hub.work(bodies[flavour])
        state = await any_hub.run("failing")
        assert (state.runtime_status, state.result) == (FAILED, None)
        details = state.failure_details
        assert details is not None
        assert details.error_type == f"{__name__}.DetailedError"
        assert details.message == "top"
        assert details.stack_trace is not None
        assert "fail()" in details.stack_trace
        assert details.cause is not None
        assert (details.cause.error_type, details.cause.message) == ("builtins.KeyError", "'root'")
        assert details.cause.cause is None
        for kind in (ValueError, "DetailedError", LookupError, "KeyError"):
            assert details.is_caused_by(kind)
        assert not details.is_caused_by(OSError)

    @pytest.mark.parametrize("activity", [broken, broken_async])
    async def test_a_failed_activity_is_an_exception(
        self, any_hub: HubDriver, activity: Any
    ) -> None:
        """**failure-shape** TaskFailedError names the activity and the cause."""

        @task.orchestration
        def caller(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_activity(activity, input="x")
            except Exception as error:
                assert isinstance(error, task.TaskFailedError)
                return [
                    str(error),
                    error.details.error_type,
                    error.is_caused_by(ValueError),
                    error.is_caused_by(LookupError),
                    error.is_caused_by("OSError"),
                    error.details.stack_trace is not None,
                ]

        await any_hub.work(caller, activity)
        text, kind, *caused = await any_hub.result_of(caller)
        assert activity.__name__ in text
        assert "bad detail" in text
        assert kind == f"{__name__}.DetailedError"
        assert caused == [True, True, False, True]

    async def test_from_none_ends_the_chain(self, any_hub: HubDriver) -> None:
        """**failure-shape** ``raise ... from None`` ends the chain of causes."""

        @task.orchestration
        def caller(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_activity(broken, input="from none")
            except task.TaskFailedError as error:
                return [error.details.message, error.details.cause]

        await any_hub.work(caller, broken)
        assert await any_hub.result_of(caller) == ["no cause", None]

    async def test_failures_climb_through_children(self, any_hub: HubDriver) -> None:
        """**failure-shape** What escapes is TaskFailedError, with the details below it."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            yield ctx.call_sub_orchestration(broken_child, input="x")

        await any_hub.work(parent, broken_child, broken)
        state = await any_hub.run(parent)
        details: Any = state.failure_details
        kinds = []
        while details is not None:
            kinds.append(details.error_type.rpartition(".")[2])
            details = details.cause
        assert kinds == ["TaskFailedError", "TaskFailedError", "DetailedError", "KeyError"]
        assert state.failure_details is not None
        assert "broken_child" in state.failure_details.message

    async def test_unknown_names_wait_for_a_worker(self, any_hub: HubDriver) -> None:
        """**failure-unregistered** A rolling deploy must not fail work."""

        @task.orchestration
        def early(ctx: task.OrchestrationContext) -> Body:
            return (yield ctx.call_activity("later", input=2))

        @task.activity
        def later(ctx: task.ActivityContext, value: int) -> int:
            return value + 1

        @task.orchestration
        def other(ctx: task.OrchestrationContext) -> None:
            return None

        await any_hub.work(other)
        instance_id = await any_hub.start(early)
        await any_hub.result_of(other)
        await any_hub.work(early)
        await any_hub.reaches(instance_id, OrchestrationStatus.RUNNING)
        await any_hub.work(later)
        assert await any_hub.result(instance_id) == 3

    async def test_names_that_stay_unknown_fail(
        self, hub: HubDriver, caplog: pytest.LogCaptureFixture
    ) -> None:
        """**failure-unregistered** A warning at once; later a failure that lists the names."""

        @task.orchestration
        def mistyped(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_activity("brokne", input="x")
            except task.TaskFailedError as error:
                return str(error)

        with caplog.at_level(logging.WARNING, "durabletask"):
            await hub.work(mistyped, broken, unregistered_grace=0.3)
            calling = await hub.start(mistyped)
            started = await hub.start("mistypde")
            await hub.finish(calling)
        text = await hub.result(calling)
        assert "brokne" in text
        assert "broken" in text, "the registered names are listed"
        state = await hub.finish(started)
        assert state.runtime_status is FAILED
        assert state.failure_details is not None
        assert "mistypde" in state.failure_details.message
        assert "mistyped" in state.failure_details.message
        for name in ("brokne", "mistypde"):
            assert any(name in message for message in caplog.messages), "nobody was warned"

    async def test_whatever_an_activity_raises_is_its_failure(self, any_hub: HubDriver) -> None:
        """**failure-infra** Exits and cancellations in an activity end it, not the worker."""

        @task.activity
        def exits(ctx: task.ActivityContext) -> None:
            raise SystemExit(3)

        @task.activity
        async def exits_async(ctx: task.ActivityContext) -> None:
            raise SystemExit(3)

        @task.activity
        async def cancelled(ctx: task.ActivityContext) -> None:
            raise asyncio.CancelledError("by itself")

        @task.orchestration
        def caller(ctx: task.OrchestrationContext) -> Body:
            caught = []
            for name in ("exits", "exits_async", "cancelled"):
                try:
                    yield ctx.call_activity(name)
                except task.TaskFailedError as error:
                    caught.append(error.details.error_type.rpartition(".")[2])
            return caught

        await any_hub.work(caller, exits, exits_async, cancelled)
        found = await any_hub.result_of(caller)
        assert found == ["SystemExit", "SystemExit", "CancelledError"]

    async def test_a_worker_that_stops_fails_nothing(self, any_hub: HubDriver) -> None:
        """**failure-infra** What was running when a worker stopped runs again elsewhere."""
        runs = 0

        @task.activity
        async def hanging(ctx: task.ActivityContext) -> int:
            nonlocal runs
            runs += 1
            if runs == 1:
                await asyncio.sleep(600)
            return runs

        @task.orchestration
        def caller(ctx: task.OrchestrationContext) -> Body:
            return (yield ctx.call_activity(hanging))

        worker = await any_hub.work(caller, hanging)
        instance_id = await any_hub.start(caller)

        async def is_running() -> bool:
            return runs == 1

        await eventually(is_running, "the activity runs")
        await worker.stop(0.01)
        assert (await any_hub.state(instance_id)).runtime_status is OrchestrationStatus.RUNNING
        await any_hub.work(caller, hanging)
        assert await any_hub.result(instance_id) == 2

    async def test_failed_instances_can_be_found(self, hub: HubDriver) -> None:
        """**failure-shape** A failure is in the answer of a query too."""
        self.require(hub.backend, "query")
        await hub.work(broken_child, broken)
        instance_id = await hub.start(broken_child, "x")
        await hub.finish(instance_id)
        page = await hub.client.query_orchestrations(
            OrchestrationQuery(statuses=frozenset({FAILED}))
        )
        [found] = page.items
        assert found == await hub.state(instance_id)
        assert found.failure_details is not None
