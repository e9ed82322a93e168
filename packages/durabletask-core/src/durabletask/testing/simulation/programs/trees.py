"""Random orchestrations, said three times: as data, as an orchestrator, and as plain Python.

Nothing in them depends on who is quicker: a race has one operation that ends and others that
never do. So the plain interpreter says what has to come out, whatever goes wrong on the way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from durabletask import task
from durabletask.testing.simulation.program import Program

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator, Iterable, Mapping

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState

__all__ = ["Trees"]

_NEVER = timedelta(days=400)
_KINDS = ("in_loop", "in_line", "in_thread", "flaky")


class Call(Struct, frozen=True, tag=True):
    """An activity that gives its value back, or fails however often it is tried."""

    kind: str
    value: int
    fails: bool
    attempts: int


class Sleep(Struct, frozen=True, tag=True):
    """A timer."""

    milliseconds: int


class Receive(Struct, frozen=True, tag=True):
    """The next event of a name; it comes."""

    name: str


class Miss(Struct, frozen=True, tag=True):
    """A wait for an event that does not come in time."""


class Ask(Struct, frozen=True, tag=True):
    """An operation of an entity that gives its value back, or fails."""

    box: int
    value: int
    fails: bool


class Child(Struct, frozen=True, tag=True):
    """A sub-orchestration."""

    steps: list[Step]
    attempts: int


Operation = Call | Sleep | Receive | Miss | Ask | Child


class One(Struct, frozen=True, tag=True):
    """Wait for one operation; let its failure pass, or not."""

    operation: Operation
    careful: bool


class All(Struct, frozen=True, tag=True):
    """Wait for several operations, then look at each."""

    operations: list[Operation]


class Race(Struct, frozen=True, tag=True):
    """Race one operation against some that never end; cancel those, or let them be."""

    operation: Operation
    others: int
    cancel: bool


class Section(Struct, frozen=True, tag=True):
    """Lock some boxes and ask each of them."""

    asks: list[Ask]


class Publish(Struct, frozen=True, tag=True):
    """Set the custom status."""

    value: int


class Forget(Struct, frozen=True, tag=True):
    """Begin an activity and never look what becomes of it."""

    call: Call


Step = One | All | Race | Section | Publish | Forget


class Tree(Struct):
    """The input of an execution: what is to be done, and what has happened so far."""

    steps: list[Step]
    rounds: int = 1
    log: list[Any] = []


class Failed(Exception):
    """An operation failed, and the tree did not care for it."""


# --- as data -----------------------------------------------------------------------------------


class Grower:
    """Makes random trees."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def tree(self) -> Tree:
        """A tree, of one execution or several."""
        return Tree(self._steps(4, depth=2), self._chance.choice((1, 1, 2, 3)))

    def _steps(self, most: int, *, depth: int) -> list[Step]:
        return [self._step(depth) for _ in range(self._chance.randint(1, most))]

    def _step(self, depth: int) -> Step:
        chance = self._chance
        kind = chance.choice((One, One, One, All, All, Race, Race, Section, Publish, Forget))
        if kind is One:
            return One(self._operation(depth), chance.random() < 0.9)
        if kind is All:
            return All([self._operation(depth) for _ in range(chance.randrange(5))])
        if kind is Race:
            return Race(self._operation(depth), chance.randrange(3), chance.random() < 0.5)
        if kind is Section:
            return Section([self._ask(box) for box in range(3) if chance.random() < 0.6])
        if kind is Forget:
            return Forget(Call(chance.choice(_KINDS[:3]), 0, chance.random() < 0.5, 1))
        return Publish(chance.randrange(10))

    def _operation(self, depth: int) -> Operation:
        chance = self._chance
        kind = chance.choice((Call, Call, Call, Sleep, Miss, Receive, Ask, Child))
        if kind is Child and depth:
            return Child(self._steps(2, depth=depth - 1), chance.choice((1, 1, 2)))
        if kind is Ask:
            return self._ask(chance.randrange(3))
        if kind is Sleep:
            return Sleep(chance.choice((0, 1, 50, 700)))
        if kind is Miss:
            return Miss()
        if kind is Receive and depth == 2:
            return Receive(chance.choice("ab"))
        fails = chance.random() < 0.15
        name = chance.choice(_KINDS[:3] if fails else _KINDS)
        return Call(name, chance.randrange(100), fails, chance.choice((1, 1, 3)))

    def _ask(self, box: int) -> Ask:
        return Ask(box, self._chance.randrange(100), self._chance.random() < 0.15)


