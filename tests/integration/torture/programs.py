"""What is tortured: small orchestrations of every kind whose results are known beforehand."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from durabletask import task

from .ledger import Ledger, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from durabletask.worker import TaskHubWorker

_ledger: list[Ledger] = []


def note(ctx: task.ActivityContext, input: Any) -> None:
    """Write down that an activity has begun."""
    text = msgspec.json.encode(input).decode()
    instance_id, execution_id, _ = ctx.idempotency_key.rsplit(":", 2)
    _ledger[0].note(Run(instance_id, execution_id, ctx.task_id, ctx.name, text))


# --- activities: each adds one -----------------------------------------------------------------


@task.activity
async def step(ctx: task.ActivityContext, number: int) -> int:
    note(ctx, number)
    await asyncio.sleep(random.uniform(0.01, 0.2))
    return number + 1


@task.activity
def step_in_thread(ctx: task.ActivityContext, number: int) -> int:
    note(ctx, number)
    time.sleep(random.uniform(0, 0.005))
    return number + 1


@task.activity
async def stamp(ctx: task.ActivityContext, stamped: list[int]) -> int:
    note(ctx, stamped)
    await asyncio.sleep(random.uniform(0.0, 0.05))
    return stamped[0] + 1


@task.activity
async def fail(ctx: task.ActivityContext, number: int) -> int:
    note(ctx, number)
    raise ValueError("as intended")


# --- orchestrators -----------------------------------------------------------------------------


@task.orchestration
def sequence(ctx: task.OrchestrationContext, number: int) -> Any:
    for turn in range(8 + number % 25):
        activity = step_in_thread if turn % 4 == 3 else step
        number = yield ctx.call_activity(activity, input=number)
    return number


@task.orchestration
async def fan_out(ctx: task.OrchestrationContext, number: int) -> int:
    for _ in range(3):
        calls = [ctx.call_activity(step, input=number + n) for n in range(8)]
        number = max(await task.when_all(calls))
    return number


@task.orchestration
def timers(ctx: task.OrchestrationContext, number: int) -> Any:
    for turn in range(10):
        yield ctx.create_timer(timedelta(milliseconds=100 * (turn % 4)))
        number = yield ctx.call_activity(step, input=number)
    return number


@task.orchestration
def family(ctx: task.OrchestrationContext, number: int) -> Any:
    for _ in range(3):
        calls = [ctx.call_sub_orchestration(child, input=number + n) for n in range(3)]
        number = max((yield task.when_all(calls)))
    return number


@task.orchestration
def child(ctx: task.OrchestrationContext, number: int) -> Any:
    number = yield ctx.call_activity(step, input=number)
    return (yield ctx.call_activity(step, input=number))


@task.orchestration
async def events(ctx: task.OrchestrationContext, number: int) -> list[int]:
    seen = []
    for name in ("first", "second", "first"):
        seen.append(await ctx.wait_for_external_event(name))
        seen.append(await ctx.call_activity(step, input=number))
    return seen


@task.orchestration
async def account(ctx: task.OrchestrationContext, number: int) -> list[int]:
    # Events keep coming, so one that comes twice, however late, is counted twice.
    entries: list[int] = []
    close = ctx.wait_for_external_event("close")
    while True:
        entry = ctx.wait_for_external_event("entry")
        if await task.when_any([entry, close]) is close:
            return entries
        entries.append(entry.get_result())


@task.orchestration
def rounds(ctx: task.OrchestrationContext, number: int) -> Any:
    number = yield ctx.call_activity(step, input=number)
    yield ctx.create_timer(timedelta(milliseconds=100))
    if number % ROUNDS:
        ctx.continue_as_new(number)
    return number


@task.orchestration
def race(ctx: task.OrchestrationContext, number: int) -> Any:
    for _ in range(6):
        call = ctx.call_activity(step, input=number)
        timer = ctx.create_timer(timedelta(milliseconds=100))
        winner = yield task.when_any([timer, call])
        if winner is timer:
            yield call
        number = call.get_result()
    return number


@task.orchestration
def stamped(ctx: task.OrchestrationContext, number: int) -> Any:
    # A turn that was lost and is made again has another clock, so its calls have other inputs: an
    # activity that began before its turn was durable stands out in the ledger.
    for _ in range(20):
        now = ctx.current_utc_datetime.timestamp()
        number = yield ctx.call_activity(stamp, input=[number, int(now * 1e6)])
    return number


@task.orchestration
async def failing(ctx: task.OrchestrationContext, number: int) -> int:
    for _ in range(6):
        try:
            await ctx.call_activity(fail, input=number)
        except task.TaskFailedError:
            number = await ctx.call_activity(step, input=number)
    return number


# --- entities ----------------------------------------------------------------------------------


@task.entity
class Tally(task.DurableEntity):
    def add(self, amount: int) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total

    async def add_slowly(self, amount: int) -> int:
        total = self.get_state(int, 0)
        await asyncio.sleep(random.uniform(0.0, 0.02))
        self.set_state(total + amount)
        return total + amount


@task.orchestration
async def tally(ctx: task.OrchestrationContext, number: int) -> list[int]:
    # Nobody else knows this one, so an operation that is lost or counted twice shows in the totals.
    own = task.EntityId("tally", ctx.instance_id)
    totals = []
    for turn in range(ADDITIONS):
        ctx.signal_entity(own, "add", 100)
        calls = [ctx.call_entity(own, how, 1) for how in ("add", "add_slowly")]
        totals += await task.when_all(calls)
        if turn % 4 == 3:
            await ctx.call_activity(step, input=number)
    return totals


@task.orchestration
def transfer(ctx: task.OrchestrationContext, number: int) -> Any:
    # Terminated in the middle it leaves half a transfer behind, but never a lock.
    pair = [task.EntityId("tally", f"shared-{(number + n) % 5}") for n in (0, 1 + number % 3)]
    for _ in range(3):
        with (yield ctx.lock_entities(pair)):
            before = yield task.when_all([ctx.call_entity(one, "add", 0) for one in pair])
            yield ctx.call_entity(pair[0], "add_slowly", -number)
            yield ctx.call_entity(pair[1], "add", number)
            after = yield task.when_all([ctx.call_entity(one, "add", 0) for one in pair])
        if after != [before[0] - number, before[1] + number]:
            return [before, after]
    return number


ROUNDS = 8
ENTRIES = 6
ADDITIONS = 8


class Program(NamedTuple):
    """What instances of one kind do.

    Attributes:
        result: for every number.
        events: that its instances are sent, each after the one before was accepted.
        pause: between two events, in seconds.
    """

    orchestrator: Callable[..., Any]
    result: Callable[[int], Any]
    events: tuple[tuple[str, int], ...] = ()
    pause: float = 0.0


PROGRAMS = [
    Program(sequence, lambda n: n + 8 + n % 25),
    Program(fan_out, lambda n: n + 24),
    Program(timers, lambda n: n + 10),
    Program(family, lambda n: n + 12),
    Program(
        events,
        lambda n: [1, n + 1, 2, n + 1, 3, n + 1],
        (("first", 1), ("second", 2), ("first", 3)),
    ),
    Program(
        account,
        lambda n: [*range(ENTRIES)],
        (*(("entry", entry) for entry in range(ENTRIES)), ("close", 0)),
        pause=0.4,
    ),
    Program(rounds, lambda n: n + ROUNDS - n % ROUNDS),
    Program(race, lambda n: n + 6),
    Program(failing, lambda n: n + 6),
    Program(stamped, lambda n: n + 20),
    Program(
        tally,
        lambda n: [
            total for turn in range(ADDITIONS) for total in (102 * turn + 101, 102 * turn + 102)
        ],
    ),
    Program(transfer, lambda n: n),
]


def program_of(number: int) -> Program:
    """The program of instance ``number``; its input is the number."""
    return PROGRAMS[number % len(PROGRAMS)]


def is_result(number: int, result: Any, repeated: set[int]) -> bool:
    """Whether instance ``number`` may have this result.

    Args:
        repeated: places of the events that may have arrived twice.
    """
    program = program_of(number)
    if program.orchestrator is account:
        entries = Counter(result)
        often = {entry for entry, times in entries.items() if times > 1}
        # Whatever was sent again came after what was sent before.
        return sorted(entries) == [*entries] == program.result(number) and often <= repeated
    if program.orchestrator is events and 0 in repeated:
        # The third wait, for an event of the same name, may have got the second copy.
        return result in ([1, number + 1, 2, number + 1, n, number + 1] for n in (1, 3))
    return result == program.result(number)


def register(worker: TaskHubWorker, ledger: Path) -> None:
    """Have a worker run all of this, and its runs noted in ``ledger``."""
    _ledger[:] = [Ledger(ledger)]
    for program in PROGRAMS:
        worker.add_orchestration(program.orchestrator)
    worker.add_orchestration(child)
    for activity in (step, step_in_thread, stamp, fail):
        worker.add_activity(activity)
    worker.add_entity(Tally)
