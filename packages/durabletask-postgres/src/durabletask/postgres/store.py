"""The store behind ``postgresql://`` URLs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

from durabletask.backend.capabilities import Capabilities
from durabletask.errors import (
    BackendClosedError,
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    LaneFencedError,
    UnknownCommitError,
)
from durabletask.postgres import schema
from durabletask.postgres.connector import Connector
from durabletask.postgres.ear import Ear
from durabletask.postgres.encode import (
    LONE_TURNS,
    SILENT,
    Encoding,
    encode,
    foreign,
    kept,
    start_arguments,
    waves,
)
from durabletask.postgres.faults import CollisionError
from durabletask.postgres.lane import LaneSession
from durabletask.postgres.link import ConnectionLostError, Link
from durabletask.postgres.options import PostgresOptions
from durabletask.postgres.ordinals import Ordinals
from durabletask.postgres.outbox import start_within
from durabletask.postgres.reading import page, query_arguments, record
from durabletask.postgres.rewind import rewind_arguments
from durabletask.postgres.verbs import Verbs
from durabletask.postgres.work import read_work
from durabletask.store import CommitResult, LaneKey, LaneStanding, Store, Unclaimed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncpg import Pool, Record

    from durabletask.state import OrchestrationQuery
    from durabletask.store import (
        Batch,
        InstanceRecord,
        Interest,
        LaneOptions,
        NewInstance,
        RewoundInstance,
        Work,
    )

__all__ = ["PostgresStore"]

CAPABILITIES = Capabilities(name="postgresql", rewind=True, transactional_start=True, entities=True)

CLEAN = CommitResult()

COLLISIONS_AT_MOST = 5
"""So often a commit is repeated at once. After more of them the core waits, and says so."""


class PostgresStore(Store):
    """A task hub in a PostgreSQL database, for any number of processes.

    A commit is one round trip: one call of a function that checks the lane's epoch and writes
    everything. Each lane has a connection of its own for its commits; polls, queries and
    notifications have one each. A connection that breaks is made anew when it is next needed.

    Args:
        source: a DSN, with any of libpq's parameters that the driver knows, or an open
            ``asyncpg.Pool``, which stays the caller's to close and needs room for one connection
            per worker and three more.
        options: see :class:`PostgresOptions`.
    """

    def __init__(self, source: str | Pool, options: PostgresOptions | None = None) -> None:
        if isinstance(source, str) and not source.startswith(("postgresql://", "postgres://")):
            raise ConfigurationError(
                "a PostgreSQL store takes a DSN that begins with postgresql://, or an asyncpg pool"
            )
        self._source = source
        self._options = options or PostgresOptions()
        self._running: Running | None = None
        self._place = Connector(source, self._options).place

    def __repr__(self) -> str:
        return f"PostgresStore({self._place!r}, task_hub={self._options.task_hub!r})"

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, and see that the schema fits; create it in a database that has none.

        Raises:
            BackendUnavailableError: the server cannot be reached or used, with the remedy.
            SchemaVersionError: the schema is missing or of another version.
        """
        if self._running is None:
            connector = Connector(self._source, self._options)
            await connector.probe()
            create = self._options.migrate == "auto"
            await schema.check(connector, self._options.schema, create=create)
            running = Running(connector, self._options)
            try:
                await running.start()
            except BaseException:
                await running.stop()
                raise
            self._running = running

    async def close(self) -> None:
        """Close all connections. Lanes still open end: their locks are freed, so others see it."""
        running, self._running = self._running, None
        if running is not None:
            await running.stop()

    async def migrate(self) -> str:
        """Create the schema or bring it up to date."""
        connector = Connector(self._source, self._options)
        await connector.probe()
        name = self._options.schema
        before, after = await schema.migrate(connector, name)
        done = f"is at version {after}" if before == after else f"went from {before} to {after}"
        return f"{connector.place}: the schema {name!r} {done}"

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._open.ear.subscribe(wake)

    def now(self) -> int:
        running = self._running
        return super().now() if running is None else running.clock.now()

    @property
    def _open(self) -> Running:
        if self._running is None:
            raise BackendClosedError(
                f"the PostgreSQL store ({self._place}) is not open: open it first, and do not use "
                "it after closing it"
            )
        return self._running

    # --- lanes ---------------------------------------------------------------------------------

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        return await self._open.open_lane(options)

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        running = self._open
        session = running.lanes.get(lane.lane_id)
        # The lane's own connection is mostly busy with commits; only it can take the lock.
        wanting = session is not None and not session.holds and not running.connector.pooled
        link = session.link if session is not None and wanting else running.upkeep
        [row] = await link.call(
            running.verbs.renew_lane_v1, running.hub, lane.lane_id, lane.epoch, wanting
        )
        if session is not None and wanting:
            session.holds = row["present"]
        return running.standing(row)

    async def close_lane(self, lane: LaneKey) -> None:
        running = self._open
        try:
            await running.upkeep.call(
                running.verbs.close_lane_v1, running.hub, lane.lane_id, lane.epoch
            )
        finally:
            await running.forget(lane.lane_id)
        running.ear.ring()

    async def take_over(self) -> int:
        running = self._open
        # After a restart of the server everybody has lost their locks; that they are free says
        # something only when everybody has had time to take them anew.
        presence = not running.connector.pooled and running.connector.is_settled
        [row] = await running.upkeep.call(running.verbs.take_over_v1, running.hub, presence)
        ended: list[int] = row[0]
        if ended:
            running.ear.ring()
        for lane_id in ended:  # some may be ours, and would keep their connections for nothing
            await running.forget(lane_id)
        return len(ended)

    # --- work ----------------------------------------------------------------------------------

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        running = self._open
        session = running.session(lane)
        # Strictly growing, so that the server can tell a late request from the last one.
        firm = session.polls != session.acked
        session.polls += 1
        rows = await running.upkeep.call(
            running.verbs.poll_v1,
            *(running.hub, lane.lane_id, lane.epoch, session.polls, session.acked, firm),
            *(sorted(interest.orchestrations), sorted(interest.activities)),
            *(interest.max_instances, interest.max_activities),
            *(interest.suspects, max(1, interest.probation_after)),
            sorted(interest.refused_versions),
        )
        session.claimed(rows)
        work = read_work(rows)
        running.clock.seen(work.now)
        return work

    async def commit(self, batch: Batch) -> CommitResult:
        running = self._open
        session = running.session(batch.lane)
        try:
            encodings = await running.encode(session, batch)
            session.sent = (batch.number, encodings)
            result = await running.commit(session, batch.lane, encodings)
        except ConnectionLostError as error:
            if session.sent is None:  # it broke before the batch was sent
                raise
            raise UnknownCommitError(str(error)) from error
        except BackendError:  # an answer: nothing was written
            session.sent = None
            raise
        session.applied(encodings, result.refused)
        if encodings[-1].verb != "append_v1":
            running.ear.ring()
        return result

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        running = self._open
        session = running.session(batch.lane)
        last = batch.turns[-1] if batch.turns else None
        following = None if last is None or last.next is None else last.next.execution_id
        try:
            [row] = await session.link.call(
                running.verbs.resolve_v1,
                *(running.hub, batch.lane.lane_id, batch.number),
                *(last and last.instance_id, last and last.execution_id, last and last.sequence),
                following,
            )
        except LaneFencedError:
            await running.forget(batch.lane.lane_id)
            raise
        session.key = LaneKey(batch.lane.lane_id, row["epoch"])
        sent, session.sent = session.sent, None
        if not row["applied"]:
            return session.key, None
        result = result_of(row)
        if sent is not None and sent[0] == batch.number:
            session.applied(sent[1], result.refused)
        else:
            session.owned.clear()  # to be read again when it is needed
        running.ear.ring()
        return session.key, result

    async def create_within(self, create: NewInstance, connection: object) -> bool:
        """Create an instance on an ``asyncpg.Connection``, with a notification if it commits."""
        running = self._open
        [ordinal] = await running.ordinals.take(1)
        arguments = (self._options.task_hub, running.channel, *start_arguments(create, ordinal))
        return await start_within(connection, running.verbs.start_v1, arguments, self._place)

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        running = self._open
        age = round(older_than * 1e6)
        rows = await running.upkeep.call(running.verbs.unclaimed_v1, running.hub, age)
        return [Unclaimed(*row) for row in rows]

    # --- reading and upkeep --------------------------------------------------------------------

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        running = self._open
        ids, names = [key[0] for key in executions], [key[1] for key in executions]
        rows = await running.read(running.verbs.histories_v1, running.hub, ids, names)
        chunks: list[list[bytes]] = [[] for _ in executions]
        for place, chunk in rows:
            chunks[place - 1].append(chunk)
        return chunks

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        running = self._open
        rows = await running.read(
            running.verbs.instances_v1, running.hub, list(instance_ids), payloads
        )
        return {row["instance_id"]: record(row) for row in rows}

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        running = self._open
        arguments = query_arguments(query)
        rows = await running.read(running.verbs.query_v1, running.hub, *arguments)
        return page(rows, query.page_size)

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        running = self._open
        [row] = await running.reading.call(
            running.verbs.purge_v1, running.hub, list(instance_ids), recursive
        )
        return int(row[0])

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        running = self._open
        [row] = await running.reading.call(
            running.verbs.purge_idle_v1, running.hub, list(instance_ids)
        )
        return int(row[0])

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        if not rewound:
            return True
        running = self._open
        ordinals = await running.ordinals.take(len(rewound))
        # One that was carried out without our hearing of it finds, asked again, its own work.
        [row] = await running.repeat(
            running.reading,
            running.verbs.rewind_v1,
            *(running.hub, *rewind_arguments(rewound, ordinals)),
        )
        if row[0]:
            running.ear.ring()
        return bool(row[0])