# --- as an orchestrator ------------------------------------------------------------------------


def _begin(ctx: task.OrchestrationContext, operation: Operation) -> task.Task[Any]:
    match operation:
        case Call(kind, value, fails, attempts):
            policy = None if kind == "flaky" else _policy(attempts)
            if kind == "flaky":
                policy = task.RetryPolicy(timedelta(milliseconds=20), None)
            return ctx.call_activity(kind, input=(value, fails), retry_policy=policy)
        case Sleep(milliseconds):
            return ctx.create_timer(timedelta(milliseconds=milliseconds))
        case Receive(name):
            return ctx.wait_for_external_event(name)
        case Miss():
            return ctx.wait_for_external_event("nothing", timeout=timedelta(milliseconds=30))
        case Ask(box, value, fails):
            return ctx.call_entity(_box(box), "show", (value, fails))
        case Child(steps, attempts):
            return ctx.call_sub_orchestration(
                ctx.name, input=Tree(steps), retry_policy=_policy(attempts)
            )


def _box(number: int) -> task.EntityId:
    return task.EntityId("box", str(number))


def _policy(attempts: int) -> task.RetryPolicy | None:
    return task.RetryPolicy(timedelta(milliseconds=50), attempts) if attempts > 1 else None


def _outcome(waited: task.Task[Any]) -> Generator[task.Task[Any], Any, tuple[bool, Any]]:
    try:
        return True, (yield waited)
    except task.TaskFailedError as error:
        return False, error.details.message
    except TimeoutError:
        return False, "timeout"


def _run_step(ctx: task.OrchestrationContext, step: Step) -> Generator[Any, Any, list[Any]]:
    match step:
        case One(operation, careful):
            good, value = yield from _outcome(_begin(ctx, operation))
            if not good and not careful:
                raise Failed(value) from None
            return [good, value]
        case All(operations):
            begun = [_begin(ctx, operation) for operation in operations]
            good, _ = yield from _outcome(task.when_all(begun))
            each = []
            for one in begun:
                each.append([*(yield from _outcome(one))])
            return [good, each]
        case Race(operation, others, cancel):
            losers: list[Any] = [ctx.create_timer(_NEVER) for _ in range(others)]
            begun_one = _begin(ctx, operation)
            losers.append(ctx.wait_for_external_event("nothing"))
            winner = yield task.when_any([*losers, begun_one])
            if cancel:
                for loser in losers:
                    loser.cancel()
            return [*(yield from _outcome(winner))]
        case Section(asks):
            if not asks:
                return []
            with (yield ctx.lock_entities([_box(ask.box) for ask in asks])):
                shown = []
                for ask in asks:
                    shown.append([*(yield from _outcome(_begin(ctx, ask)))])
            return shown
        case Publish(value):
            ctx.set_custom_status(value)
            return []
        case Forget(call):
            _begin(ctx, call)
            return []


@task.orchestration
def generator(ctx: task.OrchestrationContext, tree: Tree) -> Any:
    """Runs trees as a generator."""
    for step in tree.steps:
        tree.log += yield from _run_step(ctx, step)
    if tree.rounds > 1:
        tree.rounds -= 1
        ctx.continue_as_new(tree, save_events=True)
    return tree.log


@task.orchestration
async def coroutine(ctx: task.OrchestrationContext, tree: Tree) -> Any:
    """Runs trees as a coroutine: awaits whatever the generator yields."""
    steps = generator(ctx, tree)
    resume: Callable[[Any], task.Task[Any]] = steps.send
    answer: Any = None
    while True:
        try:
            waited = resume(answer)
        except StopIteration as stop:
            return stop.value
        try:
            resume, answer = steps.send, await waited
        except Exception as error:
            resume, answer = steps.throw, error


@task.orchestration
def sender(ctx: task.OrchestrationContext, what: tuple[str, list[tuple[str, int]]]) -> Any:
    """Send a tree its events. A client might have to send some twice, not knowing; this never."""
    target, events = what
    for event, number in events:
        for data in range(number):
            ctx.send_event(target, event.swapcase(), data=data)
            yield ctx.create_timer(timedelta(milliseconds=data * 300))


# --- as plain Python ---------------------------------------------------------------------------


