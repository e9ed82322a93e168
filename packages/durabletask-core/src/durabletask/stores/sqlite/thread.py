"""A thread that owns a connection and runs one job after another on it.

Two of them serve a store: one writes, and one reads, so that no query waits for a disk to sync.
A job's outcome comes back to the event loop in one call of its own. The awaiting side may be
cancelled at any time: the job runs on to its end, and its outcome is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from durabletask.errors import BackendClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.stores.sqlite.database import Database

__all__ = ["Chores", "DatabaseThread"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

PAUSE_AFTER_FAILURE = 1.0
"""Seconds until upkeep is tried again."""

INHERITED: list[Database] = []
"""Connections that came into this process by a fork."""

Job = tuple["Callable[[Database], Any]", "asyncio.Future[Any]"]


class Chores(Protocol):
    """What a thread does besides its jobs."""

    @property
    def is_spared(self) -> bool:
        """Whether there is nothing to do for ``idle`` because of a recent loan."""
        ...

    def after_loan(self, database: Database) -> None:
        """Called on the event loop at the end of every loan. Must be quick."""
        ...

    def after_job(self, database: Database) -> float:
        """Called after every job. Returns for how many seconds to wait for the next one."""
        ...

    def idle(self, database: Database) -> float:
        """Called when no job came within that time. Returns the next such time."""
        ...


class DatabaseThread:
    """Runs jobs on ``database``, which from ``start`` on belongs to this thread alone.

    Args:
        name: of the thread, for whoever looks at a dump.
        database: the connection; closed when the thread ends.
        chores: what to do besides, or None.
    """

    def __init__(self, name: str, database: Database, chores: Chores | None = None) -> None:
        self._database = database
        self._chores = chores
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._process = os.getpid()
        self._stopped = False
        self._waiting = 0
        self._in_use = threading.Lock()
        # A daemon, so that a store that was never closed does not keep its process alive.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def run(self, job: Callable[[Database], T]) -> T:
        """Run ``job`` after all earlier ones, and return or raise what it does.

        Raises:
            BackendClosedError: the thread has been stopped, or belongs to a parent process.
        """
        if self._stopped:
            raise BackendClosedError("the SQLite store is closed; open it again or use another")
        if self._process != os.getpid():
            raise BackendClosedError(
                "this SQLite store was opened before a fork and belongs to the parent process; "
                "open a store of its own in the child"
            )
        outcome: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._jobs.put((job, outcome))
        return await outcome

    def borrow(self) -> Database | None:
        """The connection, for use on the event loop's thread at once; None if the thread has work.

        Give it back with ``give_back`` before anything is awaited. The lock keeps the thread's
        chores away meanwhile, and ``_waiting`` is changed on the event loop only: so whoever has
        borrowed the connection is alone with it, and no earlier job is overtaken.
        """
        if self._waiting or self._stopped or self._process != os.getpid():
            return None
        return self._database if self._in_use.acquire(blocking=False) else None

    def give_back(self) -> None:
        """End the use that ``borrow`` began."""
        try:
            if self._chores is not None:
                self._chores.after_loan(self._database)
        except Exception:  # whatever was committed stands: its caller must not take it for failed
            logger.warning("upkeep of the SQLite store failed", exc_info=True)
        finally:
            self._in_use.release()

    async def stop(self) -> None:
        """Let the jobs that wait finish, close the connection and end the thread. Idempotent."""
        self.retire()
        if self._process == os.getpid() and self._thread.ident is not None:
            await asyncio.shield(self._ended)
            self._thread.join()

    def retire(self) -> None:
        """Ask the thread to end after the jobs that wait, without waiting for it."""
        if self._process != os.getpid():
            # A connection must not even be closed in a forked child, so it is kept for good.
            INHERITED.append(self._database)
        elif not self._stopped:
            self._jobs.put(None)
        self._stopped = True

    # --- on the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        chores = self._chores
        pause = 0.0
        try:
            while True:
                try:
                    job = self._jobs.get(timeout=pause if chores else None)
                except Empty:
                    # Its own waking up would only get in the way of the event loop, which uses
                    # the connection itself just now.
                    if chores and not chores.is_spared:
                        pause = self._chore(chores.idle)
                    continue
                if job is None:
                    return
                self._do(job)
                # Hold neither the job nor its outcome while waiting for the next one.
                del job
                pause = self._chore(chores.after_job) if chores else 0.0
        finally:
            self._database.close()
            self._report(self._ended, None, None)

    def _do(self, job: Job) -> None:
        work, outcome = job
        with self._in_use:
            try:
                result, error = work(self._database), None
            except Exception as caught:
                result, error = None, caught
        self._report(outcome, result, error)

    def _report(
        self, outcome: asyncio.Future[Any], result: object, error: Exception | None
    ) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, outcome, result, error)
        except RuntimeError:
            logger.debug("the event loop was closed before a job of the SQLite store was done")

    def _chore(self, chore: Callable[[Database], float]) -> float:
        try:
            with self._in_use:
                return chore(self._database)
        except Exception:
            logger.warning("upkeep of the SQLite store failed", exc_info=True)
            return PAUSE_AFTER_FAILURE

    # --- on the event loop ---------------------------------------------------------------------

    def _settle(
        self, outcome: asyncio.Future[Any], result: object, error: Exception | None
    ) -> None:
        """Give a job's outcome to whoever still waits for it."""
        self._waiting -= 1
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)
