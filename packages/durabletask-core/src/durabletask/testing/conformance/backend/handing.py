"""Work items: how a source hands work out and takes it back, seen without a worker."""

from __future__ import annotations

import time

import pytest

from durabletask.actions import ScheduleTask
from durabletask.backend import ActivityResult, OrchestrationResult, OrchestrationWorkItem
from durabletask.history import (
    EventRaised,
    ExecutionStarted,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from durabletask.state import OrchestrationStatus
from durabletask.testing.conformance.backend.driver import HubDriver, eventually
from durabletask.testing.conformance.backend.taker import (
    WAITING,
    TakerFactory,
    TakerFixtures,
    calls,
    ends,
    first_of,
)

__all__ = ["WorkItemSuite"]

RUNNING = OrchestrationStatus.RUNNING
COMPLETED = OrchestrationStatus.COMPLETED


@pytest.mark.asyncio
class WorkItemSuite(TakerFixtures):
    """The contract of ``WorkItemSource``."""

    async def test_a_life_in_items(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**turn-atomic** Turns and activities follow each other, each with what is new."""
        taker = await open_taker()
        instance_id = await hub.start("o", {"n": 1}, version="7", tags={"k": "v"})
        first = await taker.turn()
        assert (first.instance_id, first.name, first.version) == (instance_id, "o", "7")
        assert first.sequence == 0
        clock, started = first.events
        assert isinstance(clock, OrchestratorStarted)
        assert isinstance(started, ExecutionStarted)
        assert (started.name, started.instance_id, started.version) == ("o", instance_id, "7")
        assert (started.input, started.tags, started.parent) == ('{"n":1}', {"k": "v"}, None)
        assert started.execution_id == first.execution_id
        call = ScheduleTask(1, "a", "[1]", "2", {"t": "x"})
        taker.source.complete_orchestration(first, OrchestrationResult([call]))
        activity = await taker.activity()
        assert (activity.instance_id, activity.execution_id, activity.task_id) == (
            instance_id,
            first.execution_id,
            1,
        )
        assert (activity.name, activity.input) == ("a", "[1]")
        assert (activity.version, activity.tags) == ("2", {"t": "x"})
        taker.source.complete_activity(activity, ActivityResult('"done"'))
        second = await taker.turn()
        assert (second.execution_id, second.sequence) == (first.execution_id, 1)
        later, completed = second.events
        assert isinstance(later, OrchestratorStarted)
        assert later.timestamp >= clock.timestamp
        assert completed == TaskCompleted(1, '"done"')
        taker.source.complete_orchestration(second, ends('"end"'))
        assert await hub.result(instance_id) == "end"

    async def test_any_name_is_taken(self, hub: HubDriver, open_taker: TakerFactory) -> None:
        """**activity-once** A worker that takes any name gets what waited, and what is new."""
        waited = await hub.start("waited")
        taker = await open_taker(orchestrations={}, activities=frozenset(), any_name=True)
        turn = await taker.turn()
        assert (turn.instance_id, turn.name) == (waited, "waited")
        taker.source.complete_orchestration(turn, calls(1, name="work"))
        activity = await taker.activity()
        assert (activity.name, activity.task_id) == ("work", 1)
        taker.source.complete_activity(activity, ActivityResult("2"))
        taker.source.complete_orchestration(await taker.turn(), ends("3"))
        assert await hub.result(waited) == 3
        started = await hub.start("started")
        turn = await taker.turn()
        assert (turn.instance_id, turn.name) == (started, "started")
        taker.source.complete_orchestration(turn, ends())
        await hub.finish(started)

    async def test_any_name_is_learned(
        self, hub: HubDriver, other_hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**hub** Names that another process brings up later are learned from the hub."""
        taker = await open_taker(orchestrations={}, activities=frozenset(), any_name=True)
        elsewhere = await other_hub.start("elsewhere")
        turn = await taker.turn()
        assert (turn.instance_id, turn.name) == (elsewhere, "elsewhere")
        taker.source.complete_orchestration(turn, ends())
        await hub.finish(elsewhere)

    async def test_committed_history_is_given(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**turn-atomic** ``load_history`` gives the committed turns of each item, no more."""
        taker = await open_taker()
        ids = [await hub.start("o", n) for n in range(3)]
        turns = {item.instance_id: item for item in [await taker.turn() for _ in ids]}
        for instance_id in ids:
            taker.source.complete_orchestration(turns[instance_id], calls(1))
        for activity in [await taker.activity() for _ in ids]:
            taker.source.complete_activity(activity, ActivityResult("0"))
        items = [await taker.turn() for _ in ids]
        for item, history in zip(items, await taker.source.load_history(items), strict=True):
            first = turns[item.instance_id]
            assert history == [*first.events, TaskScheduled(1, "a", "1")]
        for item in items:
            taker.source.complete_orchestration(item, ends())
        for instance_id in ids:
            assert await hub.result(instance_id) is None

    async def test_an_instance_is_handed_out_once(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**inbox-order** One item per instance at a time; what arrives meanwhile comes next."""
        taker, other = await open_taker(), await open_taker()
        instance_id = await hub.start("o")
        owner, turn = await first_of(taker, other)
        assert isinstance(turn, OrchestrationWorkItem)
        for n in range(3):
            await hub.client.raise_event(instance_id, "e", n)
        assert await taker.rests()
        assert await other.rests()
        owner.source.complete_orchestration(turn, WAITING)
        following = await owner.turn()
        assert following.events[1:] == [EventRaised("e", str(n)) for n in range(3)]
        owner.source.complete_orchestration(following, ends())
        assert await hub.result(instance_id) is None

    async def test_what_is_abandoned_comes_again(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**failure-infra** Untouched, after the delay; an activity with the same key."""
        taker = await open_taker()
        delay = 0.15
        instance_id = await hub.start("o")
        turn = await taker.turn()
        began = time.monotonic()
        taker.source.abandon(turn, delay)
        again = await taker.turn()
        assert time.monotonic() - began >= delay * 0.9
        assert (again.sequence, again.events[1:]) == (0, turn.events[1:])
        taker.source.complete_orchestration(again, calls(1))
        activity = await taker.activity()
        began = time.monotonic()
        taker.source.abandon(activity, delay)
        repeated = await taker.activity()
        assert time.monotonic() - began >= delay * 0.9
        assert (repeated.execution_id, repeated.task_id, repeated.input) == (
            activity.execution_id,
            activity.task_id,
            activity.input,
        )
        taker.source.complete_activity(repeated, ActivityResult("1"))
        taker.source.complete_orchestration(await taker.turn(), ends("2"))
        assert await hub.result(instance_id) == 2

    async def test_what_is_abandoned_keeps_its_place(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**inbox-order** Events of an abandoned turn stay ahead of what arrived since."""
        taker = await open_taker()
        instance_id = await hub.start("o")
        taker.source.complete_orchestration(await taker.turn(), WAITING)
        await hub.client.raise_event(instance_id, "e", 0)
        turn = await taker.turn()
        for value in (1, 2):
            await hub.client.raise_event(instance_id, "e", value)
        assert await taker.rests(), "the instance is out, and handed out once"
        taker.source.abandon(turn)
        raised: list[EventRaised] = []
        while len(raised) < 3:
            turn = await taker.turn()
            raised += [event for event in turn.events if isinstance(event, EventRaised)]
            taker.source.complete_orchestration(turn, ends() if len(raised) == 3 else WAITING)
        assert raised == [EventRaised("e", str(value)) for value in range(3)]
        await hub.finish(instance_id)

    async def test_second_outcomes_are_dropped(
        self, hub: HubDriver, open_taker: TakerFactory
    ) -> None:
        """**activity-once** Results count exactly once, and so do turns."""
        taker = await open_taker()
        instance_id = await hub.start("o")
        turn = await taker.turn()
        taker.source.complete_orchestration(turn, calls(1, 2))
        taker.source.complete_orchestration(turn, ends('"never"'))
        first, second = await taker.activity(), await taker.activity()
        for n in range(3):
            taker.source.complete_activity(first, ActivityResult(str(n)))
        following = await taker.turn()
        assert following.events[1:] == [TaskCompleted(first.task_id, "0")]
        taker.source.complete_orchestration(following, WAITING)
        taker.source.complete_activity(first, ActivityResult("9"))
        assert await taker.rests()
        taker.source.complete_activity(second, ActivityResult("1"))
        last = await taker.turn()
        assert last.events[1:] == [TaskCompleted(second.task_id, "1")]
        taker.source.complete_orchestration(following, ends('"late"'))
        taker.source.complete_orchestration(last, ends('"once"'))
        assert await hub.result(instance_id) == "once"
        taker.source.complete_orchestration(last, ends('"twice"'))
        assert await taker.rests()
        assert (await hub.state(instance_id)).result == "once"

    @pytest.mark.parametrize("release", ["other code", "resume"])
    async def test_what_is_parked_waits(
        self, hub: HubDriver, open_taker: TakerFactory, release: str
    ) -> None:
        """**replay-park** Set aside with a reason, its events unconsumed, until it is released."""
        self.require(hub.backend, "parking")
        taker = await open_taker()
        instance_id = await hub.start("o")
        taker.source.complete_orchestration(await taker.turn(), WAITING)
        await hub.client.raise_event(instance_id, "e", "kept")
        taker.source.park(await taker.turn(), "a readable reason")

        async def is_parked() -> bool:
            state = await hub.state(instance_id)
            assert state.runtime_status is RUNNING
            return state.parked_reason == "a readable reason"

        await eventually(is_parked, "the instance is set aside")
        await hub.client.raise_event(instance_id, "e", "later")
        same_code = await open_taker()
        assert await taker.rests()
        assert await same_code.rests()
        if release == "resume":
            await same_code.close()
            await hub.client.resume_orchestration(instance_id)
            releaser = taker
        else:
            releaser = await open_taker(orchestrations={"o": "other code"})
        turn = await releaser.turn()
        raised = [event for event in turn.events if isinstance(event, EventRaised)]
        assert raised == [EventRaised("e", '"kept"'), EventRaised("e", '"later"')]
        assert turn.sequence == 1
        releaser.source.complete_orchestration(turn, ends())
        state = await hub.finish(instance_id)
        assert (state.runtime_status, state.parked_reason) == (COMPLETED, None)
