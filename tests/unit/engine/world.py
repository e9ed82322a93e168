"""A world with virtual time around one orchestration: it does what the actions ask for."""

import heapq
import json
from collections.abc import Callable
from typing import Any

from durabletask import actions as a
from durabletask import history as h
from durabletask.state import FailureDetails

from .driver import SECOND, Run


class World:
    """Runs an orchestration to its end, one turn for each time at which something happens.

    Attributes:
        turns: the history of each execution, all of them.
    """

    def __init__(self, run: Run, events: tuple[tuple[int, str, int], ...]) -> None:
        self.run = run
        self.due: list[tuple[int, int, int, h.HistoryEvent]] = []
        self.count = 0
        self.attempts: dict[tuple[int, int], int] = {}
        self.histories: list[list[h.HistoryEvent]] = []
        for at, name, value in events:
            self.plan(at, h.EventRaised(name, json.dumps(value)), generation=0)

    def plan(self, at: int, event: h.HistoryEvent, generation: int | None = None) -> None:
        """Let something happen; what an execution asked for does not reach the next one."""
        self.count += 1
        of = self.run.generation if generation is None else generation
        heapq.heappush(self.due, (at, self.count, of, event))

    def play(self, first_input: Any, now: int) -> Any:
        """Run to the end and return the output."""
        self.run.now = now - SECOND
        actions = self.run.start(first_input, *self.happening(now))
        while True:
            for action in actions:
                self.react(action)
            end = actions[-1] if actions else None
            if isinstance(end, a.CompleteOrchestration):
                self.histories.append(self.run.history)
                return self.run.output
            if isinstance(end, a.ContinueAsNew):
                self.histories.append(self.run.history)
                self.run.now -= SECOND
                assert end.input is not None
                actions = self.run.start(json.loads(end.input), *end.carryover)
                continue
            at = max(self.due[0][0], self.run.now)
            actions = self.run.turn(*self.happening(at), seconds=(at - self.run.now) / SECOND)

    def happening(self, now: int) -> list[h.HistoryEvent]:
        """Everything due by now, in order."""
        events = []
        while self.due and self.due[0][0] <= now:
            _, _, generation, event = heapq.heappop(self.due)
            if generation in (0, self.run.generation):
                events.append(event)
        return events

    def react(self, action: a.Action) -> None:
        """Plan what comes of an action."""
        reaction = _REACTIONS.get(type(action))
        if reaction is not None:
            reaction(self, action)

    def work(self, action: Any, done: Callable[..., Any], failed: Callable[..., Any]) -> None:
        """Plan the outcome of one attempt of an activity or a child."""
        duration, value, fails = json.loads(action.input)
        key = (self.run.generation, action.task_id)
        attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
        if isinstance(action, a.CreateSubOrchestration):
            assert action.retried == (attempt > 1)
        if attempt > fails:
            event = done(action.task_id, json.dumps(value))
        else:
            event = failed(action.task_id, FailureDetails("x.E", f"failure {value}"))
        self.plan(self.run.now + duration, event)


_REACTIONS: dict[type, Callable[[World, Any], None]] = {
    a.ScheduleTask: lambda world, x: world.work(x, h.TaskCompleted, h.TaskFailed),
    a.CreateSubOrchestration: lambda world, x: world.work(
        x, h.SubOrchestrationInstanceCompleted, h.SubOrchestrationInstanceFailed
    ),
    a.CreateTimer: lambda world, x: world.plan(x.fire_at, h.TimerFired(x.task_id, x.fire_at)),
}
