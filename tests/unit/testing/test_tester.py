"""Orchestrations on a virtual clock: no time passes but the one that tests let pass."""

import asyncio
import itertools
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import task
from durabletask.errors import (
    ActivityNotRegisteredError,
    ArgumentTypeError,
    ConfigurationError,
    EntityNotRegisteredError,
    EntityOperationError,
    InstanceNotFoundError,
    InvalidRequestError,
    NonDeterminismError,
    OrchestrationNotRegisteredError,
    RegistrationError,
    SerializationError,
    TaskFailedError,
    WorkerStateError,
)
from durabletask.history import TaskCompleted, TimerCreated, TimerFired
from durabletask.state import OrchestrationStatus
from durabletask.task import EntityId
from durabletask.task import OrchestrationStatus as Status
from durabletask.testing import OrchestrationTester
from durabletask.worker import TaskHubWorker, WorkerOptions
from durabletask.worker.machine import Machine

pytestmark = pytest.mark.asyncio

START = datetime(2030, 1, 1, tzinfo=UTC)


@task.activity
def greet(ctx, city: str) -> str:
    return f"Hello {city}!"


@task.activity
async def greet_async(ctx, city: str) -> str:
    await asyncio.sleep(0)
    return f"Hello {city}!"


@task.orchestration
def cities(ctx, names: list[str]):
    greetings = []
    for name in names:
        greetings.append((yield ctx.call_activity(greet, input=name)))
    return greetings


@task.orchestration
def after(ctx, days: float):
    yield ctx.create_timer(timedelta(days=days))
    return ctx.current_utc_datetime.isoformat()


@task.orchestration
async def approval(ctx):
    try:
        return await ctx.wait_for_external_event("approved", timeout=timedelta(days=3))
    except TimeoutError:
        return "nobody came"


@task.orchestration
def patient(ctx):
    return (yield ctx.wait_for_external_event("go"))


@task.orchestration
def for_ever(ctx, turns: int):
    yield ctx.create_timer(timedelta(hours=1))
    ctx.continue_as_new(turns + 1)


@task.orchestration
def unstable(ctx):
    yield ctx.call_activity(greet if ctx.is_replaying else greet_async, input="Bonn")
    yield ctx.create_timer(timedelta(seconds=1))


def having(*functions, **options):
    tester = OrchestrationTester(**options)
    for function in functions:
        if function in (greet, greet_async):
            tester.add_activity(function)
        else:
            tester.add_orchestration(function)
    return tester


# --- running -----------------------------------------------------------------------------------


async def test_runs_activities_in_order():
    async with having(cities, greet) as tester:
        state = await tester.run(cities, input=["Rome", "Oslo"])
    assert state.runtime_status is Status.COMPLETED
    assert state.result == ["Hello Rome!", "Hello Oslo!"]


async def test_three_days_pass_at_once():
    """**timer-time**: a timer adds to the clock, and fires when the store's clock says so."""
    began = time.monotonic()
    async with having(after) as tester:
        state = await tester.run(after, input=3)
        assert tester.now == START + timedelta(days=3)
    assert state.result == "2030-01-04T00:00:00+00:00"
    assert time.monotonic() - began < 1


async def test_a_century_is_no_longer_than_a_lease():
    async with having(after) as tester:
        await tester.run(after, input=36_500)
        state = await tester.run(after, input=1)
    assert state.runtime_status is Status.COMPLETED


async def test_the_clock_begins_where_the_test_says():
    async with having(after, start_time=datetime(2024, 2, 28)) as tester:
        state = await tester.run(after, input=1)
    assert state.result == "2024-02-29T00:00:00+00:00"


async def test_an_event_that_does_not_come_times_out():
    """**event-timeout**: the timeout is virtual like all time."""
    async with having(approval) as tester:
        state = await tester.run(approval)
        assert tester.now == START + timedelta(days=3)
    assert state.result == "nobody came"


async def test_an_event_in_time():
    async with having(approval) as tester:
        approving = await tester.start(approval)
        await tester.advance(timedelta(days=2, hours=23))
        await tester.raise_event(approving, "approved", "by the boss")
        state = await tester.wait(approving)
        assert tester.now == START + timedelta(days=2, hours=23)
    assert state.result == "by the boss"


