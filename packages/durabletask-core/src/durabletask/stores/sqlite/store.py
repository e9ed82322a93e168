"""The store behind ``sqlite:///`` URLs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING

from durabletask.backend.capabilities import Capabilities
from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    LaneFencedError,
    UnknownCommitError,
)
from durabletask.store import SMALL, Pace, Store, is_small, lone_turn
from durabletask.stores.sqlite import lanes, queries
from durabletask.stores.sqlite.commit import CLEAN, commit
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard
from durabletask.stores.sqlite.lanefiles import LaneFiles
from durabletask.stores.sqlite.location import prepare
from durabletask.stores.sqlite.lone import commit_lone
from durabletask.stores.sqlite.options import SQLiteOptions
from durabletask.stores.sqlite.outbox import create_within
from durabletask.stores.sqlite.poll import poll, unclaimed
from durabletask.stores.sqlite.rewind import rewind
from durabletask.stores.sqlite.schema import SCHEMA_VERSION
from durabletask.stores.sqlite.thread import DatabaseThread
from durabletask.stores.sqlite.upkeep import Upkeep
from durabletask.stores.sqlite.wake import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durabletask.state import OrchestrationQuery
    from durabletask.store import (
        Batch,
        CommitResult,
        InstanceRecord,
        Interest,
        LaneKey,
        LaneOptions,
        LaneStanding,
        LoneTurn,
        NewInstance,
        RewoundInstance,
        Unclaimed,
        Work,
    )
    from durabletask.stores.sqlite.standing import Owned

__all__ = ["SQLiteStore"]

CAPABILITIES = Capabilities(name="sqlite", rewind=True, transactional_start=True, entities=True)

OLDEST_SQLITE = (3, 33, 0)
"""The first version with UPDATE ... FROM."""


class SQLiteStore(Store):
    """A task hub in a SQLite file, for any number of processes of one machine.

    Writes run one after another on a thread of their own, each in one transaction that is on the
    disk when the call returns (see ``SQLiteOptions.synchronous``); polls run on it too, so that a
    poll and a commit are never answered out of order. Queries run on a second thread with a
    second connection and never wait for a commit. A call that is cancelled is carried out all
    the same; only its answer is dropped.

    Beside the file lie its write-ahead log (``-wal``, ``-shm``) and small lock files
    (``.lock``, ``.lane-7``). To copy a hub that is in use, use SQLite's backup command.

    Args:
        path: the file; created when there is none, in a directory that exists.
        options: see :class:`SQLiteOptions`.
    """

    def __init__(self, path: str | os.PathLike[str], options: SQLiteOptions | None = None) -> None:
        self._path = os.path.abspath(path)
        self._options = options or SQLiteOptions()
        self._running: Running | None = None

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r}, task_hub={self._options.task_hub!r})"

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, and create it and its tables if need be.

        Raises:
            BackendUnavailableError: the path cannot hold a store, or its file is another
                program's. SchemaVersionError: the file is of another version of this library.
        """
        if self._running is not None:
            return
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise BackendUnavailableError(
                f"this Python is linked to SQLite {sqlite3.sqlite_version}, but the SQLite store "
                f"needs {'.'.join(map(str, OLDEST_SQLITE))}: use a newer Python"
            )
        prepare(self._path)
        running = Running(self._path, self._connection(CommitGuard(self._path)), self._connection())
        try:
            await running.start(self._options.task_hub)
        except BaseException:
            await running.stop()
            raise
        self._running = running
        # Whoever forgets to close a store leaves neither a thread nor a connection behind.
        weakref.finalize(self, running.retire)

    async def close(self) -> None:
        """Close the file. Lanes still open end: their locks are freed, so others see it."""
        running, self._running = self._running, None
        if running is not None:
            await running.stop()

    async def migrate(self) -> str:
        """Create the file and its tables if need be, and check their version."""
        await self.open()
        await self.close()
        return (
            f"{self._path}: schema version {SCHEMA_VERSION}, task hub "
            f"{self._options.task_hub!r} is ready"
        )

    def _connection(self, guard: CommitGuard | None = None) -> Database:
        """A connection for a thread. Tests override this to have one that breaks on demand."""
        return Database(self._path, self._options, guard)

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._open.waker.subscribe(wake)

    @property
    def _open(self) -> Running:
        if self._running is None:
            raise BackendClosedError(
                f"the SQLite store {self._path!r} is not open: open it first, and do not use it "
                "after closing it"
            )
        return self._running

    # --- lanes ---------------------------------------------------------------------------------

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        running = self._open
        return await running.writer.run(partial(running.open_lane, options))

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        hub = self._open.hub

        def job(database: Database) -> LaneStanding:
            def work() -> LaneStanding:
                lanes.renew(database, hub, lane)
                return lanes.standing(database, hub)

            return database.settle(work)

        return await self._open.writer.run(job)

    async def close_lane(self, lane: LaneKey) -> None:
        running = self._open
        await running.writer.run(partial(running.close_lane, lane))

    async def take_over(self) -> int:
        running = self._open
        return await running.writer.run(running.take_over)

    # --- work ----------------------------------------------------------------------------------

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        hub = self._open.hub
        return await self._open.writer.run(lambda database: poll(database, hub, lane, interest))

    async def commit(self, batch: Batch) -> CommitResult:
        running = self._open
        if not is_small(batch):
            return await running.writer.run(partial(running.commit, batch))
        return await running.writer.run(partial(running.small_commit, batch))

    def commit_now(self, batch: Batch) -> CommitResult | None:
        running = self._running
        if running is None or not running.pace.is_quick:
            return None
        lone = lone_turn(batch)
        if lone is None and not is_small(batch):
            return None
        database = running.writer.borrow()
        if database is None:
            return None
        try:
            if lone is not None and running.lone_commit(batch.lane, lone, database):
                return CLEAN
            return running.small_commit(batch, database, wait=False)
        except (BackendUnavailableError, LaneFencedError):
            # Nothing was written. Another process is at it, for which the thread can wait; or the
            # reason will come up again there.
            return None
        finally:
            running.writer.give_back()

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        hub = self._open.hub
        return await self._open.writer.run(
            lambda database: database.settle(lambda: lanes.resolve(database, hub, batch))
        )

    async def create_within(self, create: NewInstance, connection: object) -> bool:
        """Create an instance on a ``sqlite3.Connection`` to the same file, in its own thread."""
        return create_within(connection, self._path, self._open.hub, create)

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        hub = self._open.hub
        return await self._open.reader.run(
            lambda database: database.read(lambda: unclaimed(database, hub, older_than))
        )

    # --- reading and upkeep --------------------------------------------------------------------

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        hub = self._open.hub
        return await self._open.reader.run(
            lambda database: database.read(lambda: queries.histories(database, hub, executions))
        )

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        running = self._open

        def job(database: Database) -> dict[str, InstanceRecord]:
            return database.read(
                lambda: queries.get(database, running.hub, instance_ids, payloads=payloads)
            )

        # A look at a row or two takes less time than to ask the thread for it.
        if len(instance_ids) <= SMALL and running.pace.is_quick:
            database = running.reader.borrow()
            if database is not None:
                try:
                    return job(database)
                finally:
                    running.reader.give_back()
        return await running.reader.run(job)

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        hub = self._open.hub
        return await self._open.reader.run(
            lambda database: database.read(lambda: queries.find(database, hub, query))
        )

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        hub = self._open.hub
        return await self._open.writer.run(
            lambda database: database.settle(
                lambda: queries.purge(database, hub, instance_ids, recursive=recursive)
            )
        )

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        hub = self._open.hub
        return await self._open.writer.run(
            lambda database: database.settle(
                lambda: queries.purge_idle(database, hub, instance_ids)
            )
        )

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        hub = self._open.hub
        return await self._open.writer.run(
            lambda database: database.settle(lambda: rewind(database, hub, rewound))
        )