def result_of(row: Record) -> CommitResult:
    """What a commit found; positions count from 1 there and from 0 here."""
    refused, missing = row["refused"], row["missing"]
    if refused is None and missing is None:
        return CLEAN
    return CommitResult(
        frozenset(position - 1 for position in refused or ()),
        frozenset(position - 1 for position in missing or ()),
    )


class Clock:
    """The server's clock, told from its last answer. It never goes backwards."""

    def __init__(self) -> None:
        self._offset: int | None = None
        self._last = 0

    def seen(self, now: int) -> None:
        """The server has just said that it is ``now``, in microseconds since the epoch."""
        self._offset = now - time.monotonic_ns() // 1000

    def now(self) -> int:
        """The server's time by now, as far as this machine's counter of seconds tells."""
        offset = self._offset
        now = time.time_ns() // 1000 if offset is None else time.monotonic_ns() // 1000 + offset
        self._last = max(now, self._last)
        return self._last


class Running:
    """What a store holds while it is open."""

    hub: int
    channel: str | None

    def __init__(self, connector: Connector, options: PostgresOptions) -> None:
        self.connector = connector
        self.verbs = Verbs(options.schema)
        self.clock = Clock()
        self.upkeep = Link(connector, options.command_timeout)
        self.reading = Link(connector, options.command_timeout)
        self.lanes: dict[int, LaneSession] = {}
        self._opening: set[LaneSession] = set()
        self.ordinals = Ordinals(self._ordinals)
        self._options = options
        self.ear: Ear

    async def start(self) -> None:
        """Find or add the hub, and begin to listen."""
        [row] = await self.reading.call(self.verbs.hub_v1, self._options.task_hub)
        self.hub = row[0]
        # Without notifications nobody listens; and sending them is not wanted of such poolers.
        name = f"{self._options.schema}_{self.hub}"
        self.channel = None if self.connector.pooled else name
        self.ear = Ear(self.connector, name)
        self.ear.start()

    async def stop(self) -> None:
        """Finish what is under way, and release everything."""
        if hasattr(self, "ear"):
            await self.ear.stop()
        for session in (*self._opening, *self.lanes.values()):
            await session.link.close()
        await self.upkeep.close()
        await self.reading.close()

    def session(self, lane: LaneKey) -> LaneSession:
        """The session of a lane; a new one for a lane that was opened elsewhere."""
        session = self.lanes.get(lane.lane_id)
        if session is None:
            session = self.lanes[lane.lane_id] = LaneSession(
                self.connector, self._options, self.hub
            )
        return session

    async def forget(self, lane_id: int) -> None:
        """Be done with a lane, and close its connection, which frees its advisory lock."""
        session = self.lanes.pop(lane_id, None)
        if session is not None:
            await session.link.close()

    def standing(self, row: Record) -> LaneStanding:
        """What the live lanes of the hub know."""
        self.clock.seen(row["now"])
        return LaneStanding(
            now=row["now"],
            orchestrations=frozenset(row["orchestrations"]),
            activities=frozenset(row["activities"]),
            workers=row["workers"],
        )

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        """Add a lane, with a connection of its own that holds its advisory lock."""
        is_worker = bool(options.orchestrations or options.activities)
        session = LaneSession(self.connector, self._options, self.hub, is_worker=is_worker)
        self._opening.add(session)
        try:
            # One that was opened without our hearing of it owns nothing, and expires.
            [row] = await self.repeat(
                session.link,
                self.verbs.open_lane_v1,
                *(self.hub, options.worker, round(options.lease * 1e6)),
                is_worker and not self.connector.pooled,
                *(list(options.orchestrations), list(options.orchestrations.values())),
                sorted(options.activities),
            )
        except BaseException:
            await session.link.close()
            raise
        finally:
            self._opening.discard(session)
        session.key = LaneKey(row["lane_id"], row["epoch"])
        self.lanes[session.key.lane_id] = session
        return session.key, self.standing(row)

    async def _ordinals(self) -> int:
        [row] = await self.upkeep.call(self.verbs.ordinals_v1)
        return int(row[0])

    async def encode(self, session: LaneSession, batch: Batch) -> list[Encoding]:
        """The calls of a batch: one, unless an instance has several turns in it."""
        unknown = foreign(batch, session.owned)
        if unknown:
            rows = await session.link.call(
                self.verbs.owned_v1, self.hub, batch.lane.lane_id, unknown
            )
            session.remember(rows)
        if not batch.creates and len(batch.turns) == 1:
            return [encode(batch, session.owned, ())]
        ordinals = await self.ordinals.take(len(batch.creates))
        owned, encodings = session.owned, []
        for wave in waves(batch):
            encodings.append(encode(wave, owned, ordinals[: len(wave.creates)]))
            gained = {name: owned for name, (_, owned) in encodings[-1].gained.items()}
            owned = {**owned, **gained} if gained else owned
        between = kept(batch) if len(encodings) > 1 else None
        return encodings if between is None else [encodings[0], between, *encodings[1:]]

    async def commit(
        self, session: LaneSession, lane: LaneKey, encodings: list[Encoding]
    ) -> CommitResult:
        """Apply the calls of a batch, in one transaction; again if it met another one head on."""
        for _ in range(COLLISIONS_AT_MOST):
            with contextlib.suppress(CollisionError):
                return await self._apply(session, lane, encodings)
        return await self._apply(session, lane, encodings)

    async def _apply(
        self, session: LaneSession, lane: LaneKey, encodings: list[Encoding]
    ) -> CommitResult:
        head = (self.hub, lane.lane_id, lane.epoch)
        if len(encodings) == 1:
            [encoding] = encodings
            statement = getattr(self.verbs, encoding.verb)
            if encoding.verb in LONE_TURNS:
                with session.vigil:
                    await session.link.call(statement, *head, *encoding.arguments)
                return CLEAN
            [row] = await session.link.call(statement, *head, *encoding.arguments)
            return result_of(row)
        answers = await session.link.calls(
            [(getattr(self.verbs, verb), (*head, *given)) for verb, given, _, _ in encodings]
        )
        refused: frozenset[int] = frozenset()
        missing: frozenset[int] = frozenset()
        for (verb, *_), [row] in zip(encodings, answers, strict=True):
            if verb not in SILENT:
                result = result_of(row)
                refused, missing = refused | result.refused, missing | result.missing
        return CommitResult(refused, missing)

    async def read(self, verb: str, *arguments: Any) -> list[Record]:
        """Ask what changes nothing."""
        return await self.repeat(self.reading, verb, *arguments)

    async def repeat(self, link: Link, verb: str, *arguments: Any) -> list[Record]:
        """Ask what may be asked twice; again for a while, if the server cannot be reached."""
        deadline = time.monotonic() + self._options.read_patience
        delay = 0.02
        while True:
            try:
                return await link.call(verb, *arguments)
            except BackendUnavailableError:
                if time.monotonic() + delay > deadline:
                    raise
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, 1.0)