async def test_retries_take_virtual_time():
    """**retry-delay**: the delays pass on the virtual clock."""

    @task.orchestration
    def stubborn(ctx):
        policy = task.RetryPolicy(
            max_number_of_attempts=4,
            first_retry_interval=timedelta(hours=1),
            backoff_coefficient=2,
        )
        return (yield ctx.call_activity("work", retry_policy=policy))

    async with having(stubborn) as tester:
        work = tester.mock_activity("work", sequence=[OSError("1"), OSError("2"), OSError, "done"])
        state = await tester.run(stubborn)
        assert tester.now == START + timedelta(hours=1 + 2 + 4)
    assert state.result == "done"
    assert work.calls == [None] * 4


async def test_a_delayed_start():
    """**start-at**: a start in the future keeps the instance PENDING until then."""
    async with having(cities, greet) as tester:
        later = await tester.start(cities, input=[], start_at=timedelta(days=1))
        await tester.advance(timedelta(hours=23))
        assert (await tester.state(later)).runtime_status is Status.PENDING
        await tester.wait(later)
        assert tester.now == START + timedelta(days=1)
        state = await tester.run(cities, input=[], start_at=datetime(2030, 6, 1))
        assert tester.now == datetime(2030, 6, 1, tzinfo=UTC)
    assert state.runtime_status is Status.COMPLETED


async def test_several_instances_share_the_clock():
    async with having(after) as tester:
        first, second = await tester.start(after, input=2), await tester.start(after, input=1)
        states = await asyncio.gather(tester.wait(first), tester.wait(second))
        assert tester.now == START + timedelta(days=2)
    assert [state.result[:10] for state in states] == ["2030-01-03", "2030-01-02"]


async def test_children_and_continue_as_new():
    @task.orchestration
    def parent(ctx):
        return (yield ctx.call_sub_orchestration(countdown, input=3))

    @task.orchestration
    def countdown(ctx, left: int):
        yield ctx.create_timer(timedelta(days=1))
        if left:
            ctx.continue_as_new(left - 1)
        return "lift-off"

    async with having(parent, countdown) as tester:
        state = await tester.run(parent)
        assert tester.now == START + timedelta(days=4)
    assert state.result == "lift-off"


async def test_suspended_and_resumed():
    async with having(after) as tester:
        waiting = await tester.start(after, input=1)
        await tester.settle()
        await tester.client.suspend_orchestration(waiting)
        await tester.advance(timedelta(days=2))
        assert (await tester.state(waiting)).runtime_status is Status.SUSPENDED
        await tester.client.resume_orchestration(waiting)
        state = await tester.wait(waiting)
    assert state.runtime_status is Status.COMPLETED


async def test_the_same_at_every_run():
    """Ids, chance, order and instants: nothing differs between two runs."""

    @task.orchestration
    def dicey(ctx):
        order = []
        for call in [ctx.call_activity(greet, input="Rome"), ctx.call_activity("work", input=1)]:
            order.append((yield task.when_any([call, ctx.create_timer(timedelta(0))])).is_complete)
        child = yield ctx.call_sub_orchestration(child_of_chance)
        return [order, child, str(ctx.new_uuid()), ctx.random.random(), ctx.instance_id]

    @task.orchestration
    def child_of_chance(ctx):
        return [str(ctx.new_uuid()), ctx.instance_id]

    async def run():
        async with having(dicey, child_of_chance, greet) as tester:
            tester.mock_activity("work", returns=1)
            first, second = await tester.run(dicey), await tester.run(dicey)
            return [first.result, second.result, await tester.history(first.instance_id)]

    once = await run()
    # What a busy machine does: every piece of work takes long now and then.
    slow = itertools.count(0, 0.0011)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskHubWorker, "_machine", Machine(clock=slow.__next__))
        again = await run()
    assert once == again
    assert once[0] != once[1]


async def test_advance_stops_at_every_timer():
    @task.orchestration
    def clocked(ctx):
        seen = []
        for _ in range(3):
            yield ctx.create_timer(timedelta(minutes=10))
            seen.append(ctx.current_utc_datetime.minute)
            ctx.set_custom_status(seen)

    async with having(clocked) as tester:
        ticking = await tester.start(clocked)
        await tester.advance(25 * 60)
        assert (await tester.state(ticking)).custom_status == [10, 20]
        assert tester.now == START + timedelta(minutes=25)
        history = await tester.history(ticking)
    assert [type(event) for event in history].count(TimerCreated) == 3
    assert [type(event) for event in history].count(TimerFired) == 2


async def test_activities_that_wait_take_their_time():
    @task.activity
    async def slow(ctx) -> str:
        await asyncio.sleep(0.02)
        return "done"

    @task.orchestration
    def racing(ctx):
        call = ctx.call_activity(slow)
        timer = ctx.create_timer(timedelta(days=1))
        winner = yield task.when_any([call, timer])
        return winner == call

    async with OrchestrationTester() as tester:
        tester.add_orchestration(racing)
        tester.add_activity(slow)
        state = await tester.run(racing)
        assert tester.now == START
    assert state.result is True


