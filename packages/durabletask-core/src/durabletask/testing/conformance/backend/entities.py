"""Entities: operations one after the other, and state that lasts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durabletask import task
from durabletask.entities import EntityQuery
from durabletask.errors import InstanceNotFoundError
from durabletask.task import EntityId
from durabletask.testing.conformance.backend.driver import Body, Gate, HubDriver, eventually
from durabletask.testing.conformance.backend.fixtures import BackendFixtures

if TYPE_CHECKING:
    from durabletask.backend import Backend

__all__ = ["Counter", "EntityFixtures", "EntitySuite", "call", "spread"]


@task.entity
class Counter(task.DurableEntity):
    """A number."""

    def add(self, amount: int = 1) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total

    def get(self) -> int:
        return self.get_state(int, 0)

    async def add_slowly(self, amount: int) -> int:
        """Give others every chance to come in between."""
        total = self.get_state(int, 0)
        await asyncio.sleep(0.002)
        self.set_state(total + amount)
        return total + amount

    def add_and_fail(self, amount: int) -> None:
        self.add(amount)
        self.signal_entity(EntityId("counter", "witness"), "add", amount)
        self.schedule_new_orchestration("call", instance_id="never")
        raise ValueError(f"no more than {amount}")

    def pass_on(self, keys: list[str]) -> None:
        """Tell the first of these, which tells the next."""
        self.add()
        if keys:
            self.signal_entity(EntityId("counter", keys[0]), "pass_on", keys[1:])

    def launch(self, instance_id: str) -> str:
        request = ["counter", self.entity_context.entity_id.key, "add", 10]
        return self.schedule_new_orchestration("call", input=request, instance_id=instance_id)


@task.entity
def note(ctx: task.EntityContext, text: Any) -> Any:
    """Keeps whatever it is given, and says what it kept before."""
    if ctx.operation == "put":
        former = ctx.get_state(default="nothing")
        ctx.set_state(text)
        return former
    if ctx.operation == "spoil":
        kept = ctx.get_state()
        kept.append("spoilt")
        return ctx.get_state()
    return [ctx.entity_id.key, ctx.operation, ctx.caller_id]


@task.orchestration
def call(ctx: task.OrchestrationContext, request: list[Any]) -> Body:
    """Call one operation."""
    name, key, operation, argument = request
    return (yield ctx.call_entity(EntityId(name, key), operation, argument))


@task.orchestration
async def spread(ctx: task.OrchestrationContext, request: list[Any]) -> list[Any]:
    """Call an operation of one counter many times at once, and say what was answered."""
    key, operation, times = request
    counter = EntityId("Counter", key)
    return await task.when_all([ctx.call_entity(counter, operation, 1) for _ in range(times)])


class EntityFixtures(BackendFixtures):
    """Skips what needs entities where there are none."""

    @pytest.fixture(autouse=True)
    def has_entities(self, request: pytest.FixtureRequest, backend: Backend) -> None:
        """Skip the tests of this class's suites, and no others of the class they are part of."""
        test: str = request.function.__name__
        suite = next(base for base in type(self).__mro__ if test in vars(base))
        if issubclass(suite, EntityFixtures) and suite.__module__.startswith("durabletask."):
            self.require(backend, "entities")


