"""Orders of several versions, workers that take some of them, and code that changes meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask import task
from durabletask.errors import VersionMismatchError
from durabletask.testing.simulation.program import Program
from durabletask.worker import VersioningOptions

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from durabletask.client import TaskHubClient
    from durabletask.state import OrchestrationState
    from durabletask.worker import WorkerOptions

__all__ = ["Versioned"]

_VERSIONS = ("", "1.9", "1.10", "2")
_UNKNOWN = "3.dev1"
_ALONE = VersioningOptions(
    version="2",
    match_strategy="current_or_older",
    failure_strategy="fail",
    default_version="1.10",
)
_FIRST = dataclasses.replace(_ALONE, match_strategy="strict", failure_strategy="reject")
_SECOND = VersioningOptions(
    version="1.10", match_strategy="current_or_older", default_version="1.9"
)

Step = dict[str, Any]
"""One execution of an order: the version of its child, if it is called with one."""


class Versioned(Program):
    """Each order runs on workers that take its version, and stays on the path of its patch.

    The first worker alone takes version 2. It begins with code from before a patch, or comes back
    with the patched code after one death or two. So whatever has begun without the patch goes on
    with patched code and has to keep its path. The others never had other code than the patched.
    A crew of one takes all versions but one, and fails that.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.activities = (self.work,)
        self.patched_after = chance.choice((0, 1, 1, 2))
        self.third = dataclasses.replace(
            _SECOND, version=chance.choice(_VERSIONS[:3]), match_strategy="strict"
        )
        self.lives: defaultdict[str, int] = defaultdict(int)
        self.helpers = 0
        self.ran: dict[tuple[str, str], None] = {}  # a dict keeps their order
        self.paths: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)

    # --- the workers ---------------------------------------------------------------------------

    def options_of(self, worker: str, chosen: WorkerOptions) -> WorkerOptions:
        return dataclasses.replace(chosen, versioning=self._versioning(worker))

    def _versioning(self, worker: str) -> VersioningOptions:
        if len(self.workers) == 1:
            return _ALONE
        return (_FIRST, _SECOND, self.third)[self.workers.index(worker)]

    def _takes(self, worker: str, version: str) -> bool:
        """Whether the worker may run instances of this version, worked out by hand."""
        if len(self.workers) == 1:
            return version != _UNKNOWN
        wanted = {0: _VERSIONS[3:], 1: _VERSIONS[:3], 2: (self.third.version,)}
        return version in wanted[self.workers.index(worker)]

    def orchestrations_of(self, worker: str) -> Sequence[Callable[..., Any]]:
        self.lives[worker] += 1
        is_new = worker != self.workers[0] or self.lives[worker] > self.patched_after
        return [self._order(worker, is_patched=is_new), self._part(worker)]

    def _part(self, worker: str) -> Callable[..., Any]:
        @task.orchestration(name="part")
        async def part(ctx: task.OrchestrationContext) -> str:
            self.ran[worker, ctx.version or ""] = None
            await ctx.create_timer(timedelta(milliseconds=200))
            return ctx.version or ""

        return part

    def _order(self, worker: str, *, is_patched: bool) -> Callable[..., Any]:
        @task.orchestration(name="order")
        def order(ctx: task.OrchestrationContext, state: dict[str, Any]) -> Any:
            """A step of an order; what it has found is logged, and the next step follows."""
            self.ran[worker, ctx.version or ""] = None
            step: Step = state["steps"][len(state["log"])]
            answers = []
            for stage in range(3):
                answers.append(is_patched and ctx.is_patched("path"))
                path = "new" if answers[-1] else "old"
                yield ctx.call_activity("work", input=path)
                if stage == 0 or answers[-1]:
                    yield ctx.create_timer(timedelta(milliseconds=300))
            child = yield ctx.call_sub_orchestration("part", version=step["child"])
            state["log"].append([ctx.version or "", answers, child])
            if len(state["log"]) < len(state["steps"]):
                following = state["steps"][len(state["log"])]["version"]
                ctx.continue_as_new(state, new_version=following)
            return state["log"]

        return order

    async def work(self, ctx: task.ActivityContext, path: str) -> None:
        """Remember on which path an execution is."""
        _, execution_id, _ = ctx.idempotency_key.rsplit(":", 2)
        self.paths[ctx.instance_id, execution_id][path] = None
        await asyncio.sleep(0.05)

    # --- what is done with them ----------------------------------------------------------------

    def _plan(self) -> list[Step]:
        return [
            {
                "version": self.chance.choice(_VERSIONS),
                "child": self.chance.choice((None, *_VERSIONS)),
            }
            for _ in range(self.chance.randrange(1, 4))
        ]

    async def _start(self, client: TaskHubClient, instance_id: str, version: str) -> str:
        steps = [{**step} for step in self._plan()]
        steps[0]["version"] = version
        return await client.schedule_new_orchestration(
            "order",
            input={"steps": steps, "log": []},
            instance_id=instance_id,
            version=version or None,
        )

    async def play(self, client: TaskHubClient) -> None:
        async def one(number: int, version: str) -> None:
            await asyncio.sleep(self.chance.random() * 4)
            started = await self._start(client, f"order-{number}", version)
            await client.wait_for_orchestration_completion(started)

        versions = [self.chance.choice(_VERSIONS) for _ in range(5)]
        if len(self.workers) == 1:
            versions.append(_UNKNOWN)
        await asyncio.gather(*(one(n, version) for n, version in enumerate(versions)))

    async def assist(self, client: TaskHubClient) -> None:
        """Starts come from processes of workers as well, which may not be theirs to run."""
        self.helpers += 1
        await self._start(client, f"help-{self.helpers}", self.chance.choice(_VERSIONS))

    # --- what must come of it ------------------------------------------------------------------

    def check(self, states: Mapping[str, OrchestrationState]) -> Iterable[str]:
        for worker, version in self.ran:
            if not self._takes(worker, version):
                yield f"{worker} has run an instance of version {version!r}"
        for (instance_id, _), paths in self.paths.items():
            if len(paths) > 1:
                yield f"an execution of {instance_id} has taken both paths"
        for state in states.values():
            if state.name == "order":
                yield from self._check_order(state)
            elif state.runtime_status is not task.OrchestrationStatus.COMPLETED:
                yield f"{state.instance_id} is {state.runtime_status}"

    def _check_order(self, state: OrchestrationState) -> Iterable[str]:
        if state.version == _UNKNOWN:
            details = state.failure_details
            if details is None or not details.is_caused_by(VersionMismatchError):
                yield f"{state.instance_id}, which no worker takes, is {state.runtime_status}"
            return
        if state.runtime_status is not task.OrchestrationStatus.COMPLETED:
            yield f"{state.instance_id} is {state.runtime_status}"
            return
        steps = state.input["steps"]
        for step, (version, answers, child) in zip(steps, state.result, strict=True):
            alone = len(self.workers) == 1
            is_first = alone or version == _FIRST.version
            default = (_ALONE if alone else _FIRST if is_first else _SECOND).default_version
            wanted = [step["version"], default if step["child"] is None else step["child"]]
            if [version, child] != wanted:
                yield f"{state.instance_id} has the versions {[version, child]} and not {wanted}"
            if len({*answers}) > 1:
                yield f"{state.instance_id} was answered {answers}"
            if not answers[0] and not (is_first and self.patched_after):
                yield f"{state.instance_id} was never run by the code of its path"