# --- mocks -------------------------------------------------------------------------------------


async def test_a_mock_returns_and_notes_its_inputs():
    async with having(cities, greet) as tester:
        mock = tester.mock_activity(greet, returns="Ciao")
        state = await tester.run(cities, input=["Rome", "Oslo"])
    assert state.result == ["Ciao", "Ciao"]
    assert mock.calls == ["Rome", "Oslo"]
    assert mock.name == "greet"


async def test_a_mock_of_an_activity_that_is_not_registered():
    async with having(cities) as tester:
        tester.mock_activity("greet", calls=lambda ctx, name: f"{ctx.name} {name}")
        state = await tester.run(cities, input=["Rome"])
    assert state.result == ["greet Rome"]


async def test_a_mock_raises():
    async with having(cities) as tester:
        tester.mock_activity(greet, raises=ValueError("no such city"))
        state = await tester.run(cities, input=["Atlantis"])
    assert state.runtime_status is Status.FAILED
    assert state.failure_details.is_caused_by(ValueError)
    assert "no such city" in state.failure_details.message


async def test_a_mock_may_be_asynchronous_and_replaced():
    async def answer(ctx, name):
        await asyncio.sleep(0)
        return name.upper()

    async with having(cities, greet) as tester:
        tester.mock_activity(greet, calls=answer)
        first = await tester.run(cities, input=["Rome"])
        tester.mock_activity("greet", returns=None)
        second = await tester.run(cities, input=["Rome"])
    assert (first.result, second.result) == (["ROME"], [None])


async def test_a_mock_that_runs_out_is_the_tests_fault():
    async with having(cities) as tester:
        tester.mock_activity(greet, sequence=["one"])
        with pytest.raises(ConfigurationError, match="'greet' was called once more"):
            await tester.run(cities, input=["Rome", "Oslo"])


@pytest.mark.parametrize("outcomes", [{}, {"returns": 1, "raises": ValueError}])
async def test_a_mock_has_one_kind_of_outcome(outcomes):
    async with OrchestrationTester() as tester:
        with pytest.raises(ConfigurationError, match="exactly one of returns="):
            tester.mock_activity("greet", **outcomes)


async def test_the_registry_judges_activities():
    async with OrchestrationTester() as tester:
        with pytest.raises(RegistrationError, match="takes a function"):
            tester.add_activity("greet")
        with pytest.raises(RegistrationError, match="add_orchestration"):
            tester.add_activity(cities)
        tester.add_activity(greet)
        tester.add_activity(greet)
        with pytest.raises(RegistrationError, match="is taken"):
            tester.add_activity(greet_async, name="greet")


# --- what goes wrong ---------------------------------------------------------------------------


async def test_nothing_can_happen_any_more():
    async with having(patient) as tester:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="'patient-1' is RUNNING and nothing can happen"):
            await tester.run(patient)
        assert time.monotonic() - began < 1
        assert tester.now == START
        await tester.raise_event("patient-1", "go", 0)
        assert (await tester.wait("patient-1")).result == 0


async def test_the_timeout_is_virtual():
    """**wait**: a timeout raises TimeoutError and cancels nothing."""
    async with having(for_ever, patient) as tester:
        with pytest.raises(TimeoutError, match="after 1 day, 0:00:00 of virtual time"):
            await tester.run(for_ever, input=0, timeout=timedelta(days=1))
        assert tester.now == START + timedelta(days=1)
        assert (await tester.state("for_ever-1")).input == 24
        with pytest.raises(TimeoutError):
            await tester.wait("for_ever-1", timeout=90 * 60)
        assert tester.now == START + timedelta(days=1, minutes=90)
        with pytest.raises(TimeoutError):
            await tester.run(patient, timeout=60)
        assert tester.now == START + timedelta(days=1, minutes=91)


async def test_an_unknown_activity_is_told_at_once():
    """**failure-unregistered**: a mistyped name is visible at once, with what is registered."""
    async with having(cities, greet_async) as tester:
        with pytest.raises(ActivityNotRegisteredError, match=r"'greet'.*registered: greet_async"):
            await tester.run(cities, input=["Rome"])


async def test_an_unknown_orchestration_is_told_at_once():
    """**failure-unregistered**: the same for orchestrations."""
    async with having(cities) as tester:
        with pytest.raises(OrchestrationNotRegisteredError, match=r"'city'.*registered: cities"):
            await tester.run("city")


