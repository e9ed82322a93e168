"""Random orchestrations, said three times: as data, as an orchestrator, and as plain Python.

Programs run in real time on real backends, so nothing in them depends on who is quicker: a race
has one operation that ends and others that never do, and events of one name are counted.
"""

from collections import Counter
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

from msgspec import Struct

from durabletask import task

MILLISECOND = timedelta(milliseconds=1)
NEVER = timedelta(days=400)


class Failure(Exception):
    """What a program raises when an operation fails and it does not care."""


# --- as data -----------------------------------------------------------------------------------


class Activity(Struct, frozen=True, tag=True):
    """An activity, of one kind or another, that fails some times and may be retried."""

    name: str
    value: int
    fails: int
    attempts: int


class Sleep(Struct, frozen=True, tag=True):
    """A short timer."""

    milliseconds: int


class Receive(Struct, frozen=True, tag=True):
    """The next event of a name; it comes."""

    name: str


class Miss(Struct, frozen=True, tag=True):
    """A wait for an event that does not come in time."""


class Child(Struct, frozen=True, tag=True):
    """A sub-orchestration."""

    steps: "list[Step]"
    attempts: int


Operation = Activity | Sleep | Receive | Miss | Child


class One(Struct, frozen=True, tag=True):
    """Wait for one operation; pass its failure on, or not."""

    operation: Operation
    careful: bool


class All(Struct, frozen=True, tag=True):
    """Wait for several operations, then look at each."""

    operations: list[Operation]


class Race(Struct, frozen=True, tag=True):
    """Race one operation against some that never end; cancel those, or let them be."""

    operation: Operation
    before: int
    after: int
    cancel: bool


class Publish(Struct, frozen=True, tag=True):
    """Set the custom status."""

    value: int


Step = One | All | Race | Publish


class Program(Struct, frozen=True):
    """Steps, and how many executions run them, one after the other by continue_as_new."""

    steps: list[Step]
    rounds: int = 1


class State(Struct):
    """The input of an execution: which round it is, and what has happened so far."""

    program: Program
    round: int
    log: list[Any]


# --- as an orchestrator ------------------------------------------------------------------------


def begin(ctx: task.OrchestrationContext, operation: Operation) -> task.Task[Any]:
    """Begin an operation."""
    match operation:
        case Activity(name, value, fails, attempts):
            return ctx.call_activity(name, input=[value, fails], retry_policy=policy(attempts))
        case Sleep(milliseconds):
            return ctx.create_timer(milliseconds * MILLISECOND)
        case Receive(name):
            return ctx.wait_for_external_event(name)
        case Miss():
            return ctx.wait_for_external_event("nothing", timeout=MILLISECOND)
        case Child(steps, attempts):
            start = State(Program(steps), 1, [])
            return ctx.call_sub_orchestration(ctx.name, input=start, retry_policy=policy(attempts))


def policy(attempts: int) -> task.RetryPolicy | None:
    """A policy for so many attempts."""
    return task.RetryPolicy(MILLISECOND, attempts) if attempts > 1 else None


def outcome(waited: task.Task[Any]) -> Generator[task.Task[Any], Any, tuple[bool, Any]]:
    """Wait for a task and say whether it succeeded, and its value or message."""
    try:
        return True, (yield waited)
    except task.TaskFailedError as error:
        return False, error.details.message
    except TimeoutError:
        return False, "timeout"


def run_step(
    ctx: task.OrchestrationContext, step: Step
) -> Generator[task.Task[Any], Any, list[Any]]:
    """Run one step; what it adds to the log."""
    match step:
        case One(operation, careful):
            good, value = yield from outcome(begin(ctx, operation))
            if not good and not careful:
                raise Failure(value) from None
            return [good, value]
        case All(operations):
            begun = [begin(ctx, operation) for operation in operations]
            good, seen = yield from outcome(task.when_all(begun))
            each = []
            for one in begun:
                each.append((yield from outcome(one)))
            failures = [value for succeeded, value in each if not succeeded]
            # Which of several failures is first depends on who is quicker; that it is one, not.
            assert (seen == [value for _, value in each]) if good else (seen in failures)
            return [good, [list(one) for one in each]]
        case Race(operation, before, after, cancel):
            losers: list[Any] = [ctx.create_timer(NEVER) for _ in range(before)]
            begun = begin(ctx, operation)
            losers += [ctx.wait_for_external_event("nothing") for _ in range(after)]
            winner = yield task.when_any([*losers[:before], begun, *losers[before:]])
            assert winner is begun
            for loser in losers if cancel else ():
                assert loser.cancel()
            return list((yield from outcome(winner)))
        case Publish(value):
            ctx.set_custom_status(value)
            return []


