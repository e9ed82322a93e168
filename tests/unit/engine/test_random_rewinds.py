"""**rewind** Random orchestrations that fail again and again, and are rewound until they are done.

Every call fails so many times, whoever makes it, and works then. So whatever an orchestration fails
of, rewinding it often enough must bring it to the end that it has in a world without failures, and
on the way no history may be one that its own code does not fit.
"""

import heapq
import json
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask import actions as a
from durabletask import history as h
from durabletask import task
from durabletask.engine import rewound
from durabletask.engine.open_work import open_activities, open_children, open_timers
from durabletask.state import FailureDetails

from .driver import SECOND, Run

MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Call:
    """An activity or a child that fails some times, and is tried so many times before it counts."""

    duration: int
    fails: int
    attempts: int
    child: bool


@dataclass(frozen=True)
class Step:
    """Calls side by side, and what the orchestration does with them."""

    kind: str
    calls: tuple[Call, ...]


calls = st.builds(
    Call,
    duration=st.integers(1, 9),
    fails=st.integers(0, 4),
    attempts=st.integers(1, 3),
    child=st.booleans(),
)
steps = st.builds(
    Step,
    kind=st.sampled_from(["all", "one by one", "race", "compensate", "event", "timer", "patch"]),
    calls=st.lists(calls, min_size=1, max_size=4).map(tuple),
)


def body(ctx, program):
    """Carries a program out; returns what each step came to."""
    seen = []
    for place, step in enumerate(program):
        if step.kind == "event":
            seen.append((yield ctx.wait_for_external_event(f"event {place}")))
            continue
        if step.kind == "timer":
            yield ctx.create_timer(step.calls[0].duration * MS)
            continue
        if step.kind == "patch":
            seen.append(ctx.is_patched(f"patch {place}"))
            continue
        begun = [
            begin(ctx, f"{place}.{n}", call.attempts, call.child)
            for n, call in enumerate(step.calls)
        ]
        if step.kind == "all":
            seen.append((yield task.when_all(begun)))
        elif step.kind == "race":
            winner = yield task.when_any(begun)
            seen.append((yield winner))
        elif step.kind == "one by one":
            results = []
            for one in begun:
                results.append((yield one))
            seen.append(results)
        else:
            try:
                seen.append((yield task.when_all(begun)))
            except task.TaskFailedError:
                yield begin(ctx, f"{place}.sorry", 1, False)
                raise
    return seen


def begin(ctx, name, attempts, child):
    policy = task.RetryPolicy(3 * MS, attempts) if attempts > 1 else None
    call = ctx.call_sub_orchestration if child else ctx.call_activity
    return call("work", input=name, retry_policy=policy)


class World:
    """Does what is asked for, in virtual time, and rewinds what fails."""

    def __init__(self, run, program):
        def orchestrator(ctx):
            return (yield from body(ctx, program))

        self.run = run(orchestrator)
        self.program = program
        self.left = {
            f"{place}.{n}": call.fails
            for place, step in enumerate(program)
            for n, call in enumerate(step.calls)
        }
        self.due = []
        self.count = 0
        self.rewinds = 0

    def plan(self, at, event):
        self.count += 1
        heapq.heappush(self.due, (max(at, self.run.now), self.count, event))

    def work(self, call, done, failed):
        """Plan the outcome of an attempt."""
        name = json.loads(call.input)
        place, _, number = name.partition(".")
        duration = 2 if number == "sorry" else self.program[int(place)].calls[int(number)].duration
        self.left.setdefault(name, 0)
        if self.left[name]:
            self.left[name] -= 1
            event = failed(call.task_id, FailureDetails("x.E", f"no {name}"))
        else:
            event = done(call.task_id, call.input)
        self.plan(self.run.now + duration * 1000, event)

    def react(self, actions):
        for action in actions:
            if isinstance(action, a.ScheduleTask):
                self.work(action, h.TaskCompleted, h.TaskFailed)
            elif isinstance(action, a.CreateSubOrchestration):
                self.work(
                    action,
                    h.SubOrchestrationInstanceCompleted,
                    h.SubOrchestrationInstanceFailed,
                )
            elif isinstance(action, a.CreateTimer):
                self.plan(action.fire_at, h.TimerFired(action.task_id, action.fire_at))

    def play(self):
        events = [
            h.EventRaised(f"event {place}", str(place))
            for place, step in enumerate(self.program)
            if step.kind == "event"
        ]
        actions = self.run.start(None)
        for n, event in enumerate(events):
            self.plan(self.run.now + 4000 * n, event)
        while True:
            self.react(actions)
            end = actions[-1] if actions else None
            if isinstance(end, a.CompleteOrchestration):
                if end.failure is None:
                    return self.run.output
                actions = self.rewind()
                continue
            at = self.due[0][0]
            happening = []
            while self.due and self.due[0][0] <= at:
                happening.append(heapq.heappop(self.due)[2])
            actions = self.run.turn(*happening, seconds=(at - self.run.now) / SECOND)

    def rewind(self):
        """What a store does with the outcome of the pure function, and a worker afterwards."""
        self.rewinds += 1
        news = h.ExecutionRewound(f"execution-{self.rewinds}")
        after = rewound(self.run.history, news)
        raised = [event for _, _, event in self.due if isinstance(event, h.EventRaised)]
        self.due = []
        for event in raised:
            self.plan(self.run.now, event)
        self.run.history = [event for turn in after.turns for event in turn]
        known = [*self.run.history, *after.received]
        for call in open_activities(known).values():
            self.work(call, h.TaskCompleted, h.TaskFailed)
        for call in open_children(known).values():
            self.work(call, h.SubOrchestrationInstanceCompleted, h.SubOrchestrationInstanceFailed)
        for timer in open_timers(known).values():
            self.plan(timer.fire_at, timer)
        self.run.session.dispose()
        self.run.session = self.run.new_session()
        if self.run.history:
            self.run.session.replay(self.run.history)
        return self.run.turn(*after.received)


@pytest.mark.parametrize("replayed", [False, True], ids=["sticky", "replayed"])
@given(program=st.lists(steps, min_size=1, max_size=5).map(tuple))
def test_it_comes_to_its_end(replayed, program):
    """As in a world without failures; and each rewind has used up a failure, so there is an end."""

    def run(function):
        return Run(function, replayed=replayed)

    failures = sum(call.fails for step in program for call in step.calls)
    world = World(run, program)
    seen = iter(world.play())
    for place, step in enumerate(program):
        names = [f"{place}.{n}" for n in range(len(step.calls))]
        if step.kind == "event":
            assert next(seen) == place
        elif step.kind == "race":
            assert next(seen) in names
        elif step.kind == "patch":
            assert next(seen) is True
        elif step.kind != "timer":
            assert next(seen) == names
    assert world.rewinds <= failures
    world.run.replay()