async def test_an_unknown_instance():
    async with having(cities) as tester:
        for look in (tester.wait, tester.state, tester.history):
            with pytest.raises(InstanceNotFoundError):
                await look("nobody")


async def test_code_that_does_not_repeat_itself_is_found(caplog):
    """**replay-check**: by default each turn is replayed, so a test finds such code."""
    caplog.set_level(logging.CRITICAL, "durabletask")
    async with having(unstable, greet, greet_async) as tester:
        with pytest.raises(NonDeterminismError, match=r"'unstable-1' was set aside: .*'greet'"):
            await tester.run(unstable)


async def test_a_child_that_does_not_repeat_itself_is_found(caplog):
    """**replay-park**: whoever waits for it would wait for ever."""
    caplog.set_level(logging.CRITICAL, "durabletask")

    @task.orchestration
    def parent(ctx):
        yield ctx.call_sub_orchestration(unstable, instance_id="the-child")

    async with having(parent, unstable, greet, greet_async) as tester:
        with pytest.raises(NonDeterminismError, match="'the-child'"):
            await tester.run(parent)


async def test_sessions_are_kept_on_request():
    options = WorkerOptions()
    async with having(unstable, greet, greet_async, options=options) as tester:
        state = await tester.run(unstable)
    assert state.runtime_status is OrchestrationStatus.COMPLETED


async def test_time_does_not_pass_backwards():
    async with having(cities) as tester:
        with pytest.raises(InvalidRequestError, match="backwards"):
            await tester.advance(timedelta(seconds=-1))


async def test_only_inside_its_context():
    tester = having(cities)
    with pytest.raises(WorkerStateError, match="async with"):
        await tester.run(cities, input=[])
    async with tester:
        await tester.run(cities, input=[])
        with pytest.raises(WorkerStateError, match="register everything before"):
            tester.add_activity(greet)
    with pytest.raises(WorkerStateError, match="async with"):
        await tester.settle()


async def test_two_testers_do_not_meet():
    """**hub**: every tester has a task hub of its own."""
    async with having(patient) as one, having(patient) as other:
        await one.start(patient, instance_id="same")
        await other.start(patient, instance_id="same")
        await one.raise_event("same", "go", 1)
        assert (await one.wait("same")).result == 1
        assert (await other.state("same")).runtime_status is Status.RUNNING


async def test_leaving_does_not_wait_for_activities():
    @task.activity
    async def endless(ctx) -> None:
        await asyncio.Event().wait()

    @task.orchestration
    def hanging(ctx):
        yield ctx.call_activity(endless)

    began = time.monotonic()
    async with OrchestrationTester() as tester:
        tester.add_orchestration(hanging)
        tester.add_activity(endless)
        await tester.start(hanging)
        await asyncio.sleep(0.01)
    assert time.monotonic() - began < 1


async def test_an_outcome_is_in_the_history():
    async with having(cities, greet) as tester:
        state = await tester.run(cities, input=["Rome"], tags={"kind": "test"}, version="1.5")
        history = await tester.history(state.instance_id)
    assert TaskCompleted(1, '"Hello Rome!"') in history
    assert (state.tags, state.version) == ({"kind": "test"}, "1.5")


# --- entities ----------------------------------------------------------------------------------


@task.entity
class Alarm(task.DurableEntity):
    """When it was rung."""

    def ring(self, by: str) -> None:
        if not by:
            raise ValueError("nobody")
        now = self.entity_context.current_utc_datetime
        self.set_state([*self.get_state(list, []), f"{by} {now:%j}"])
        if by == "twice":
            again = EntityId("alarm", "other")
            self.signal_entity(again, "ring", by[:2], signal_time=timedelta(days=1))


ALARM = EntityId("alarm", "one")


async def test_signals_to_entities_come_in_virtual_time():
    async with OrchestrationTester() as tester:
        tester.add_entity(Alarm)
        assert await tester.entity(ALARM) is None
        await tester.signal_entity(ALARM, "ring", "late", signal_time=timedelta(days=2))
        at = datetime(2030, 1, 2, tzinfo=UTC)
        await tester.signal_entity(ALARM, "ring", "twice", signal_time=at)
        await tester.signal_entity(ALARM, "ring", "now")
        state = await tester.entity(ALARM)
        assert state is not None and state.state == ["now 001"]
        await tester.advance(timedelta(days=3))
        state = await tester.entity(ALARM)
        assert state is not None and state.state == ["now 001", "twice 002", "late 003"]
        other = await tester.entity(EntityId("alarm", "other"))
        assert other is not None and other.get_state(list[str]) == ["tw 003"]


