"""Versions: which worker runs an instance, and which version its children get."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import VersionMismatchError
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures
from durabletask.worker import TaskHubWorker, VersioningOptions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VersioningSuite"]

FAILED = OrchestrationStatus.FAILED
PENDING = OrchestrationStatus.PENDING

A_WHILE = timedelta(milliseconds=300)
"""Long enough for a worker to take what it should not."""


@task.activity
def pause(ctx: task.ActivityContext) -> None:
    """Does nothing, on any worker."""


def job_by(worker: str) -> Callable[..., Body]:
    """The orchestration "job" as one worker has it: it tells who ran its turns."""

    @task.orchestration(name="job")
    def job(ctx: task.OrchestrationContext, steps: int) -> Body:
        ran = [worker]
        for _ in range(steps):
            yield ctx.wait_for_external_event("next")
            yield ctx.call_activity(pause)
        return [*ran, ctx.version]

    return job


def rule(match: Any, version: str | None, failure: Any = "reject") -> VersioningOptions:
    """A worker's options."""
    return VersioningOptions(version=version, match_strategy=match, failure_strategy=failure)


async def crew_of(
    hub: HubDriver, match: str, *versions: str | None, **changed: Any
) -> list[TaskHubWorker]:
    """A worker for each of these versions, each with the code of its day."""
    return [
        await hub.work(
            job_by(f"worker {version}"), pause, versioning=rule(match, version), **changed
        )
        for version in versions
    ]


