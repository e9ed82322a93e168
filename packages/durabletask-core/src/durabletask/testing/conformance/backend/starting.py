"""Starting: ids that are taken, ids of children, versions and tags."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.backend import ReusePolicy
from durabletask.errors import InstanceAlreadyExistsError, InvalidRequestError
from durabletask.history import SubOrchestrationInstanceCreated
from durabletask.state import FINISHED, OrchestrationStatus
from durabletask.testing.conformance.backend.driver import Body, HubDriver
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

__all__ = ["StartSuite"]

RUNNING = OrchestrationStatus.RUNNING
COMPLETED = OrchestrationStatus.COMPLETED
DAYS = timedelta(days=9)


@task.orchestration
def ending(ctx: task.OrchestrationContext, how: str) -> Body:
    """Ends as it is told, and has lived through an event."""
    ctx.set_custom_status(how)
    if how == "waits":
        how = yield ctx.wait_for_external_event("end")
    if how == "fails":
        raise ValueError(how)
    return how


@task.orchestration(version="1.2")
def versioned(ctx: task.OrchestrationContext) -> list[Any]:
    """What an instance knows of itself."""
    return [ctx.version, dict(ctx.tags), ctx.parent_instance_id]


@pytest.mark.asyncio
class StartSuite(BackendFixtures):
    """What it means to start an instance."""

    async def test_a_taken_id_is_refused(self, hub: HubDriver) -> None:
        """**start-duplicate** InstanceAlreadyExistsError, finished or not; nothing changes."""
        await hub.work(ending)
        await hub.start(ending, "done", instance_id="finished")
        await hub.finish("finished")
        await hub.start(ending, "waits", instance_id="running")
        await hub.reaches("running", RUNNING)
        await hub.start(ending, "late", instance_id="pending", start_at=DAYS)
        for instance_id in ("finished", "running", "pending"):
            before = await hub.state(instance_id)
            with pytest.raises(InstanceAlreadyExistsError, match=instance_id) as raised:
                await hub.start(ending, "again", instance_id=instance_id)
            assert raised.value.instance_id == instance_id
            assert await hub.state(instance_id) == before
        await hub.client.raise_event("running", "end", "well")
        assert await hub.result("running") == "well"

    @pytest.mark.parametrize("end", ["done", "fails", "terminated"])
    async def test_a_finished_instance_is_replaced(self, any_hub: HubDriver, end: str) -> None:
        """**start-duplicate** A status that the policy lists is replaced, with nothing left."""
        self.require(any_hub.backend, "reuse_policy")
        await any_hub.work(ending)
        await any_hub.start(
            ending, "waits", instance_id="again", tags={"life": "first"}, version="1"
        )
        await any_hub.client.raise_event("again", "left over")
        if end == "terminated":
            await any_hub.client.terminate_orchestration("again", "first end")
        else:
            await any_hub.client.raise_event("again", "end", end)
        first = await any_hub.finish("again")
        others = FINISHED - {first.runtime_status}
        with pytest.raises(InstanceAlreadyExistsError):
            await self.replace(any_hub, others)
        await self.replace(any_hub, frozenset({first.runtime_status}))
        await any_hub.reaches("again", RUNNING)
        second = await any_hub.state("again")
        assert second.execution_id != first.execution_id
        assert (second.tags, second.version) == ({"life": "second"}, None)
        assert (second.result, second.failure_details, second.completed_at) == (None, None, None)
        await any_hub.client.raise_event("again", "end", "second end")
        assert await any_hub.result("again") == "second end"
        if any_hub.backend.capabilities.history:
            assert len(await any_hub.history("again")) == 5, "the old history is gone"

    async def test_the_living_are_never_replaced(self, hub: HubDriver) -> None:
        """**start-duplicate** Only finished statuses can be listed; the unfinished is refused."""
        self.require(hub.backend, "reuse_policy")
        await hub.work(ending)
        await hub.start(ending, "waits", instance_id="again")
        await hub.reaches("again", RUNNING)
        with pytest.raises(InstanceAlreadyExistsError):
            await self.replace(hub, FINISHED)
        with pytest.raises(InvalidRequestError, match="RUNNING"):
            await self.replace(hub, frozenset({RUNNING, COMPLETED}))
        await hub.client.raise_event("again", "end", "first end")
        assert await hub.result("again") == "first end"

    async def test_a_taken_id_may_be_ignored(self, hub: HubDriver) -> None:
        """**start-duplicate** "ignore" returns the id and leaves the instance as it is."""
        self.require(hub.backend, "reuse_policy")
        await hub.work(ending)
        policy = ReusePolicy(ignore=True)
        for how in ("first", "second"):
            given = await hub.start(ending, how, instance_id="same", reuse_id_policy=policy)
            assert given == "same"
            assert await hub.result("same") == "first"
        both = ReusePolicy(ignore=True, replace=frozenset({COMPLETED}))
        await hub.start(ending, "third", instance_id="same", reuse_id_policy=both)
        assert await hub.result("same") == "third", "``replace`` is looked at first"

    async def test_racing_starts_give_one_instance(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**start-duplicate** Two racing starts give one instance, and the loser is told."""
        runs: list[str] = []

        @task.orchestration
        def counted(ctx: task.OrchestrationContext, who: str) -> Body:
            yield ctx.call_activity(count, input=who)
            return who

        @task.activity
        def count(ctx: task.ActivityContext, who: str) -> None:
            runs.append(who)

        await hub.work(counted, count)
        await other_hub.work(counted, count)
        for race in range(10):
            name = f"race {race}"
            runs.clear()
            answers = await asyncio.gather(
                hub.start(counted, "a", instance_id=name),
                other_hub.start(counted, "b", instance_id=name),
                return_exceptions=True,
            )
            losers = [answer for answer in answers if answer != name]
            assert [type(loser) for loser in losers] == [InstanceAlreadyExistsError]
            winner = "a" if answers[0] == name else "b"
            assert await hub.result(name) == winner
            assert runs == [winner]

    async def test_ids_that_nobody_chose_differ(self, hub: HubDriver) -> None:
        """**start-duplicate** Without an id every start is an instance of its own."""
        ids = await asyncio.gather(*(hub.start(ending, "x", start_at=DAYS) for _ in range(50)))
        assert len(set(ids)) == 50

    async def test_ids_of_children_follow_from_the_parent(self, any_hub: HubDriver) -> None:
        """**child-id** Derived from the parent's id and the number of the call; none twice."""
        self.require(any_hub.backend, "history")

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            calls = [ctx.call_sub_orchestration(child) for _ in range(3)]
            given = ctx.call_sub_orchestration(child, instance_id="chosen")
            return (yield task.when_all([*calls, given]))

        @task.orchestration
        def child(ctx: task.OrchestrationContext) -> list[str | None]:
            return [ctx.instance_id, ctx.parent_instance_id]

        await any_hub.work(parent, child)
        seen: set[str] = set()
        for instance_id in ("mother", "p" * 100):
            await any_hub.start(parent, instance_id=instance_id)
            found = await any_hub.result(instance_id)
            ids = [name for name, _ in found]
            created = [
                event.instance_id
                for event in await any_hub.history(instance_id)
                if isinstance(event, SubOrchestrationInstanceCreated)
            ]
            assert created == ids
            assert {parent_id for _, parent_id in found} == {instance_id}
            *automatic, chosen = ids
            assert chosen == "chosen"
            for name in automatic:
                assert name.startswith(instance_id[:50])
                assert len(name) <= 100, "short enough for every store, however deep they nest"
                assert (await any_hub.state(name)).parent_instance_id == instance_id
            seen.update(automatic)
            await any_hub.client.purge_orchestration("chosen")
        assert len(seen) == 6

    @pytest.mark.parametrize("attempts", [1, 3])
    @pytest.mark.parametrize("holder", ["waits", "done"])
    async def test_a_child_cannot_take_an_id(
        self, any_hub: HubDriver, holder: str, attempts: int
    ) -> None:
        """**start-duplicate** Running or finished, who has the id stays, and the child fails.

        A retry may replace only what an earlier attempt of the same call has left.
        """

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            policy = task.RetryPolicy(timedelta(0), attempts)
            try:
                yield ctx.call_sub_orchestration(
                    ending, input="stolen", instance_id="taken", retry_policy=policy
                )
            except task.TaskFailedError as error:
                return str(error)

        await any_hub.work(parent, ending)
        await any_hub.start(ending, holder, instance_id="taken")
        status = RUNNING if holder == "waits" else COMPLETED
        before = await any_hub.reaches("taken", status)
        text = await any_hub.result_of(parent)
        assert "'taken' already exists" in text
        assert await any_hub.state("taken") == before
        if holder == "waits":
            await any_hub.client.raise_event("taken", "end", "mine")
            assert await any_hub.result("taken") == "mine"

    async def test_versions_and_tags_are_kept(self, any_hub: HubDriver) -> None:
        """**version-match** Given, or the decorator's; both are in the state and the context."""

        @task.orchestration
        def parent(ctx: task.OrchestrationContext) -> Body:
            own = yield ctx.call_sub_orchestration(versioned)
            given = yield ctx.call_sub_orchestration(
                versioned, instance_id="tagged child", version="3", tags={"of": "child"}
            )
            return [own[:2], given[:2]]

        await any_hub.work(versioned, parent)
        tags = {"clé": "å\n", "empty": ""}
        states = [
            await any_hub.run(versioned),
            await any_hub.run(versioned, version="2", tags=tags),
        ]
        assert [(state.version, state.tags) for state in states] == [("1.2", {}), ("2", tags)]
        for state in states:
            assert state.result == [state.version, state.tags, None]
            assert (state.name, state.parent_instance_id) == ("versioned", None)
        assert await any_hub.result_of(parent) == [["1.2", {}], ["3", {"of": "child"}]]
        child = await any_hub.state("tagged child")
        assert (child.version, child.tags) == ("3", {"of": "child"})

    @staticmethod
    async def replace(hub: HubDriver, statuses: frozenset[OrchestrationStatus]) -> None:
        """Start "again" once more, if it has one of these statuses."""
        await hub.start(
            ending,
            "waits",
            instance_id="again",
            tags={"life": "second"},
            reuse_id_policy=ReusePolicy(replace=statuses),
        )