@pytest.mark.asyncio
class EntitySuite(EntityFixtures):
    """One operation at a time per entity, each counted once."""

    async def test_a_call_brings_the_result(self, any_hub: HubDriver) -> None:
        """**entity-serial** The entity comes into being with its first operation."""
        await any_hub.work(call, Counter)
        assert await any_hub.result_of(call, ["counter", "a", "add", 3]) == 3
        assert await any_hub.result_of(call, ["counter", "a", "add", 4]) == 7
        assert await any_hub.result_of(call, ["counter", "b", "get", None]) == 0
        assert await any_hub.entity(EntityId("counter", "a")) == 7

    async def test_operations_come_one_after_the_other(
        self, any_hub: HubDriver, other_hub: HubDriver
    ) -> None:
        """**entity-serial** Across workers, and also if an operation waits for something."""
        for hub in (any_hub, other_hub):
            await hub.work(spread, call, Counter)
        starts = [
            await hub.start(spread, ["hot", operation, 20])
            for hub in (any_hub, other_hub)
            for operation in ("add", "add_slowly")
        ]
        answers = [answer for start in starts for answer in await any_hub.result(start)]
        assert sorted(answers) == [*range(1, 81)]
        assert await other_hub.result_of(call, ["counter", "hot", "get", None]) == 80

    async def test_one_sender_is_heard_in_order(self, any_hub: HubDriver) -> None:
        """**entity-serial** Signals and calls of one orchestration arrive as they were sent."""

        @task.entity
        def log(ctx: task.EntityContext, entry: int) -> list[int]:
            kept = [*ctx.get_state(list, []), entry]
            ctx.set_state(kept)
            return kept

        @task.orchestration
        def write(ctx: task.OrchestrationContext) -> Body:
            target = EntityId("log", "l")
            for entry in range(5):
                ctx.signal_entity(target, "write", entry)
            kept = yield ctx.call_entity(target, "write", 5)
            ctx.signal_entity(target, "write", 6)
            return [kept, (yield ctx.call_entity(target, "write", 7))]

        await any_hub.work(write, log)
        assert await any_hub.result_of(write) == [[*range(6)], [*range(8)]]

    async def test_a_failure_undoes_the_operation(self, any_hub: HubDriver) -> None:
        """**entity-serial** State, signals and starts of an operation that fails are rolled back;
        those of its neighbours stay."""

        @task.orchestration
        async def provoke(ctx: task.OrchestrationContext) -> list[Any]:
            counter = EntityId("counter", "a")
            before = ctx.call_entity(counter, "add", 1)
            failing = ctx.call_entity(counter, "add_and_fail", 100)
            after = ctx.call_entity(counter, "add", 1)
            await task.when_any([failing])
            error = failing.get_exception()
            assert isinstance(error, task.TaskFailedError)
            assert error.is_caused_by(ValueError)
            return [await before, str(error), await after]

        await any_hub.work(provoke, call, Counter)
        before, error, after = await any_hub.result_of(provoke)
        assert (before, after) == (1, 2)
        assert "'add_and_fail' of entity '@counter@a' (#2) failed: ValueError: no more" in error
        assert await any_hub.result_of(call, ["counter", "witness", "get", None]) == 0
        assert await any_hub.client.get_orchestration_state("never") is None

    async def test_an_unknown_operation_fails_its_call(self, any_hub: HubDriver) -> None:
        """**failure-shape** The text names the operations that there are; delete always is one."""
        await any_hub.work(call, Counter)
        state = await any_hub.run(call, ["counter", "a", "multiply", 3])
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by("durabletask.errors.EntityOperationError")
        assert "add_slowly" in state.failure_details.message
        await any_hub.result_of(call, ["counter", "a", "add", 3])
        await any_hub.result_of(call, ["counter", "a", "delete", None])
        assert await any_hub.entity(EntityId("counter", "a")) is None

    async def test_state_is_a_fresh_copy(self, any_hub: HubDriver) -> None:
        """**entity-state** What is read can be changed without changing the state."""
        await any_hub.work(call, note)
        await any_hub.result_of(call, ["note", "n", "put", ["kept"]])
        assert await any_hub.result_of(call, ["note", "n", "spoil", None]) == ["kept"]
        assert await any_hub.entity(EntityId("note", "n")) == ["kept"]

    async def test_falsy_state_is_kept_and_none_deletes(self, any_hub: HubDriver) -> None:
        """**entity-state** 0, "", [], {} and False are states; None is to have none."""
        await any_hub.work(call, note)
        former: Any = "nothing"
        values: list[Any] = [0, "", [], {}, False, None]
        for value in values:
            assert await any_hub.result_of(call, ["note", "n", "put", value]) == former
            state = await any_hub.client.get_entity(EntityId("note", "n"))
            if value is None:
                assert state is None
            else:
                assert state is not None and state.has_state
                assert state.state == value and type(state.state) is type(value)
                former = value
        assert await any_hub.result_of(call, ["note", "n", "put", 1]) == "nothing"

    async def test_names_ignore_case_and_keys_do_not(self, any_hub: HubDriver) -> None:
        """**entity-state** ``@Note@K`` and ``@note@K`` are one entity, ``@note@k`` is another."""
        await any_hub.work(call, note)
        key = "Ä@/ K"
        await any_hub.result_of(call, ["NOTE", key, "put", 1])
        assert await any_hub.result_of(call, ["note", key, "put", 2]) == 1
        assert await any_hub.result_of(call, ["note", key.lower(), "put", 3]) == "nothing"
        assert await any_hub.result_of(call, ["Note", key, "Say", None], instance_id="me") == [
            key,
            "Say",
            "me",
        ]

    async def test_state_is_rebuilt_as_its_type(self, any_hub: HubDriver) -> None:
        """**entity-state** In the entity, in the caller and for a client."""

        @dataclass
        class Basket:
            owner: str
            items: list[str]

        @task.entity
        class Shop(task.DurableEntity):
            def put(self, item: str) -> Basket:
                basket = self.get_state(Basket) or Basket("ada", [])
                basket.items.append(item)
                self.set_state(basket)
                return basket

        @task.orchestration
        async def buy(ctx: task.OrchestrationContext) -> list[str]:
            shop = EntityId("shop", "s")
            await ctx.call_entity(shop, "put", "apple")
            basket = await ctx.call_entity(shop, "put", "pear", return_type=Basket)
            assert isinstance(basket, Basket)
            return basket.items

        await any_hub.work(buy, Shop)
        assert await any_hub.result_of(buy) == ["apple", "pear"]
        state = await any_hub.client.get_entity(EntityId("shop", "s"))
        assert state is not None and state.get_state(Basket) == Basket("ada", ["apple", "pear"])

    async def test_entities_signal_and_start(self, any_hub: HubDriver) -> None:
        """**entity-serial** What an operation causes leaves with its state, and once."""
        await any_hub.work(call, Counter)
        await any_hub.client.signal_entity(EntityId("counter", "a"), "pass_on", ["b", "a", "b"])
        await any_hub.has_state(EntityId("counter", "b"), 2)
        await any_hub.has_state(EntityId("counter", "a"), 2)
        for _ in range(2):  # the second finds the id taken, and nothing happens
            launched = await any_hub.result_of(call, ["counter", "a", "launch", "launched"])
            assert launched == "launched"
            assert await any_hub.result("launched") == 12
        assert await any_hub.entity(EntityId("counter", "a")) == 12

    async def test_signals_can_wait(self, any_hub: HubDriver) -> None:
        """**timer-time** A signal with a time runs then, not before; others overtake it."""

        @task.orchestration
        def later(ctx: task.OrchestrationContext) -> Body:
            # What is due goes in the order it was sent, so a machine that takes longer than `soon`
            # for the call proves nothing: then once more, with a wider gap.
            for attempt in range(6):
                target = EntityId("note", f"n{attempt}")
                soon = timedelta(milliseconds=300 * 2**attempt)
                due = ctx.current_utc_datetime + soon
                ctx.signal_entity(target, "put", "late", signal_time=soon)
                first = yield ctx.call_entity(target, "put", "early")
                overtaken = ctx.current_utc_datetime < due
                yield ctx.create_timer(soon)
                last = yield ctx.call_entity(target, "put", "last")
                if overtaken:
                    return [first, last]
            return "no call was answered in time"

        await any_hub.work(later, note)
        far = EntityId("note", "far")
        await any_hub.client.signal_entity(far, "put", 1, signal_time=timedelta(hours=1))
        assert await any_hub.result_of(later) == ["nothing", "late"]
        assert await any_hub.entity(far) is None

    async def test_it_outlives_its_workers(self, any_hub: HubDriver) -> None:
        """**entity-state** State and waiting operations stay when workers go."""
        counter = EntityId("counter", "a")
        await any_hub.work(call, Counter)
        assert await any_hub.result_of(call, ["counter", "a", "add", 3]) == 3
        await any_hub.stop()
        await any_hub.client.signal_entity(counter, "add", 4)
        assert await any_hub.entity(counter) == 3
        await any_hub.work(call, Counter)
        await any_hub.has_state(counter, 7)

    async def test_it_may_live_for_long(self, any_hub: HubDriver) -> None:
        """**can-loop** Thousands of turns leave no more behind than a few."""
        await any_hub.work(spread, call, Counter)
        for _ in range(3):
            answers = await any_hub.result_of(spread, ["old", "add", 400])
            assert answers == sorted(answers)
        for _ in range(300):
            await any_hub.client.signal_entity(EntityId("counter", "old"), "add", 1)
        await any_hub.has_state(EntityId("counter", "old"), 1500)
        assert await any_hub.result_of(call, ["counter", "old", "add", 1]) == 1501

    async def test_without_code_it_waits_and_then_fails(self, hub: HubDriver) -> None:
        """**failure-unregistered** Calls fail with the names that are known; the state stays."""
        await hub.work(call, note, unregistered_grace=0.0)
        state = await hub.run(call, ["counter", "a", "add", 1])
        assert state.failure_details is not None
        assert state.failure_details.is_caused_by("durabletask.errors.EntityNotRegisteredError")
        assert "registered: note" in state.failure_details.message

    async def test_clients_list_entities(self, hub: HubDriver) -> None:
        """**entity-state** By name, key and time, in pages; orchestrations are not among them."""
        await hub.work(call, Counter, note)
        for key in ("a1", "a2", "b1"):
            await hub.result_of(call, ["counter", key, "add", 1])
        await hub.result_of(call, ["note", "a1", "put", "text"])

        async def listed(**conditions: Any) -> list[str]:
            found = hub.client.iter_entities(EntityQuery(**conditions))
            return sorted([str(state.entity_id) async for state in found])

        counters = ["@counter@a1", "@counter@a2", "@counter@b1"]
        assert await listed() == [*counters, "@note@a1"]
        assert await listed(page_size=1) == [*counters, "@note@a1"]
        assert await listed(name="COUNTER") == counters
        assert await listed(name="counter", key_prefix="a") == counters[:2]
        assert await listed(name="other") == []
        state = await hub.client.get_entity(EntityId("counter", "a1"))
        assert state is not None
        assert await listed(modified_to=state.last_modified) == []
        assert "@counter@a1" in await listed(modified_from=state.last_modified)
        page = await hub.client.query_entities(EntityQuery(name="note", include_state=False))
        [found] = page.items
        assert (found.serialized_state, found.has_state) == (None, True)
        orchestrations = (await hub.client.query_orchestrations()).items
        assert {state.name for state in orchestrations} == {"call"}

    async def test_an_entity_is_no_orchestration(self, hub: HubDriver) -> None:
        """**event-missing** What is for orchestrations does not reach entities."""
        await hub.work(call, Counter)
        await hub.result_of(call, ["counter", "a", "add", 1])
        client = hub.client
        assert await client.get_orchestration_state("@counter@a") is None
        for refused in (
            client.raise_event("@counter@a", "e"),
            client.suspend_orchestration("@counter@a"),
            client.terminate_orchestration("@counter@a"),
            client.wait_for_orchestration_completion("@counter@a", timeout=5),
        ):
            with pytest.raises(InstanceNotFoundError):
                await refused
        assert (await client.purge_orchestration("@counter@a")).deleted_instance_count == 0
        assert await hub.entity(EntityId("counter", "a")) == 1

    async def test_blank_entities_are_removed(self, hub: HubDriver) -> None:
        """**entity-state** One without a state exists no more, and its storage can be had back."""
        await hub.work(call, Counter)
        await hub.result_of(call, ["counter", "kept", "add", 1])
        for key in ("a", "b"):
            await hub.result_of(call, ["counter", key, "get", None])
        await hub.stop()
        removed = 0

        async def both() -> bool:
            nonlocal removed
            removed += await hub.client.clean_entity_storage()
            return removed == 2

        await eventually(both, "the two blank entities are removed")
        assert await hub.client.clean_entity_storage() == 0
        assert await hub.entity(EntityId("counter", "kept")) == 1
        await hub.work(call, Counter)
        assert await hub.result_of(call, ["counter", "a", "add", 5]) == 5

    async def test_a_slow_operation_holds_up_nobody_else(self, hub: HubDriver) -> None:
        """**entity-serial** Entities run beside each other, and beside orchestrations."""
        gate = Gate()

        @task.entity
        class Door(task.DurableEntity):
            async def enter(self, name: str) -> str:
                await gate.wait(name)
                return name

        await hub.work(call, Door, Counter)
        waiting = await hub.start(call, ["door", "one", "enter", "one"])
        behind = await hub.start(call, ["door", "one", "enter", "two"])
        gate.open("two")
        assert await hub.result_of(call, ["door", "other", "enter", "two"]) == "two"
        assert await hub.result_of(call, ["counter", "a", "add", 1]) == 1
        gate.open("one")
        assert await hub.result(waiting) == "one"
        assert await hub.result(behind) == "two"
