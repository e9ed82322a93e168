"""The client of a torture: it asks for all that clients can ask for, while everything breaks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from durabletask.client import TaskHubClient
from durabletask.errors import (
    BackendUnavailableError,
    InstanceAlreadyExistsError,
    UnknownCommitError,
)
from durabletask.state import OrchestrationQuery, OrchestrationStatus

from .place import Place
from .programs import program_of
from .verdict import Heard, Outcome, check_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

UNFINISHED = frozenset(status for status in OrchestrationStatus if not status.is_finished)


class Fate(NamedTuple):
    """What is done to an instance besides starting it. Times are in seconds after its start.

    Attributes:
        suspended_at, suspended_for: None if it is not suspended.
        terminated_at: None if it is not terminated.
        recursive: its children are terminated with it.
    """

    suspended_at: float | None
    suspended_for: float
    terminated_at: float | None
    recursive: bool

    @classmethod
    def of(cls, seed: int, number: int) -> Fate:
        """One in eight is suspended and one in eight terminated; a few are both."""
        chance = random.Random(f"fate {seed} {number}")
        return cls(
            chance.uniform(0.0, 2.0) if chance.random() < 1 / 8 else None,
            chance.uniform(0.0, 2.0),
            chance.uniform(0.0, 4.0) if chance.random() < 1 / 8 else None,
            chance.random() < 0.7,
        )


@dataclass
class Load:
    """One client, and what it has heard.

    Attributes:
        place: the hub, and where the ledger and the log of the workers lie.
        instances: how many are started.
        starting: seconds over which the starts are spread; None for starts that are let in.
        seed: of all choices of this process.
        only: name of the only program to start instances of.
        heard: what the client was told.
        is_open: the client is connected.
    """

    place: Place
    instances: int = 500
    starting: float | None = 1.5
    seed: int = 1
    only: str | None = None
    heard: Heard = field(default_factory=Heard)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._client = TaskHubClient(self.place.url)
        self._gate = asyncio.Semaphore(0)
        self._is_remote = self.place.url.startswith("grpc")

    @property
    def unfinished(self) -> int:
        """How many instances have no outcome yet."""
        return self.instances - len(self.heard.outcomes)

    async def run(self) -> None:
        """Start all instances, meddle with some, ask about all, and wait until all have ended."""
        async with self._client, asyncio.TaskGroup() as group:
            self.is_open.set()
            inquiry = group.create_task(self._inquire())
            async with asyncio.TaskGroup() as starts:
                for place, number in enumerate(self._numbers()):
                    starts.create_task(self._one(place, number))
            inquiry.cancel()
            await self._children_end()

    def _numbers(self) -> Iterator[int]:
        wanted = (
            number
            for number in count()
            if self.only in (None, program_of(number).orchestrator.__name__)
        )
        return islice(wanted, self.instances)

    # --- instances -----------------------------------------------------------------------------

    def let_in(self, starts: int) -> None:
        """Let so many instances start within a second, if ``starting`` is None."""
        for _ in range(starts):
            self._gate.release()

    async def _one(self, place: int, number: int) -> None:
        if self.starting is None:
            await self._gate.acquire()
            await asyncio.sleep(self.chance.random())
        else:
            await asyncio.sleep(self.starting * place / self.instances)
        program = program_of(number)
        instance_id = f"{program.orchestrator.__name__}-{number}"
        await self._start(number, instance_id)
        self.heard.ids[number] = instance_id
        async with asyncio.TaskGroup() as group:
            group.create_task(self._raise_events(number, instance_id))
            group.create_task(self._meddle(number, instance_id))
            state, _ = await self._insist(
                lambda: self._client.wait_for_orchestration_completion(instance_id)
            )
            self.heard.outcomes[number] = Outcome.of(state)

    async def _start(self, number: int, instance_id: str) -> None:
        attempts = 0

        def start() -> Awaitable[str]:
            nonlocal attempts
            attempts += 1
            return self._client.schedule_new_orchestration(
                program_of(number).orchestrator, input=number, instance_id=instance_id
            )

        try:
            await self._insist(start)
        except InstanceAlreadyExistsError:
            # An attempt that was not answered may have been carried out.
            assert attempts > 1, f"{instance_id} was told to exist at its first start"

    async def _raise_events(self, number: int, instance_id: str) -> None:
        program = program_of(number)
        for place, (name, data) in enumerate(program.events):
            await asyncio.sleep(program.pause if place else 0.0)
            _, in_doubt = await self._insist(
                lambda name=name, data=data: self._client.raise_event(instance_id, name, data)
            )
            self.heard.counts["events"] += 1
            if in_doubt:
                self.heard.doubtful.add((number, place))

    async def _meddle(self, number: int, instance_id: str) -> None:
        fate = Fate.of(self.seed, number)
        async with asyncio.TaskGroup() as group:
            if fate.suspended_at is not None:
                group.create_task(self._suspend(fate, instance_id))
            if fate.terminated_at is not None:
                group.create_task(self._terminate(fate, number, instance_id))

    async def _suspend(self, fate: Fate, instance_id: str) -> None:
        await asyncio.sleep(fate.suspended_at or 0.0)
        await self._insist(lambda: self._client.suspend_orchestration(instance_id))
        await asyncio.sleep(fate.suspended_for)
        await self._insist(lambda: self._client.resume_orchestration(instance_id))
        self.heard.counts["suspensions"] += 1

    async def _terminate(self, fate: Fate, number: int, instance_id: str) -> None:
        await asyncio.sleep(fate.terminated_at or 0.0)
        self.heard.terminated.add(number)
        await self._insist(
            lambda: self._client.terminate_orchestration(
                instance_id, self.heard.reason(number), recursive=fate.recursive
            )
        )
        self.heard.counts["terminations"] += 1

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Try until there is an answer. True if an attempt before may have been carried out."""
        in_doubt = False
        while True:
            try:
                return await call(), in_doubt
            except (BackendUnavailableError, UnknownCommitError) as error:
                # A store looks up what is unknown and says so if it cannot: nobody who is told to
                # try later has written. A client of a sidecar cannot know.
                in_doubt |= isinstance(error, UnknownCommitError) or self._is_remote
                await asyncio.sleep(self.chance.uniform(0.05, 0.2))

    async def _children_end(self) -> None:
        """Those of a parent that was terminated may outlive it."""
        query = OrchestrationQuery(statuses=UNFINISHED, page_size=1, fetch_payloads=False)
        while True:
            page, _ = await self._insist(lambda: self._client.query_orchestrations(query))
            if not page.items:
                return
            await asyncio.sleep(0.2)

    # --- queries -------------------------------------------------------------------------------

    async def _inquire(self) -> None:
        """Ask all the time; what is asked for must be there, once, and as it was heard before."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.05, 0.4))
            if not self.heard.ids:
                continue
            await self.chance.choice(INQUIRIES)(self)
            self.heard.counts["queries"] += 1

    async def _find(self, **narrowed: object) -> Counter[str]:
        """The ids that a query finds, page by page."""
        size = self.chance.randrange(5, 60)
        query = OrchestrationQuery(page_size=size, fetch_payloads=False, **narrowed)
        found: Counter[str] = Counter()
        while True:
            page, _ = await self._insist(
                lambda query=query: self._client.query_orchestrations(query)
            )
            found.update(state.instance_id for state in page.items)
            if page.continuation_token is None:
                return found
            query = OrchestrationQuery(
                page_size=size,
                fetch_payloads=False,
                continuation_token=page.continuation_token,
                **narrowed,
            )

    async def _find_all(self, expected: set[str], **narrowed: object) -> None:
        found = await self._find(**narrowed)
        doubled = {instance_id for instance_id, times in found.items() if times > 1}
        assert not doubled, f"a query {narrowed} lists some more than once: {doubled}"
        missing = expected - found.keys()
        assert not missing, f"a query {narrowed} lacks {missing}"

    async def ask_for_everything(self) -> None:
        """Whoever was started before the query began is on one of its pages."""
        await self._find_all({*self.heard.ids.values()})

    async def ask_by_status(self) -> None:
        """Whoever was heard to have completed is found among the completed ones."""
        completed = {
            self.heard.ids[number]
            for number, outcome in self.heard.outcomes.items()
            if outcome.status == "COMPLETED"
        }
        await self._find_all(completed, statuses=frozenset({OrchestrationStatus.COMPLETED}))

    async def ask_by_name(self) -> None:
        """Whoever was started is found by its name."""
        name = program_of(self.chance.choice([*self.heard.ids])).orchestrator.__name__
        ids = self.heard.ids.values()
        named = {instance_id for instance_id in ids if instance_id.rpartition("-")[0] == name}
        await self._find_all(named, name=name)

    async def ask_for_one(self) -> None:
        """Whoever was started is found by its id, and whoever has ended with the same outcome."""
        number = self.chance.choice([*self.heard.ids])
        heard = self.heard.outcomes.get(number)
        instance_id = self.heard.ids[number]
        state, _ = await self._insist(lambda: self._client.get_orchestration_state(instance_id))
        assert state is not None, f"{instance_id} was started and is not there"
        assert heard in (None, Outcome.of(state)), f"the outcome of {instance_id} has changed"

    # --- verdict -------------------------------------------------------------------------------

    async def check(self, place: Place) -> int:
        """Hold all that was heard against the store and the ledger, as a new client sees it.

        Args:
            place: as nothing disturbs it.

        Returns:
            How many activity runs were repetitions.
        """
        async with TaskHubClient(place.url) as client:
            return await check_all(place, client, self.heard)


INQUIRIES = [Load.ask_for_everything, Load.ask_by_status, Load.ask_by_name, Load.ask_for_one]
