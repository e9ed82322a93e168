"""An orchestrator for each feature, and how its golden history came about.

The orchestrators are part of the evidence: what is recorded of them must be repeated for ever, so
none of them is ever changed. What a later version adds gets an orchestrator of its own.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from durabletask import task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durabletask.testing import OrchestrationTester


@task.activity
def double(ctx: task.ActivityContext, number: int) -> int:
    return number * 2


@task.activity
def break_down(ctx: task.ActivityContext) -> None:
    raise OSError("out of order")


@task.orchestration
def sequence(ctx: task.OrchestrationContext, steps: int) -> Any:
    number = 1
    for _ in range(steps):
        number = yield ctx.call_activity(double, input=number)
    return number


@task.orchestration
async def sequence_async(ctx: task.OrchestrationContext, steps: int) -> int:
    number = 1
    for _ in range(steps):
        number = await ctx.call_activity(double, input=number)
    return number


@task.orchestration
def fan_out(ctx: task.OrchestrationContext, width: int) -> Any:
    doubled = yield task.when_all([ctx.call_activity(double, input=n) for n in range(width)])
    return sum(doubled)


@task.orchestration
def any_of(ctx: task.OrchestrationContext) -> Any:
    timer = ctx.create_timer(timedelta(days=1))
    event = ctx.wait_for_external_event("go")
    call = ctx.call_activity(double, input=4)
    first = yield task.when_any([timer, event, call])
    second = yield task.when_any([timer, event])
    timer.cancel()
    name = "double" if second == event else "break_down"
    return [first == call, (yield ctx.call_activity(name, input=5))]


@task.orchestration
def timers(ctx: task.OrchestrationContext) -> Any:
    seen = []
    for when in (timedelta(days=3), timedelta(0), datetime(2030, 2, 1), timedelta(days=-1)):
        yield ctx.create_timer(when)
        seen.append(ctx.current_utc_datetime.isoformat())
    return seen


@task.orchestration
def events(ctx: task.OrchestrationContext) -> Any:
    early = yield ctx.wait_for_external_event("Colour", return_type=str)
    try:
        yield ctx.wait_for_external_event("never", timeout=timedelta(hours=1))
    except TimeoutError:
        late = yield ctx.wait_for_external_event("colour", timeout=timedelta(hours=1))
        return [early, late]


@task.orchestration
def failures(ctx: task.OrchestrationContext) -> Any:
    try:
        yield ctx.call_activity(break_down)
    except task.TaskFailedError as error:
        ctx.set_custom_status("broken")
        if error.is_caused_by(OSError):
            yield ctx.call_activity(double, input=1)
    raise ValueError("in the end it fails") from None


@task.orchestration
def retries(ctx: task.OrchestrationContext) -> Any:
    policy = task.RetryPolicy(
        max_number_of_attempts=3,
        first_retry_interval=timedelta(minutes=1),
        backoff_coefficient=2,
    )
    flaky = ctx.call_activity("flaky", input=7, retry_policy=policy)
    other = ctx.call_activity(double, input=1)
    first = yield task.when_any([flaky, other])
    results = yield task.when_all([flaky, other])
    return [first == other, results, (yield ctx.call_activity(double, input=2))]


@task.orchestration
def children(ctx: task.OrchestrationContext) -> Any:
    calls = [ctx.call_sub_orchestration(sequence, input=n) for n in (1, 2)]
    calls.append(ctx.call_sub_orchestration("sequence", input=3, instance_id="the-third"))
    numbers = yield task.when_all(calls)
    try:
        yield ctx.call_sub_orchestration(failures)
    except task.TaskFailedError:
        numbers.append((yield ctx.call_activity(double, input=8)))
    return numbers


@task.orchestration
def child_retries(ctx: task.OrchestrationContext) -> Any:
    policy = task.RetryPolicy(max_number_of_attempts=2, first_retry_interval=timedelta(seconds=1))
    try:
        yield ctx.call_sub_orchestration(failures, retry_policy=policy)
    except task.TaskFailedError:
        return (yield ctx.call_activity(double, input=9))


@task.orchestration
def continued(ctx: task.OrchestrationContext, left: int) -> Any:
    yield ctx.call_activity(double, input=left)
    kept = yield ctx.wait_for_external_event("more")
    ctx.continue_as_new(left - kept, save_events=True)


@task.orchestration
def countdown(ctx: task.OrchestrationContext, left: int) -> Any:
    yield ctx.create_timer(timedelta(hours=left))
    if left:
        ctx.continue_as_new(left - 1)
        return
    return (yield ctx.call_activity(double, input=left))


@task.orchestration
def suspended(ctx: task.OrchestrationContext) -> Any:
    first = yield ctx.wait_for_external_event("step")
    yield ctx.create_timer(timedelta(hours=1))
    second = yield ctx.wait_for_external_event("step")
    return [first, (yield ctx.call_activity(double, input=second))]


@task.orchestration
def terminated(ctx: task.OrchestrationContext) -> Any:
    yield ctx.call_activity(double, input=1)
    yield ctx.create_timer(timedelta(days=365))


@task.orchestration
def waiting(ctx: task.OrchestrationContext) -> Any:
    yield ctx.call_activity(double, input=1)
    ctx.set_custom_status({"waits for": "go"})
    return (yield ctx.wait_for_external_event("go"))


@task.orchestration
def chance(ctx: task.OrchestrationContext) -> Any:
    # Replay compares names and targets, so this is only repeated if chance repeats itself.
    ctx.send_event(str(ctx.new_uuid()), "hello", data=1)
    for _ in range(20):
        if ctx.random.random() < 0.5:
            yield ctx.call_activity(double, input=1)
        else:
            yield ctx.create_timer(timedelta(seconds=ctx.random.randrange(60)))
    ctx.send_event(str(ctx.new_uuid()), "good bye")
    return random.Random(ctx.random.getrandbits(64)).random()


@task.orchestration
def cleaning_up(ctx: task.OrchestrationContext) -> Any:
    try:
        yield ctx.wait_for_external_event("go", timeout=timedelta(days=1))
    finally:
        yield ctx.call_activity(double, input=1)


@task.orchestration
def falsy(ctx: task.OrchestrationContext, given: Any) -> Any:
    seen = [given]
    for value in (0, "", [], {}, False, None):
        ctx.send_event("nobody", "falsy", data=value)
        seen.append((yield ctx.wait_for_external_event("falsy")))
    ctx.set_custom_status(0)
    seen.append((yield ctx.call_activity(double, input=0)))
    return seen


@task.orchestration
async def broken_async(ctx: task.OrchestrationContext) -> list[str]:
    seen = []
    calls = [ctx.call_activity(break_down), ctx.call_activity(double, input=1)]
    try:
        await task.when_all(calls)
    except task.TaskFailedError as error:
        seen.append(error.details.error_type)
    winner = await task.when_any([ctx.create_timer(timedelta(days=1)), calls[0]])
    try:
        await winner
    except task.TaskFailedError:
        seen.append("the winner failed")
    try:
        await ctx.wait_for_external_event("never", timeout=timedelta(seconds=1))
    except TimeoutError:
        seen.append(str(await ctx.call_activity(double, input=2)))
    return seen


@task.orchestration
def guardian(ctx: task.OrchestrationContext) -> Any:
    try:
        yield ctx.call_sub_orchestration(waiting, instance_id="the-ward")
    except task.TaskFailedError as error:
        return [error.details.error_type, (yield ctx.call_activity(double, input=3))]


@task.orchestration
def rewound(ctx: task.OrchestrationContext) -> Any:
    tag = ctx.new_uuid().hex
    yield ctx.call_activity(double, input=1)
    policy = task.RetryPolicy(max_number_of_attempts=2, first_retry_interval=timedelta(minutes=1))
    try:
        flaky = ctx.call_activity("flaky", input=tag, retry_policy=policy)
        calls = [flaky, ctx.call_activity(double, input=2)]
        calls.append(ctx.call_sub_orchestration(sequence, input=1))
        numbers = yield task.when_all(calls)
    except task.TaskFailedError:
        yield ctx.call_sub_orchestration(sequence, input=2)
        raise
    numbers.append((yield ctx.call_sub_orchestration(sequence, input=3)))
    ctx.send_event(str(ctx.new_uuid()), "good bye")
    return numbers


@task.entity
class Account(task.DurableEntity):
    """Money that is never overdrawn; it tells a book of what comes in."""

    def deposit(self, amount: int) -> int:
        balance = self.get_state(int, 0) + amount
        self.set_state(balance)
        self.signal_entity(task.EntityId("book", "b"), "write", amount)
        return balance

    def withdraw(self, amount: int) -> int:
        balance = self.get_state(int, 0) - amount
        if balance < 0:
            raise ValueError("too little money")
        self.set_state(balance)
        return balance


@task.entity
def book(ctx: task.EntityContext, entry: Any) -> None:
    ctx.set_state([*ctx.get_state(list, []), entry])


@task.orchestration
def entities(ctx: task.OrchestrationContext) -> Any:
    ada, bob = task.EntityId("Account", "ada"), task.EntityId("account", "bob")
    ctx.signal_entity(ada, "deposit", 3)
    ctx.signal_entity(ada, "deposit", 4, signal_time=timedelta(hours=1))
    seen = [(yield ctx.call_entity(ada, "deposit", 5))]
    try:
        yield ctx.call_entity(bob, "withdraw", 1)
    except task.TaskFailedError as error:
        seen.append(error.details.message)
    with (yield ctx.lock_entities([bob, ada])):
        seen.append((yield ctx.call_entity(ada, "withdraw", 2)))
        seen.append((yield ctx.call_entity(bob, "deposit", 2)))
    yield ctx.create_timer(timedelta(hours=2))
    seen.append((yield ctx.call_entity(ada, "withdraw", 10)))
    return seen


@task.orchestration
async def entities_async(ctx: task.OrchestrationContext) -> list[Any]:
    accounts = [task.EntityId("account", key) for key in "xyz"]
    await task.when_all([ctx.call_entity(account, "deposit", 1) for account in accounts])
    with await ctx.lock_entities(accounts[:2]) as lock:
        ctx.signal_entity(accounts[2], "deposit", 1)
        call = ctx.call_entity(accounts[1], "withdraw", 1, return_type=int)
        winner = await task.when_any([call, ctx.create_timer(timedelta(days=1))])
        lock.release()
    return [winner == call, call.result, await ctx.call_entity(accounts[2], "deposit", 1)]


@task.orchestration
def locked_still(ctx: task.OrchestrationContext) -> Any:
    yield ctx.lock_entities([task.EntityId("account", "ada")])
    yield ctx.wait_for_external_event("never")


ENTITIES: list[Callable[..., Any]] = [Account, book]


@task.orchestration
def patched(ctx: task.OrchestrationContext) -> Any:
    number = yield ctx.call_activity(double, input=1)
    if ctx.is_patched("sleep on it"):
        yield ctx.create_timer(timedelta(hours=8))
    number = yield ctx.call_activity(double, input=number)
    answers = [ctx.is_patched("sleep on it")]
    if ctx.is_patched("say good bye"):
        ctx.send_event("other", "good bye")
    return [number, *answers, (yield ctx.call_activity(double, input=number))]


@task.orchestration(name="patched")
def not_yet_patched(ctx: task.OrchestrationContext) -> Any:
    number = yield ctx.call_activity(double, input=1)
    number = yield ctx.call_activity(double, input=number)
    return [number, None, (yield ctx.call_activity(double, input=number))]


@task.orchestration(version="3.0")
def versioned(ctx: task.OrchestrationContext) -> Any:
    if ctx.version == "3.0":
        ctx.continue_as_new(None, new_version="3.1rc1")
        return
    calls = [
        ctx.call_sub_orchestration(sequence, input=1),
        ctx.call_sub_orchestration(sequence, input=2, version="4"),
        ctx.call_sub_orchestration(waiting, version="", instance_id="of-no-version"),
    ]
    yield calls[0]
    ctx.send_event("of-no-version", "go", data=ctx.version)
    return (yield task.when_all(calls))


ORCHESTRATORS: list[Callable[..., Any]] = [
    any_of,
    broken_async,
    chance,
    child_retries,
    children,
    cleaning_up,
    continued,
    countdown,
    entities,
    entities_async,
    events,
    failures,
    falsy,
    fan_out,
    guardian,
    locked_still,
    patched,
    retries,
    rewound,
    sequence,
    sequence_async,
    suspended,
    terminated,
    timers,
    versioned,
    waiting,
]


class Recording(NamedTuple):
    """How a golden history came about; ``play`` returns the id of the instance to save.

    ``former`` is the code that was played, if that is not today's of the same name.
    """

    play: Callable[[OrchestrationTester], Awaitable[str]]
    status: str
    former: Callable[..., Any] | None = None


def ran(
    orchestrator: Callable[..., Any], input: Any = None, status: str = "COMPLETED"
) -> Recording:
    """An orchestrator that was just run to its end."""

    async def play(tester: OrchestrationTester) -> str:
        return (await tester.run(orchestrator, input=input)).instance_id

    return Recording(play, status)


async def play_any_of(tester: OrchestrationTester) -> str:
    started = await tester.start(any_of)
    await tester.settle()
    await tester.raise_event(started, "GO")
    return (await tester.wait(started)).instance_id


async def play_events(tester: OrchestrationTester) -> str:
    started = await tester.start(events)
    await tester.raise_event(started, "COLOUR", "red")
    await tester.raise_event(started, "colour", None)
    await tester.raise_event(started, "unheard", {"of": []})
    return (await tester.wait(started)).instance_id


async def play_continued(tester: OrchestrationTester) -> str:
    started = await tester.start(continued, input=10)
    for kept in (1, 2):
        await tester.raise_event(started, "more", kept)
    await tester.settle()
    return started


async def play_suspended(tester: OrchestrationTester) -> str:
    started = await tester.start(suspended)
    await tester.raise_event(started, "step", 1)
    await tester.settle()
    await tester.client.suspend_orchestration(started, "a break")
    await tester.raise_event(started, "step", 2)
    await tester.advance(timedelta(hours=2))
    await tester.client.suspend_orchestration(started)
    await tester.client.resume_orchestration(started, "on we go")
    return (await tester.wait(started)).instance_id


async def play_terminated(tester: OrchestrationTester) -> str:
    started = await tester.start(terminated)
    await tester.advance(timedelta(days=30))
    await tester.client.terminate_orchestration(started, "enough")
    return (await tester.wait(started)).instance_id


async def play_waiting(tester: OrchestrationTester) -> str:
    started = await tester.start(waiting, tags={"colour": "blue"}, version="1.0")
    await tester.settle()
    return started


async def play_suspended_still(tester: OrchestrationTester) -> str:
    started = await tester.start(waiting)
    await tester.settle()
    await tester.client.suspend_orchestration(started)
    await tester.raise_event(started, "go")
    await tester.settle()
    return started


async def play_child(tester: OrchestrationTester) -> str:
    await tester.run(children)
    return "the-third"


async def play_falsy(tester: OrchestrationTester) -> str:
    started = await tester.start(falsy, input=False)
    for value in (0, "", [], {}, False, None):
        await tester.raise_event(started, "falsy", value)
    return (await tester.wait(started)).instance_id


async def play_guardian(tester: OrchestrationTester) -> str:
    started = await tester.start(guardian)
    await tester.settle()
    await tester.client.terminate_orchestration("the-ward", "enough")
    return (await tester.wait(started)).instance_id


async def play_postponed(tester: OrchestrationTester) -> str:
    started = await tester.start(
        sequence, input=2, start_at=timedelta(days=2), tags={"when": "later"}, version="2.1"
    )
    return (await tester.wait(started)).instance_id


async def play_rewound(tester: OrchestrationTester) -> str:
    started = await tester.start(rewound)
    await tester.wait(started)
    await tester.client.rewind_orchestration(started, reason="all is well again")
    return (await tester.wait(started)).instance_id


async def play_locked_still(tester: OrchestrationTester) -> str:
    started = await tester.start(locked_still)
    await tester.settle()
    return started


RECORDINGS: dict[str, Recording] = {
    "any": Recording(play_any_of, "COMPLETED"),
    "broken_async": ran(broken_async),
    "chance": ran(chance),
    "child": Recording(play_child, "COMPLETED"),
    "child_retries": ran(child_retries),
    "children": ran(children),
    "cleaning_up": ran(cleaning_up, status="FAILED"),
    "continue_as_new": ran(countdown, 2),
    "continue_as_new_with_events": Recording(play_continued, "RUNNING"),
    "entities": ran(entities),
    "entities_async": ran(entities_async),
    "events": Recording(play_events, "COMPLETED"),
    "failures": ran(failures, status="FAILED"),
    "falsy": Recording(play_falsy, "COMPLETED"),
    "fan_out": ran(fan_out, 5),
    "guardian": Recording(play_guardian, "COMPLETED"),
    "locked_still": Recording(play_locked_still, "RUNNING"),
    "postponed": Recording(play_postponed, "COMPLETED"),
    "patched": ran(patched),
    "patched_later": ran(patched)._replace(former=not_yet_patched),
    "retries": ran(retries),
    "rewound": Recording(play_rewound, "COMPLETED"),
    "sequence": ran(sequence, 4),
    "sequence_async": ran(sequence_async, 4),
    "suspended": Recording(play_suspended, "COMPLETED"),
    "suspended_still": Recording(play_suspended_still, "SUSPENDED"),
    "terminated": Recording(play_terminated, "TERMINATED"),
    "timers": ran(timers),
    "versioned": ran(versioned),
    "waiting": Recording(play_waiting, "RUNNING"),
}
"""By the name of the file in ``histories``."""


class EntityRecording(NamedTuple):
    """How the golden history of an entity came about.

    ``play`` returns which one to save; ``state`` is what it remembers then, ``locked_by`` who holds
    it, and ``backlog`` how many requests wait.
    """

    play: Callable[[OrchestrationTester], Awaitable[task.EntityId]]
    state: str | None
    locked_by: str | None = None
    backlog: int = 0


async def play_account(tester: OrchestrationTester) -> task.EntityId:
    await tester.run(entities)
    return task.EntityId("account", "ada")


async def play_held(tester: OrchestrationTester) -> task.EntityId:
    account = task.EntityId("account", "ada")
    await tester.client.signal_entity(account, "deposit", 7)
    await tester.start(locked_still, instance_id="holder")
    await tester.settle()
    await tester.client.signal_entity(account, "deposit", 1)
    await tester.start(entities, instance_id="other")
    return account


async def play_renewed(tester: OrchestrationTester) -> task.EntityId:
    account = task.EntityId("account", "ada")
    for amount in range(150):
        await tester.client.signal_entity(account, "deposit", amount)
        await tester.settle()
    return account


ENTITY_RECORDINGS: dict[str, EntityRecording] = {
    "account": EntityRecording(play_account, "0"),
    "held": EntityRecording(play_held, "7", "holder", 3),
    "renewed": EntityRecording(play_renewed, str(sum(range(150)))),
}