async def test_a_client_is_told_what_is_no_entity_id():
    async with OrchestrationTester() as tester:
        tester.add_entity(Alarm)
        with pytest.raises(ArgumentTypeError, match="signal_entity takes an EntityId, not Alarm"):
            await tester.signal_entity(Alarm, "ring")
        with pytest.raises(ArgumentTypeError, match=r"get_entity .* EntityId\.parse"):
            await tester.client.get_entity("@alarm@one")
        with pytest.raises(ArgumentTypeError, match="signal_time must be a datetime"):
            await tester.signal_entity(ALARM, "ring", signal_time=3)
        with pytest.raises(InvalidRequestError, match="signal_time must lie"):
            await tester.client.signal_entity(ALARM, "ring", signal_time=timedelta.max)


@dataclass
class Deposit:
    """What a purse is given."""

    amount: int


@task.entity
class Purse(task.DurableEntity):
    """Some money."""

    def put(self, deposit: Deposit) -> Deposit:
        total = self.get_state(int, 0) + deposit.amount
        if total < 0:
            raise ValueError("the purse is empty")
        self.set_state(total)
        return Deposit(total)

    async def count(self) -> int:
        await asyncio.sleep(0)
        return self.get_state(int, 0)


PURSE = EntityId("purse", "mine")


async def test_operations_are_called():
    """**entity-serial** The answer is what an orchestration would get, after what came before."""
    async with OrchestrationTester() as tester:
        tester.add_entity(Purse)
        await tester.signal_entity(PURSE, "put", Deposit(3))
        answer = await tester.call_entity(PURSE, "put", Deposit(4), return_type=Deposit)
        assert answer == Deposit(7)
        assert await tester.call_entity(PURSE, "put", Deposit(1)) == {"amount": 8}
        assert await tester.call_entity(PURSE, "count") == 8
        with pytest.raises(TaskFailedError, match="ValueError: the purse is empty") as told:
            await tester.call_entity(PURSE, "put", Deposit(-9))
        assert told.value.is_caused_by(ValueError)
        assert told.value.details.message == "the purse is empty"
        with pytest.raises(TaskFailedError, match="'take'") as told:
            await tester.call_entity(PURSE, "take", 1)
        assert told.value.is_caused_by(EntityOperationError)
        assert await tester.call_entity(PURSE, "count", return_type=int) == 8


async def test_calls_that_cannot_be_made_are_told():
    async with OrchestrationTester() as tester:
        tester.add_entity(Purse)
        with pytest.raises(ArgumentTypeError, match="call_entity takes an EntityId, not Purse"):
            await tester.call_entity(Purse, "count")
        with pytest.raises(InvalidRequestError, match="the name of an operation"):
            await tester.call_entity(PURSE, " ")
        with pytest.raises(SerializationError, match="'put'"):
            await tester.call_entity(PURSE, "put", object())
        with pytest.raises(SerializationError, match="'count'"):
            await tester.call_entity(PURSE, "count", return_type=Deposit)
        with pytest.raises(EntityNotRegisteredError, match="'nobody'"):
            await tester.call_entity(EntityId("nobody", "n"), "get")
    async with OrchestrationTester() as tester:
        with pytest.raises(EntityNotRegisteredError, match="'purse'; registered: none"):
            await tester.call_entity(PURSE, "count")


async def test_a_call_of_a_locked_entity_waits():
    """**entity-lock** It is answered when the lock is given up, or after its timeout not."""

    @task.orchestration
    def hold(ctx):
        with (yield ctx.lock_entities([PURSE])):
            yield ctx.create_timer(timedelta(days=3))

    async with OrchestrationTester() as tester:
        tester.add_entity(Purse)
        tester.add_orchestration(hold)
        await tester.start(hold)
        await tester.settle()
        with pytest.raises(TimeoutError):
            await tester.call_entity(PURSE, "count", timeout=timedelta(days=1))
        assert await tester.call_entity(PURSE, "count") == 0
        assert tester.now == START + timedelta(days=3)


async def test_an_entity_without_code_is_told():
    @task.orchestration
    def call(ctx):
        yield ctx.call_entity(EntityId("nobody", "n"), "get")

    async with OrchestrationTester() as tester:
        tester.add_orchestration(call)
        with pytest.raises(EntityNotRegisteredError, match="'nobody'"):
            await tester.run(call)
