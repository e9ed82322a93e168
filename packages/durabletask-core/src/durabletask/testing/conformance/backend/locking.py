"""Critical sections: several entities held by one orchestration."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask import task
from durabletask.errors import EntityLockError, InvalidRequestError
from durabletask.state import OrchestrationStatus
from durabletask.task import EntityId
from durabletask.testing.conformance.backend.driver import Body, HubDriver, eventually
from durabletask.testing.conformance.backend.entities import Counter, EntityFixtures, call

__all__ = ["LockSuite"]

A, B, C = (EntityId("counter", key) for key in "abc")


@task.orchestration
async def move(ctx: task.OrchestrationContext, request: list[Any]) -> list[list[int]]:
    """Move an amount, looking before and after."""
    *keys, amount = request
    source, target = (EntityId("counter", key) for key in keys)
    with await ctx.lock_entities([source, target]):
        before = await task.when_all([ctx.call_entity(one, "get") for one in (source, target)])
        await ctx.call_entity(source, "add", -amount)
        await ctx.call_entity(target, "add_slowly", amount)
        after = await task.when_all([ctx.call_entity(one, "get") for one in (source, target)])
    return [before, after]


@task.orchestration
def hold(ctx: task.OrchestrationContext, ending: str) -> Body:
    """Hold two counters until told how to end."""
    lock = yield ctx.lock_entities([B, A])
    ctx.set_custom_status("held")
    yield ctx.wait_for_external_event("end")
    if ending == "fail":
        raise RuntimeError("with a lock in hand")
    if ending == "leave":
        lock.release()
        yield ctx.wait_for_external_event("never")
    if ending == "again":
        ctx.continue_as_new("wait")
    if ending == "wait":
        yield ctx.wait_for_external_event("never")
    return ending


@task.orchestration
def stay(ctx: task.OrchestrationContext, first: bool = True) -> Body:
    """Lock, then go on as one that does not."""
    if first:
        yield ctx.lock_entities([A, B])
        ctx.continue_as_new(False)
        yield ctx.create_timer(ctx.current_utc_datetime)
    ctx.set_custom_status("going on")
    yield ctx.wait_for_external_event("end")
    return "ended"


async def locked_by(hub: HubDriver, entity_id: EntityId) -> str | None:
    """Who holds an entity."""
    state = await hub.client.get_entity(entity_id)
    return None if state is None else state.locked_by


async def is_free(hub: HubDriver, *entities: EntityId) -> None:
    """Wait until nobody holds these, and see that each still works."""
    for entity_id in entities:

        async def free() -> bool:
            return await locked_by(hub, entity_id) is None  # noqa: B023 - awaited at once

        await eventually(free, f"{entity_id} is released")
        await hub.result_of(call, ["counter", entity_id.key, "add", 1])


@pytest.mark.asyncio
class LockSuite(EntityFixtures):
    """Rule **entity-lock**."""

    async def test_nobody_comes_in_between(self, any_hub: HubDriver, other_hub: HubDriver) -> None:
        """**entity-lock** In whatever order the entities are named, nobody waits for ever, and
        nobody sees half of a transfer."""
        for hub in (any_hub, other_hub):
            await hub.work(move, call, Counter)
        await any_hub.result_of(call, ["counter", "a", "add", 100])
        pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a"), ("a", "c")] * 3
        starts = [
            await (any_hub, other_hub)[n % 2].start(move, [*pair, n + 1])
            for n, pair in enumerate(pairs)
        ]
        for n, start in enumerate(starts):
            before, after = await any_hub.result(start)
            assert after == [before[0] - (n + 1), before[1] + (n + 1)]
        total = [await any_hub.result_of(call, ["counter", key, "get", None]) for key in "abc"]
        assert sum(total) == 100
        await is_free(any_hub, A, B, C)

    async def test_others_wait_until_it_is_left(self, any_hub: HubDriver) -> None:
        """**entity-lock** Calls and signals of others wait, in order, and run when it is left."""
        await any_hub.work(hold, call, Counter)
        holder = await any_hub.start(hold, "leave")
        await any_hub.shows(holder, "held")
        assert await locked_by(any_hub, A) == holder
        await any_hub.client.signal_entity(A, "add", 5)
        caller = await any_hub.start(call, ["counter", "a", "add", 1])

        async def both_wait() -> bool:
            state = await any_hub.client.get_entity(A)
            return state is not None and state.backlog == 2

        await eventually(both_wait, "a signal and a call wait for the release")
        assert await any_hub.result_of(call, ["counter", "c", "add", 1]) == 1
        await any_hub.client.raise_event(holder, "end")
        assert await any_hub.result(caller) == 6
        await is_free(any_hub, A, B)
        await any_hub.client.terminate_orchestration(holder)

    @pytest.mark.parametrize("ending", ["done", "fail", "again", "terminate"])
    async def test_every_end_releases(self, any_hub: HubDriver, ending: str) -> None:
        """**entity-lock** Completion, failure, continue_as_new and termination release."""
        await any_hub.work(hold, stay, call, Counter)
        if ending == "again":
            holder = await any_hub.start(stay)
            await any_hub.shows(holder, "going on")
        else:
            holder = await any_hub.start(hold, ending)
            await any_hub.shows(holder, "held")
            assert await locked_by(any_hub, B) == holder
            if ending == "terminate":
                await any_hub.client.terminate_orchestration(holder)
            else:
                await any_hub.client.raise_event(holder, "end")
            await any_hub.finish(holder)
        await is_free(any_hub, A, B)
        if ending == "again":
            await any_hub.client.raise_event(holder, "end")
            assert await any_hub.result(holder) == "ended"

    async def test_termination_by_a_stranger_releases(
        self, hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**entity-lock** Also if whoever terminates has not the code of what held the lock."""
        await hub.work(hold)
        await other_hub.work(call, Counter)
        holder = await hub.start(hold, "wait")
        await hub.shows(holder, "held")
        await hub.stop()
        await other_hub.client.terminate_orchestration(holder)
        await other_hub.finish(holder)
        await is_free(other_hub, A, B)

    async def test_giving_up_a_lock_that_is_not_granted(self, any_hub: HubDriver) -> None:
        """**entity-lock** Who ends while it waits for a lock takes none with it."""
        await any_hub.work(hold, call, move, Counter)
        holder = await any_hub.start(hold, "leave")
        await any_hub.shows(holder, "held")
        waiting = [await any_hub.start(hold, "wait") for _ in range(3)]
        wants_c = await any_hub.start(move, ["c", "b", 1])

        async def all_wait() -> bool:
            a, b = await any_hub.client.get_entity(A), await any_hub.client.get_entity(B)
            return a is not None and b is not None and (a.backlog, b.backlog) == (3, 1)

        await eventually(all_wait, "three wait for a, and one that holds nothing yet for b")
        for instance_id in waiting[:2]:
            await any_hub.client.terminate_orchestration(instance_id)
            await any_hub.finish(instance_id)
        await any_hub.client.raise_event(holder, "end")
        await any_hub.shows(waiting[2], "held")
        await any_hub.client.terminate_orchestration(waiting[2])
        assert (await any_hub.result(wants_c))[1][0] == -1
        await is_free(any_hub, A, B, C)
        await any_hub.client.terminate_orchestration(holder)

    async def test_what_is_refused_inside(self, any_hub: HubDriver) -> None:
        """**entity-lock** No nesting, no calls to others, no signals and no second call to one
        that is locked; and there has to be something to lock."""

        @task.orchestration
        def break_rules(ctx: task.OrchestrationContext) -> Body:
            texts: list[str] = []

            def refused(call: Any) -> None:
                try:
                    call()
                except (EntityLockError, InvalidRequestError) as error:
                    texts.append(str(error))

            refused(lambda: ctx.lock_entities([]))
            with (yield ctx.lock_entities([A, B, A])):
                refused(lambda: ctx.lock_entities([C]))
                refused(lambda: ctx.call_entity(C, "get"))
                refused(lambda: ctx.signal_entity(A, "add"))
                ctx.signal_entity(C, "add", 1)
                first = ctx.call_entity(A, "add", 1)
                refused(lambda: ctx.call_entity(A, "add", 1))
                yield first
                yield ctx.call_entity(A, "add", 1)
            total = yield ctx.call_entity(C, "add", 1)
            return [total, texts]

        await any_hub.work(break_rules, call, Counter)
        total, texts = await any_hub.result_of(break_rules)
        assert total == 2
        for text, part in zip(
            texts,
            ["at least one", "do not nest", "cannot call '@counter@c'", "call it", "under way"],
            strict=True,
        ):
            assert part in text
        assert await any_hub.result_of(call, ["counter", "a", "get", None]) == 2

    async def test_a_section_can_be_entered_again(self, any_hub: HubDriver) -> None:
        """**entity-lock** One after the other, by one orchestration, as generator or async."""

        @task.orchestration
        async def thrice(ctx: task.OrchestrationContext) -> int:
            total = 0
            for _ in range(3):
                with await ctx.lock_entities([A, B]) as lock:
                    total = await ctx.call_entity(A, "add", 1, return_type=int)
                    lock.release()
                    lock.release()
            return total

        await any_hub.work(thrice, call, Counter)
        starts = [await any_hub.start(thrice) for _ in range(3)]
        assert max([await any_hub.result(start) for start in starts]) == 9
        await is_free(any_hub, A, B)

    async def test_a_suspended_holder_keeps_its_lock(self, any_hub: HubDriver) -> None:
        """**entity-lock** Suspension releases nothing; termination during it does."""
        await any_hub.work(hold, call, Counter)
        holder = await any_hub.start(hold, "wait")
        await any_hub.shows(holder, "held")
        await any_hub.client.suspend_orchestration(holder)
        await any_hub.reaches(holder, OrchestrationStatus.SUSPENDED)
        assert await locked_by(any_hub, A) == holder
        await any_hub.client.terminate_orchestration(holder)
        await is_free(any_hub, A, B)
