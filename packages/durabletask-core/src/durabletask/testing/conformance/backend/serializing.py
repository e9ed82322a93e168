"""Values that cannot be written, or not be read."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask import task
from durabletask.errors import SerializationError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["SerializationSuite"]

FAILED = OrchestrationStatus.FAILED


@task.activity
def needs_int(ctx: task.ActivityContext, value: int) -> int:
    """Takes numbers only."""
    return value


@task.orchestration
def child(ctx: task.OrchestrationContext, value: int) -> int:
    """A child that takes numbers only."""
    return value


@pytest.mark.asyncio
class SerializationSuite(BackendFixtures):
    """Data that does not fit fails what it belongs to, and nothing else."""

    async def test_what_the_client_cannot_write(self, hub: HubDriver) -> None:
        """**failure-serialize** The call fails, naming type and place; nothing is written."""

        @task.orchestration
        def waiting(ctx: task.OrchestrationContext) -> Body:
            return (yield ctx.wait_for_external_event("e"))

        await hub.work(waiting)
        with pytest.raises(SerializationError, match=r"(?s)input.*waiting.*object"):
            await hub.start(waiting, object(), instance_id="never")
        assert await hub.client.get_orchestration_state("never") is None
        instance_id = await hub.start(waiting)
        with pytest.raises(SerializationError, match=r"(?s)event.*'e'.*object"):
            await hub.client.raise_event(instance_id, "e", object())
        with pytest.raises(SerializationError, match="object"):
            await hub.client.terminate_orchestration(instance_id, object())
        await hub.client.raise_event(instance_id, "e", "good")
        assert await hub.result(instance_id) == "good"

    async def test_what_an_orchestrator_cannot_write(self, any_hub: HubDriver) -> None:
        """**failure-serialize** Each call raises inside, where it can be caught; it never loops."""

        @task.orchestration
        def careful(ctx: task.OrchestrationContext) -> Body:
            value: Any = object()
            calls: list[Any] = [
                lambda: ctx.call_activity(needs_int, input=value),
                lambda: ctx.call_sub_orchestration(child, input=value),
                lambda: ctx.send_event("nobody", "hello", data=object()),
                lambda: ctx.set_custom_status(object()),
                lambda: ctx.continue_as_new(object()),
            ]
            texts = []
            for call in calls:
                try:
                    call()
                except SerializationError as error:
                    texts.append(str(error))
                yield task.when_any([ctx.create_timer(ctx.current_utc_datetime)])
            return texts

        await any_hub.work(careful, needs_int, child)
        texts = await any_hub.result_of(careful)
        assert len(texts) == 5
        for text, place in zip(
            texts, ["needs_int", "child", "hello", "custom status", "new input"], strict=True
        ):
            assert "object" in text
            assert place in text

    async def test_results_that_cannot_be_written(self, any_hub: HubDriver) -> None:
        """**failure-serialize** Of an activity: it fails. Of an orchestration: the instance."""

        @task.activity
        def unwritable(ctx: task.ActivityContext) -> object:
            return object()

        @task.orchestration
        def caller(ctx: task.OrchestrationContext) -> Body:
            try:
                yield ctx.call_activity(unwritable)
            except task.TaskFailedError as error:
                ctx.set_custom_status(str(error))
            return object()

        await any_hub.work(caller, unwritable)
        state = await any_hub.run(caller)
        assert state.runtime_status is FAILED
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by(SerializationError)
        for text, place in (
            (state.custom_status, "unwritable"),
            (state.failure_details.message, "caller"),
        ):
            assert "object" in text
            assert place in text

    async def test_input_that_does_not_fit(self, any_hub: HubDriver) -> None:
        """**failure-serialize** Data that does not fit the annotation fails, and says where."""

        @task.orchestration
        def caller(ctx: task.OrchestrationContext, value: int) -> Body:
            yield ctx.call_activity("needs_int", input="text")

        await any_hub.work(caller, needs_int)
        for given, place in ((1, "needs_int"), ("text", "caller")):
            state = await any_hub.run(caller, given)
            assert state.runtime_status is FAILED
            assert state.failure_details is not None
            assert place in state.failure_details.message