@pytest.mark.asyncio
class VersioningSuite(BackendFixtures):
    """Workers with ``VersioningOptions`` on one hub."""

    async def test_strict_workers_run_their_own_version(self, any_hub: HubDriver) -> None:
        """**version-match** strict: each instance runs on the worker of its version."""
        await crew_of(any_hub, "strict", "1", "2", None)
        for version in ("1", "2", None, "2", "1", "1"):
            result = await any_hub.result_of("job", 0, version=version)
            assert result == [f"worker {version}", version]
        assert await any_hub.result_of("job", 0, version="2.0") == ["worker 2", "2.0"]

    async def test_whoever_started_it_and_wherever_it_is(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**version-match** The worker may be another process than the one that starts it."""
        await crew_of(hub, "strict", "1")
        await crew_of(other_hub, "strict", "2")
        assert await hub.result_of("job", 0, version="2") == ["worker 2", "2"]
        assert await other_hub.result_of("job", 0, version="1") == ["worker 1", "1"]

    async def test_current_or_older(self, any_hub: HubDriver) -> None:
        """**version-match** current-or-older: empty is lowest, PEP 440 order, else text order."""
        await crew_of(any_hub, "current_or_older", "1.9")
        for version in (None, "", "0.1", "1.9.0", "1.9rc1"):
            result = await any_hub.result_of("job", 0, version=version)
            assert result[0] == "worker 1.9"
        waiting = [
            await any_hub.start("job", 0, version=version) for version in ("1.10", "1.9.post1")
        ]
        await self.nothing_happens(any_hub, *waiting)
        await crew_of(any_hub, "current_or_older", "2")
        for instance_id in waiting:
            assert (await any_hub.result(instance_id))[0] == "worker 2"

    async def test_a_worker_without_a_strategy_takes_all(self, hub: HubDriver) -> None:
        """**version-match** none: versions are not looked at."""
        await crew_of(hub, "none", "1")
        for version in (None, "1", "2", "main"):
            assert await hub.result_of("job", 0, version=version) == ["worker 1", version]

    async def test_a_rejected_instance_waits(self, hub: HubDriver) -> None:
        """**version-match** reject: it stays as it is, however long, until its worker comes."""
        await crew_of(hub, "strict", "1")
        waiting = [await hub.start("job", 0, version=version) for version in ("2", None, "3")]
        await self.nothing_happens(hub, *waiting)
        assert await hub.result_of("job", 0, version="1") == ["worker 1", "1"]
        await crew_of(hub, "strict", "3", "2", None)
        for instance_id, version in zip(waiting, ("2", None, "3"), strict=True):
            assert await hub.result(instance_id) == [f"worker {version}", version]

    async def test_an_instance_under_way_is_left_to_its_version(self, any_hub: HubDriver) -> None:
        """**version-match** In the middle of its life too; what it is sent meanwhile waits."""
        [first] = await crew_of(any_hub, "strict", "1")
        instance_id = await any_hub.start("job", 2, version="1")
        await any_hub.client.raise_event(instance_id, "next")
        await any_hub.reaches(instance_id, OrchestrationStatus.RUNNING)
        await first.stop()
        await crew_of(any_hub, "strict", "2")
        await any_hub.client.raise_event(instance_id, "next")
        assert await any_hub.result_of("job", 0, version="2") == ["worker 2", "2"]
        assert not (await any_hub.state(instance_id)).runtime_status.is_finished
        await crew_of(any_hub, "strict", "1")
        assert await any_hub.result(instance_id) == ["worker 1", "1"]

    async def test_a_mismatch_fails(self, any_hub: HubDriver) -> None:
        """**version-match** fail: FAILED with what it is and what to do, and no user code runs."""
        ran = []

        @task.orchestration(name="job")
        def job(ctx: task.OrchestrationContext) -> Body:
            ran.append(ctx.version)
            yield ctx.call_activity(pause)

        await any_hub.work(job, pause, versioning=rule("strict", "1", "fail"))
        for version in ("2", None):
            state = await any_hub.run("job", version=version)
            assert state.runtime_status is FAILED
            details = state.failure_details
            assert details is not None
            assert details.is_caused_by(VersionMismatchError)
            assert details.non_retriable
            for part in ("'job'", repr(version or "no version").strip("'"), "'1'", "strict"):
                assert part in details.message
        assert (await any_hub.run("job", version="1")).failure_details is None
        assert {*ran} == {"1"}

    async def test_a_mismatched_child_is_not_retried(self, hub: HubDriver) -> None:
        """**version-match** The parent hears of the failure, and no retry policy tries again."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            policy = task.RetryPolicy(timedelta(days=1), max_number_of_attempts=5)
            try:
                yield ctx.call_sub_orchestration("job", input=0, version="9", retry_policy=policy)
            except task.TaskFailedError as error:
                return error.is_caused_by(VersionMismatchError)

        await hub.work(parent, job_by("1"), versioning=rule("current_or_older", "1", "fail"))
        assert await hub.result_of(parent) is True

    async def test_children_and_their_versions(self, hub: HubDriver) -> None:
        """**version-match** An explicit version, else the decorator's, else the worker's
        default."""

        @task.orchestration
        def plain(ctx: task.OrchestrationContext) -> Body:
            return ctx.version
            yield

        @task.orchestration(version="of its own")
        def decorated(ctx: task.OrchestrationContext) -> Body:
            return ctx.version
            yield

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            children = [
                ctx.call_sub_orchestration(plain),
                ctx.call_sub_orchestration("decorated"),
                ctx.call_sub_orchestration(decorated),
                ctx.call_sub_orchestration(decorated, version="explicit"),
                ctx.call_sub_orchestration(plain, version=""),
            ]
            versions = yield task.when_all(children)
            return [version or "" for version in versions]

        options = VersioningOptions(default_version="the default")
        await hub.work(plain, decorated, parent, versioning=options)
        versions = ["the default", "the default", "of its own", "explicit", ""]
        assert await hub.result_of(parent, version="the parent's") == versions

    async def test_a_child_runs_where_its_version_is_taken(self, hub: HubDriver) -> None:
        """**version-match** Children are instances as all are; their parent waits where it is."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            children = [
                ctx.call_sub_orchestration("job", input=0, version=version)
                for version in ("1", "2", "2", "1")
            ]
            results = yield task.when_all(children)
            return [worker for worker, _ in results]

        await hub.work(job_by("1"), parent, versioning=rule("strict", "1"))
        await hub.work(job_by("2"), versioning=rule("strict", "2"))
        assert await hub.result_of(parent, version="1") == ["1", "2", "2", "1"]

    async def test_continue_as_new_moves_to_another_version(self, any_hub: HubDriver) -> None:
        """**version-match** The next execution goes to a worker of the new version."""

        def rounds_by(worker: str, following: str | None) -> Callable[..., Body]:
            @task.orchestration(name="rounds")
            def rounds(ctx: task.OrchestrationContext, log: list[Any]) -> Body:
                yield ctx.call_activity(pause)
                log.append([worker, ctx.version])
                heard = yield ctx.wait_for_external_event("note")
                log.append(heard)
                if following is not None:
                    ctx.continue_as_new(log, save_events=True, new_version=following)
                return log

            return rounds

        await any_hub.work(rounds_by("a", "2"), pause, versioning=rule("strict", "1"))
        instance_id = await any_hub.start("rounds", [], version="1")
        for note in range(3):
            await any_hub.client.raise_event(instance_id, "note", note)

        async def has_moved() -> bool:
            return (await any_hub.state(instance_id)).version == "2"

        await eventually(has_moved, "the instance goes on as version 2")
        await any_hub.work(rounds_by("b", "3"), pause, versioning=rule("strict", "2"))
        await any_hub.work(rounds_by("c", None), pause, versioning=rule("strict", "3"))
        assert await any_hub.result(instance_id) == [["a", "1"], 0, ["b", "2"], 1, ["c", "3"], 2]

    async def test_terminating_needs_no_worker_of_the_version(self, hub: HubDriver) -> None:
        """**terminate** No user code runs, so any worker will do, one that rejects it as well."""
        await crew_of(hub, "strict", "1")
        instance_id = await hub.start("job", 0, version="2")
        await self.nothing_happens(hub, instance_id)
        await hub.client.terminate_orchestration(instance_id, "enough")
        state = await hub.finish(instance_id)
        assert state.runtime_status is OrchestrationStatus.TERMINATED
        assert state.result == "enough"

    async def test_a_delayed_start_finds_its_version(self, hub: HubDriver) -> None:
        """**start-at** Those who reject it do not keep it from who does not."""
        await crew_of(hub, "strict", "1", "2")
        started = await hub.start("job", 0, version="2", start_at=A_WHILE)
        assert await hub.result(started) == ["worker 2", "2"]

    async def test_a_client_has_a_default(self, hub: HubDriver) -> None:
        """**version-match** A start takes the explicit version, the decorator's, the client's."""

        @task.orchestration(version="decorated")
        def decorated(ctx: task.OrchestrationContext) -> Body:
            return ctx.version
            yield

        await hub.work(decorated, job_by("w"), pause)
        client = TaskHubClient(backend=hub.backend, default_version="default")
        starts = [
            await client.schedule_new_orchestration("job", input=0),
            await client.schedule_new_orchestration("job", input=0, version="explicit"),
            await client.schedule_new_orchestration(decorated),
        ]
        versions = [(await hub.finish(instance_id)).version for instance_id in starts]
        assert versions == ["default", "explicit", "decorated"]
        await client.close()

    async def nothing_happens(self, hub: HubDriver, *instance_ids: str) -> None:
        """These instances stay PENDING for a while."""

        @task.orchestration
        def clock(ctx: task.OrchestrationContext) -> Body:
            yield ctx.create_timer(A_WHILE)

        watch = await hub.work(clock)
        await hub.result_of(clock)
        await watch.stop()
        for instance_id in instance_ids:
            assert (await hub.state(instance_id)).runtime_status is PENDING