class Running:
    """What a store holds while it is open. It knows nothing of the store itself.

    Args:
        path: of the file.
        writer, reader: the connections of the two threads.
    """

    hub: int

    def __init__(self, path: str, writer: Database, reader: Database) -> None:
        self.waker = Waker(asyncio.get_running_loop())
        self.lane_files = LaneFiles(path)
        self.pace = Pace()
        self.owned: dict[int, Owned] = {}
        self.upkeep = Upkeep(path, self.waker.changed)
        self.writer = DatabaseThread("durabletask-sqlite-writer", writer, self.upkeep)
        self.reader = DatabaseThread("durabletask-sqlite-reader", reader)

    async def start(self, task_hub: str) -> None:
        """Open both connections, and find or add the hub."""
        self.writer.start()
        self.hub = await self.writer.run(partial(find_hub, task_hub))
        self.reader.start()
        await self.reader.run(Database.open)

    async def stop(self) -> None:
        """Finish what waits, and release everything. The writer, closing last, tidies up."""
        await self.reader.stop()
        await self.writer.stop()
        self.lane_files.close()

    def retire(self) -> None:
        """Have the threads end soon, from whatever thread this is called."""
        self.reader.retire()
        self.writer.retire()
        self.lane_files.close()

    # --- jobs of the writing thread ------------------------------------------------------------

    def commit(self, batch: Batch, database: Database, *, wait: bool = True) -> CommitResult:
        """Apply a batch."""
        self.upkeep.active()
        lane_id = batch.lane.lane_id
        owned = self.owned.setdefault(lane_id, {})
        try:
            return database.write(lambda: commit(database, self.hub, batch, owned), wait=wait)
        except BaseException:
            self.owned.pop(lane_id, None)
            raise

    def small_commit(self, batch: Batch, database: Database, *, wait: bool = True) -> CommitResult:
        """Apply a small batch, and remember how long that takes."""
        began = time.perf_counter()
        result = self.commit(batch, database, wait=wait)
        self.pace.took(time.perf_counter() - began)
        return result

    def lone_commit(self, lane: LaneKey, lone: LoneTurn, database: Database) -> bool:
        """Commit a turn that is alone in its batch; False if nothing was written."""
        began = time.perf_counter()
        try:
            owned = self.owned.setdefault(lane.lane_id, {})
            if not commit_lone(database, self.hub, lane, lone, owned):
                return False
        except UnknownCommitError:
            self.owned.pop(lane.lane_id, None)
            raise
        self.pace.took(time.perf_counter() - began)
        return True

    def open_lane(self, options: LaneOptions, database: Database) -> tuple[LaneKey, LaneStanding]:
        """Add a lane with its lock file."""

        def work() -> tuple[LaneKey, LaneStanding]:
            lane = lanes.insert(database, self.hub, options)
            self.lane_files.add(lane.lane_id)
            lanes.unpark(database, self.hub, options)
            return lane, lanes.standing(database, self.hub)

        return database.settle(work)

    def close_lane(self, lane: LaneKey, database: Database) -> None:
        """End a lane, if its key is valid."""
        self.owned.pop(lane.lane_id, None)

        def work() -> None:
            if lanes.is_live(database, self.hub, lane):
                lanes.end(database, [lane.lane_id], crashed=False)

        database.settle(work)
        if not database.read(lambda: lanes.expired(database, self.hub)).keys() & {lane.lane_id}:
            self.lane_files.remove(lane.lane_id)

    def take_over(self, database: Database) -> int:
        """End the lanes that are expired or whose lock file is free."""
        known = database.read(lambda: lanes.expired(database, self.hub))
        dead = {lane_id for lane_id in known if self.lane_files.seize(lane_id)}
        if not dead and not any(known.values()):
            return 0

        def work() -> list[int]:
            # Leases may have been renewed since, but the dead stay dead.
            current = lanes.expired(database, self.hub)
            ending = [lane_id for lane_id, over in current.items() if over or lane_id in dead]
            lanes.end(database, ending, crashed=True)
            return ending

        try:
            ended = database.settle(work)
        except BaseException:
            for lane_id in dead:
                self.lane_files.release(lane_id)
            raise
        for lane_id in dead.union(ended):
            self.lane_files.remove(lane_id)
        return len(ended)


def find_hub(name: str, database: Database) -> int:
    """The number of the hub ``name`` in the file, which gets one if it has none."""
    select = "SELECT hub FROM hubs WHERE name = ?"
    found = database.read(lambda: database.rows(select, (name,)))
    if not found:
        insert = "INSERT INTO hubs (name) VALUES (?) ON CONFLICT DO NOTHING"
        database.settle(lambda: database.run(insert, (name,)))
        found = database.read(lambda: database.rows(select, (name,)))
    hub: int = found[0][0]
    return hub