class Interpreter:
    """Runs a tree in a loop, without any engine.

    Attributes:
        log: what it logs.
        status: its last custom status.
        failure: what ends it, or None.
        received: the events it takes, by name; their data count from 0.
    """

    def __init__(self, tree: Tree) -> None:
        self.log: list[Any] = []
        self.status: int | None = None
        self.failure: str | None = None
        self.received: Counter[str] = Counter()
        try:
            for _ in range(tree.rounds):
                self.status = None
                for step in tree.steps:
                    self.log += self._step(step)
        except Failed as error:
            self.failure = str(error)

    def _step(self, step: Step) -> list[Any]:
        match step:
            case One(operation, careful):
                good, value = self._outcome(operation)
                if not good and not careful:
                    raise Failed(value)
                return [good, value]
            case All(operations):
                each = [[*self._outcome(operation)] for operation in operations]
                return [all(good for good, _ in each), each]
            case Race(operation):
                return [*self._outcome(operation)]
            case Section(asks):
                return [[*self._outcome(ask)] for ask in asks]
            case Publish(value):
                self.status = value
                return []
            case Forget():
                return []

    def _outcome(self, operation: Operation) -> tuple[bool, Any]:
        match operation:
            case Call(_, value, fails) | Ask(_, value, fails):
                return (False, f"failure {value}") if fails else (True, value)
            case Sleep():
                return True, None
            case Receive(name):
                self.received[name] += 1
                return True, self.received[name] - 1
            case Miss():
                return False, "timeout"
            case Child(steps):
                child = Interpreter(Tree(steps))
                return (True, child.log) if child.failure is None else (False, child.failure)


# --- as a program ------------------------------------------------------------------------------


class Trees(Program):
    """Some trees at once, each with the events it takes."""

    orchestrations = (generator, coroutine, sender)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.in_loop, in_line, self.in_thread, self.flaky)
        self.entities = (self.box,)
        grower = Grower(chance)
        self.trees = {f"tree-{n}": grower.tree() for n in range(chance.choice((1, 1, 2, 3)))}

    async def in_loop(self, ctx: task.ActivityContext, call: tuple[int, bool]) -> int:
        """An async activity that takes a while."""
        await asyncio.sleep(self.chance.choice((0.0, 0.001, 0.2, 3.0)))
        return _value(call)

    def in_thread(self, ctx: task.ActivityContext, call: tuple[int, bool]) -> int:
        """An activity in a thread."""
        return _value(call)

    async def box(self, ctx: task.EntityContext, call: tuple[int, bool]) -> int:
        """An entity that everybody asks, and that takes its time now and then."""
        ctx.set_state(ctx.get_state(int, 0) + 1)
        if self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.choice((0.0, 0.01, 0.5)))
        return _value(call)

    def flaky(self, ctx: task.ActivityContext, call: tuple[int, bool]) -> int:
        """An activity that fails now and then."""
        if self.chance.random() < 0.4:
            raise ConnectionError("try again")
        return _value(call)

    async def play(self, client: TaskHubClient) -> None:
        await asyncio.gather(*(self._one(client, name) for name in self.trees))

    async def _one(self, client: TaskHubClient, name: str) -> None:
        tree = self.trees[name]
        await asyncio.sleep(self.chance.choice((0.0, 0.0, 1.0)))
        await client.schedule_new_orchestration(
            self.chance.choice((generator, coroutine)), input=tree, instance_id=name
        )
        events = [*Interpreter(tree).received.items()]
        await client.schedule_new_orchestration(
            sender, input=(name, events), instance_id=f"{name}-events"
        )
        await client.wait_for_orchestration_completion(name)

    async def assist(self, client: TaskHubClient) -> None:
        tree = Tree([One(Call("in_loop", 1, False, 1), True), One(Sleep(50), True)])
        started = await client.schedule_new_orchestration(generator, input=tree)
        await client.wait_for_orchestration_completion(started, timeout=20)

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for name, tree in self.trees.items():
            state, wanted = states[name], Interpreter(tree)
            failure = state.failure_details.message if state.failure_details else None
            if (failure, state.custom_status) != (wanted.failure, wanted.status):
                yield f"{name} ends with {failure!r} and {state.custom_status}, not as {wanted}"
            if wanted.failure is None and state.result != wanted.log:
                yield f"{name} logs {state.result} instead of {wanted.log}"


@task.activity(inline=True)
def in_line(ctx: task.ActivityContext, call: tuple[int, bool]) -> int:
    """An activity on the worker's loop."""
    return _value(call)


def _value(call: tuple[int, bool]) -> int:
    value, fails = call
    if fails:
        raise ValueError(f"failure {value}")
    return value