def generator(
    ctx: task.OrchestrationContext, state: State
) -> Generator[task.Task[Any], Any, list[Any]]:
    """Runs programs as a generator."""
    for step in state.program.steps:
        state.log += yield from run_step(ctx, step)
    if state.round < state.program.rounds:
        state.round += 1
        ctx.continue_as_new(state, save_events=True)
    return state.log


async def coroutine(ctx: task.OrchestrationContext, state: State) -> list[Any]:
    """Runs programs as a coroutine: awaits whatever the generator yields."""
    steps = generator(ctx, state)
    resume: Callable[[Any], task.Task[Any]] = steps.send
    answer: Any = None
    try:
        while True:
            waited = resume(answer)
            try:
                resume, answer = steps.send, await waited
            except Exception as error:
                resume, answer = steps.throw, error
    except StopIteration as stop:
        log: list[Any] = stop.value
        return log


_attempts: Counter[str] = Counter()


def attempt(ctx: task.ActivityContext, value: int, fails: int) -> int:
    """Fail as often as the program says, then succeed."""
    _attempts[ctx.idempotency_key] += 1
    if _attempts[ctx.idempotency_key] <= fails:
        raise Failure(f"failure {value}")
    return value


@task.activity
def in_thread(ctx: task.ActivityContext, data: tuple[int, int]) -> int:
    """An activity in a thread."""
    return attempt(ctx, *data)


@task.activity(inline=True)
def in_line(ctx: task.ActivityContext, data: tuple[int, int]) -> int:
    """An activity on the worker's loop."""
    return attempt(ctx, *data)


@task.activity
async def in_loop(ctx: task.ActivityContext, data: tuple[int, int]) -> int:
    """An async activity."""
    return attempt(ctx, *data)


ORCHESTRATORS = (generator, coroutine)
ACTIVITIES = (in_thread, in_line, in_loop)


# --- as plain Python ---------------------------------------------------------------------------


class Interpreter:
    """Runs a program in a loop, without any engine.

    Attributes:
        log: what the program logs.
        status: its last custom status; continue_as_new clears it.
        failure: the message of the failure that ends it, or None.
        received: the events it takes, by name; their values count from 0.
    """

    def __init__(self, program: Program) -> None:
        self.log: list[Any] = []
        self.status: int | None = None
        self.failure: str | None = None
        self.received: Counter[str] = Counter()
        try:
            for _ in range(program.rounds):
                self.status = None
                for step in program.steps:
                    self.log += self.step(step)
        except Failure as error:
            self.failure = str(error)

    def step(self, step: Step) -> list[Any]:
        """What a step adds to the log."""
        match step:
            case One(operation, careful):
                good, value = self.outcome(operation)
                if not good and not careful:
                    raise Failure(value)
                return [good, value]
            case All(operations):
                each = [self.outcome(operation) for operation in operations]
                return [all(good for good, _ in each), [list(one) for one in each]]
            case Race(operation):
                return list(self.outcome(operation))
            case Publish(value):
                self.status = value
                return []

    def outcome(self, operation: Operation) -> tuple[bool, Any]:
        """Whether an operation succeeds, and its value or message."""
        match operation:
            case Activity(_, value, fails, attempts):
                return (True, value) if fails < attempts else (False, f"failure {value}")
            case Sleep():
                return True, None
            case Receive(name):
                self.received[name] += 1
                return True, self.received[name] - 1
            case Miss():
                return False, "timeout"
            case Child(steps):
                child = Interpreter(Program(steps))
                return (True, child.log) if child.failure is None else (False, child.failure)
