"""Retry policies, on activities and on sub-orchestrations."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.history import OrchestratorStarted, TimerCreated
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["RetrySuite"]

MS = timedelta(milliseconds=1)


class Failing:
    """An activity that fails so many times, and counts."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.runs = 0
        self._failures = failures
        self._error = error or ValueError("not yet")

    def activity(self) -> Any:
        """The activity, under the name ``failing``."""

        @task.activity(name="failing", inline=True)
        def failing(ctx: task.ActivityContext) -> int:
            self.runs += 1
            if self.runs <= self._failures:
                raise self._error
            return self.runs

        return failing


def retrying(policy: task.RetryPolicy) -> Any:
    """An orchestration that calls ``failing`` under the policy and tells how it ended."""

    @task.orchestration(name="retrying")
    def retrying(ctx: task.OrchestrationContext) -> Body:
        try:
            return (yield ctx.call_activity("failing", retry_policy=policy))
        except task.TaskFailedError as error:
            return error.details.message

    return retrying


@pytest.mark.asyncio
class RetrySuite(BackendFixtures):
    """Trying again."""

    async def test_waits_grow_up_to_the_cap(self, any_hub: HubDriver) -> None:
        """**retry-delay** Attempt n waits first * coefficient^(n-1), capped."""
        self.require(any_hub.backend, "history")
        failing = Failing(4)
        policy = task.RetryPolicy(4 * MS, 10, 2.0, max_retry_interval=10 * MS)
        body = retrying(policy)
        await any_hub.work(body, failing.activity())
        instance_id = await any_hub.start(body)
        assert await any_hub.result(instance_id) == 5
        clock, waits = 0, []
        for event in await any_hub.history(instance_id):
            if isinstance(event, OrchestratorStarted):
                clock = event.timestamp
            elif isinstance(event, TimerCreated):
                waits.append(event.fire_at - clock)
        assert waits == [4_000, 8_000, 10_000, 10_000]

    async def test_jitter_only_shortens_and_repeats(self, any_hub: HubDriver) -> None:
        """**retry-delay** Jitter is derived from instance id and attempt."""
        self.require(any_hub.backend, "history")
        policy = task.RetryPolicy(8 * MS, 4, jitter=0.5)
        waits: list[list[int]] = []
        for round in range(2):
            body = retrying(policy)
            worker = await any_hub.work(body, Failing(3).activity())
            await any_hub.result(await any_hub.start(body, instance_id="jittered"))
            clock = 0
            waits.append([])
            for event in await any_hub.history("jittered"):
                if isinstance(event, OrchestratorStarted):
                    clock = event.timestamp
                elif isinstance(event, TimerCreated):
                    waits[round].append(event.fire_at - clock)
            await worker.stop()
            await any_hub.client.purge_orchestration("jittered")
        assert waits[0] == waits[1], "the same instance and attempt, the same jitter"
        assert all(4_000 <= wait <= 8_000 for wait in waits[0])
        assert len(set(waits[0])) > 1

    @pytest.mark.parametrize("attempts", [1, 3])
    async def test_attempts_include_the_first(self, any_hub: HubDriver, attempts: int) -> None:
        """**retry-delay** After the last attempt the failure is the caller's."""
        failing = Failing(99)
        body = retrying(task.RetryPolicy(timedelta(0), attempts))
        await any_hub.work(body, failing.activity())
        assert await any_hub.result_of(body) == "not yet"
        assert failing.runs == attempts

    async def test_no_end_of_attempts(self, any_hub: HubDriver) -> None:
        """**retry-delay** Attempts of None go on until it works."""
        failing = Failing(12)
        body = retrying(task.RetryPolicy(timedelta(0), None))
        await any_hub.work(body, failing.activity())
        assert await any_hub.result_of(body) == 13

    async def test_the_deadline_is_judged_on_the_replay_clock(self, any_hub: HubDriver) -> None:
        """**retry-delay** No attempt starts after it; replay decides as history did."""
        failing = Failing(99)
        policy = task.RetryPolicy(10 * MS, None, retry_timeout=35 * MS)
        body = retrying(policy)
        await any_hub.work(body, failing.activity())
        assert await any_hub.result_of(body) == "not yet"
        assert 1 <= failing.runs <= 4

    @pytest.mark.parametrize(
        "arguments",
        [
            {"first_retry_interval": -MS},
            {"max_number_of_attempts": 0},
            {"backoff_coefficient": 0.9},
            {"backoff_coefficient": math.nan},
            {"backoff_coefficient": math.inf},
            {"max_retry_interval": -MS},
            {"retry_timeout": -MS},
            {"jitter": 1.5},
        ],
        ids=lambda arguments: next(iter(arguments)),
    )
    async def test_senseless_policies_are_refused(self, arguments: dict[str, Any]) -> None:
        """**retry-delay** Interval >= 0, attempts >= 1, coefficient >= 1; NaN and inf refused."""
        good: dict[str, Any] = {"first_retry_interval": MS, "max_number_of_attempts": 3}
        with pytest.raises(ValueError, match=next(iter(arguments))):
            task.RetryPolicy(**{**good, **arguments})

    @pytest.mark.parametrize("kind", [LookupError, "KeyError", "builtins.KeyError"], ids=str)
    async def test_some_errors_are_not_tried_again(self, any_hub: HubDriver, kind: Any) -> None:
        """**retry-type** Non-retryable types, by class (subclasses included) or by name."""
        failing = Failing(99, KeyError("gone"))
        policy = task.RetryPolicy(timedelta(0), 5, non_retryable_error_types=(kind,))
        body = retrying(policy)
        await any_hub.work(body, failing.activity())
        assert await any_hub.result_of(body) == "'gone'"
        assert failing.runs == 1

    async def test_a_predicate_decides(self, any_hub: HubDriver) -> None:
        """**retry-type** It gets the details of each failure."""
        runs = 0

        @task.activity(inline=True)
        def failing(ctx: task.ActivityContext) -> None:
            nonlocal runs
            runs += 1
            raise ValueError(f"attempt {runs}")

        def predicate(details: task.FailureDetails) -> bool:
            return details.message != "attempt 3"

        body = retrying(task.RetryPolicy(timedelta(0), 9, retry_predicate=predicate))
        await any_hub.work(body, failing)
        assert await any_hub.result_of(body) == "attempt 3"
        assert runs == 3

    async def test_a_retried_child_is_the_same_child(self, any_hub: HubDriver) -> None:
        """**retry-type** It keeps its id, version and tags, and replaces the finished one."""
        lives: list[tuple[Any, ...]] = []
        executions: set[str] = set()

        @task.orchestration
        def fragile(ctx: task.OrchestrationContext, given: str) -> Body:
            yield ctx.create_timer(timedelta(0))
            lives.append((ctx.instance_id, ctx.version, dict(ctx.tags), given))
            executions.add(ctx.execution_id)
            if len(lives) < 3:
                raise ValueError("not yet")
            return "at last"

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            return (
                yield ctx.call_sub_orchestration(
                    fragile,
                    input="x",
                    instance_id="child",
                    version="2.1",
                    tags={"a": "b"},
                    retry_policy=task.RetryPolicy(timedelta(0), 5),
                )
            )

        await any_hub.work(parent, fragile)
        assert await any_hub.result_of(parent) == "at last"
        assert lives == [("child", "2.1", {"a": "b"}, "x")] * 3
        assert len(executions) == 3
        child = await any_hub.state("child")
        assert (child.runtime_status, child.result) == (
            OrchestrationStatus.COMPLETED,
            "at last",
        )

    async def test_a_retry_is_no_progress(self, any_hub: HubDriver) -> None:
        """**retry-quiet** ``when_any`` hears nothing of a retry in progress."""
        failing = Failing(3)

        @task.orchestration
        def racing(ctx: task.OrchestrationContext) -> Body:
            call: Any = ctx.call_activity(
                "failing", retry_policy=task.RetryPolicy(2 * MS, 9), return_type=int
            )
            woken = []
            for _ in range(2):
                winner = yield task.when_any([call, ctx.create_timer(timedelta(days=9))])
                woken.append([winner is call, winner.is_failed])
            return [woken, (yield call)]

        await any_hub.work(racing, failing.activity())
        assert await any_hub.result_of(racing) == [[[True, False]] * 2, 4]
