"""Random orchestrations, said three times: as data, as an orchestrator, and as plain arithmetic.

A program is a list of steps, run for several rounds that follow each other by continue_as_new.
Time is virtual. Every operation takes the time that the data says, so what the orchestration has to
come to, and when, can be worked out without any engine: :func:`expected` does.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask import task

# Steps of an operation end at odd microseconds of their own, so that ties are rare.
Outcome = tuple[int, bool, Any]
"""When an operation ends, whether it succeeds, and its value or failure."""


class Tie(Exception):
    """Two things end at the same time, and which is first depends on more than this model."""


@dataclass(frozen=True)
class Call:
    """An activity or a child that fails some times and may be retried."""

    duration: int
    value: int
    fails: int = 0
    attempts: int = 1
    interval: int = 0
    child: bool = False

    def begin(self, ctx: task.OrchestrationContext) -> task.Task[Any]:
        policy = None
        if self.attempts > 1:
            policy = task.RetryPolicy(timedelta(microseconds=self.interval), self.attempts, 2)
        call: Any = ctx.call_sub_orchestration if self.child else ctx.call_activity
        data = [self.duration, self.value, self.fails]
        begun: task.Task[Any] = call("work", input=data, retry_policy=policy)
        return begun

    def outcome(self, now: int) -> Outcome:
        for attempt in range(1, self.attempts + 1):
            now += self.duration
            if attempt > self.fails:
                return now, True, self.value
            if attempt < self.attempts:
                now += self.interval * 2 ** (attempt - 1)
        return now, False, f"failure {self.value}"


@dataclass(frozen=True)
class Timer:
    """A timer."""

    duration: int

    def begin(self, ctx: task.OrchestrationContext) -> task.Task[Any]:
        return ctx.create_timer(timedelta(microseconds=self.duration))

    def outcome(self, now: int) -> Outcome:
        return now + self.duration, True, None


Operation = Call | Timer


@dataclass(frozen=True)
class One:
    """Wait for one operation."""

    operation: Operation


@dataclass(frozen=True)
class All:
    """Wait for all operations."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Any_:
    """Race operations; the losers run on."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Wait:
    """Wait for an event, perhaps not for ever."""

    name: str
    timeout: int | None


@dataclass(frozen=True)
class Send:
    """Send an event and publish a status."""

    value: int


@dataclass(frozen=True)
class Patch:
    """Ask for a patch; the code was never without the question."""

    name: str


Step = One | All | Any_ | Wait | Send | Patch


@dataclass(frozen=True)
class Program:
    """Steps, how often to run them, and the events that come at given times."""

    steps: tuple[Step, ...]
    rounds: int
    save_events: bool
    events: tuple[tuple[int, str, int], ...]


# --- as an orchestrator ------------------------------------------------------------------------


def clock(ctx: task.OrchestrationContext) -> int:
    """The orchestration's clock in microseconds."""
    instant = ctx.current_utc_datetime
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond


def body(
    program: Program, ctx: task.OrchestrationContext, state: list[Any]
) -> Generator[task.Task[Any], Any, Any]:
    """Run the steps of one round."""
    round_, log = state
    for step in program.steps:
        try:
            match step:
                case One(operation):
                    log.append((yield operation.begin(ctx)))
                case All(operations):
                    log.append((yield task.when_all([o.begin(ctx) for o in operations])))
                case Any_(operations):
                    begun = [o.begin(ctx) for o in operations]
                    winner = yield task.when_any(begun)
                    log.append(begun.index(winner))
                    log.append((yield winner))
                case Wait(name, timeout):
                    limit = None if timeout is None else timedelta(microseconds=timeout)
                    log.append((yield ctx.wait_for_external_event(name, timeout=limit)))
                case Send(value):
                    ctx.send_event("other", "news", data=value)
                    ctx.set_custom_status(value)
                case Patch(name):
                    log.append(ctx.is_patched(name))
        except task.TaskFailedError as error:
            log.append(error.details.message)
        except TimeoutError:
            log.append("timeout")
        log.append(clock(ctx))
    if round_ < program.rounds:
        ctx.continue_as_new([round_ + 1, log], save_events=program.save_events)
    return log


# --- as plain arithmetic -----------------------------------------------------------------------


def distinct(times: list[int]) -> None:
    """Refuse programs whose outcome depends on the order of what happens at one time."""
    if len(set(times)) < len(times):
        raise Tie


class Model:
    """Works a program out on paper."""

    def __init__(self, program: Program, now: int) -> None:
        self.program = program
        self.now = now
        self.log: list[Any] = []
        self.inbox = sorted(program.events, key=lambda event: event[0])

    def run(self) -> list[Any]:
        for round_ in range(1, self.program.rounds + 1):
            for step in self.program.steps:
                self.step(step)
                self.log.append(self.now)
            if round_ < self.program.rounds and not self.program.save_events:
                self.inbox = [event for event in self.inbox if event[0] > self.now]
        return self.log

    def step(self, step: Step) -> None:
        match step:
            case One(operation):
                self.now, _, value = operation.outcome(self.now)
                self.log.append(value)
            case All(operations):
                outcomes = [o.outcome(self.now) for o in operations]
                failures = sorted((end, value) for end, good, value in outcomes if not good)
                distinct([end for end, _ in failures])
                self.now = max([self.now, *(end for end, _, _ in outcomes)])
                values = [value for _, _, value in outcomes]
                self.log.append(failures[0][1] if failures else values)
            case Any_(operations):
                outcomes = [o.outcome(self.now) for o in operations]
                distinct([end for end, _, _ in outcomes])
                first = min(range(len(outcomes)), key=lambda n: outcomes[n][0])
                self.now, _, value = outcomes[first]
                self.log += [first, value]
            case Wait(name, timeout):
                self.wait(name, timeout)
            case Patch():
                self.log.append(True)

    def wait(self, name: str, timeout: int | None) -> None:
        limit = None if timeout is None else self.now + timeout
        for event in self.inbox:
            if event[1].casefold() == name.casefold():
                if limit is not None and event[0] > max(limit, self.now):
                    break
                self.inbox.remove(event)
                self.now = max(self.now, event[0])
                self.log.append(event[2])
                return
        if limit is None:
            raise Tie  # it would wait for ever
        self.now = limit
        self.log.append("timeout")


def expected(program: Program, now: int) -> list[Any]:
    """What the program logs when its first turn begins at ``now``.

    Raises:
        Tie: the program cannot be worked out this way.
    """
    return Model(program, now).run()
