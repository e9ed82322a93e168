"""Runs the turns of orchestrations: sessions kept in memory, or replayed from history."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from durabletask.actions import CompleteOrchestration
from durabletask.backend import OrchestrationResult
from durabletask.engine import OrchestrationSession, failure_of, result_of_termination
from durabletask.errors import (
    BackendUnavailableError,
    NonDeterminismError,
    VersionMismatchError,
)
from durabletask.state import OrchestrationStatus
from durabletask.worker.sessions import SessionCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import Capabilities, OrchestrationWorkItem, WorkItemSource
    from durabletask.engine import OrchestrationRegistration, Registry
    from durabletask.history import HistoryEvent
    from durabletask.serialization import DataConverter
    from durabletask.worker.options import WorkerOptions

__all__ = ["TurnRunner"]

_log = logging.getLogger("durabletask.worker.orchestration")

_RETRY_DELAY = 1.0


class TurnRunner:
    """Takes orchestration work items, runs one turn of each, hands the actions back.

    Turns run on the event loop, one at a time: an orchestrator never blocks. Nothing that goes
    wrong outside user code fails an instance; the item is abandoned and comes again (rule
    *failure-infra*).
    """

    def __init__(
        self,
        source: WorkItemSource,
        registry: Registry,
        converter: DataConverter,
        options: WorkerOptions,
        clock: Callable[[], float],
        capabilities: Capabilities,
    ) -> None:
        self._source = source
        self._orchestrations = registry.orchestrations
        self._converter = converter
        self._options = options
        self._versions = options.versioning.rule
        self._clock = clock
        self._capabilities = capabilities
        self._sessions = SessionCache(options.max_cached_sessions)
        self._loads: set[asyncio.Task[None]] = set()

    def start(self, item: OrchestrationWorkItem) -> bool:
        """Run the turn if it can be run at once; False if history must be loaded first."""
        session = self._sessions.take(item)
        if session is None:
            terminated = result_of_termination(item.events)
            if terminated is not None:
                self._source.complete_orchestration(item, terminated)
                return True
            if self._refuses(item):
                return True
            if item.sequence:
                return False
            registration = self._registration(item)
            if registration is None:
                return True
            session = self._session(registration)
        self._run(session, item)
        return True

    def replay(self, items: list[OrchestrationWorkItem]) -> None:
        """Load the histories of these items, replay them and run their turns."""
        task = asyncio.get_running_loop().create_task(
            self._replay_all(items), name="durabletask-replay"
        )
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)

    async def _replay_all(self, items: list[OrchestrationWorkItem]) -> None:
        try:
            histories = await self._source.load_history(items)
        except BackendUnavailableError as error:
            _log.warning("history cannot be loaded now: %s", error)
            for item in items:
                self._source.abandon(item, _RETRY_DELAY)
            return
        for item, history in zip(items, histories, strict=True):
            self._replay(item, history)
            await asyncio.sleep(0)

    def _replay(self, item: OrchestrationWorkItem, history: list[HistoryEvent]) -> None:
        if not history:
            self._source.abandon(item, _RETRY_DELAY)
            return
        registration = self._registration(item)
        if registration is None:
            return
        session = self._session(registration)
        try:
            session.replay(history)
        except NonDeterminismError as error:
            session.dispose()
            self._mismatch(item, error)
        except Exception:
            session.dispose()
            self._give_back(item)
        else:
            if session.sequence == item.sequence:
                # A rewound execution goes on with the history of the one before, and with its id
                # in there, by which the body lives. The item says whose session it is now.
                session.execution_id = item.execution_id
                self._run(session, item, replayed=True)
                return
            # Somebody else has gone on: this worker was taken for dead and does not know it yet.
            session.dispose()
            self._source.abandon(item, _RETRY_DELAY)

    def _session(self, registration: OrchestrationRegistration) -> OrchestrationSession:
        return OrchestrationSession(
            registration,
            self._converter,
            default_version=self._options.versioning.default_version,
            capabilities=self._capabilities,
        )

    def _refuses(self, item: OrchestrationWorkItem) -> bool:
        """**version-match** Give back or fail an execution whose version is not taken here.

        Asked when an execution comes, not while its session stays: its version never changes.
        """
        rule = self._versions
        if rule is None or rule.takes(item.version):
            return False
        if rule.failure == "reject":
            # The source could not know better: it is one of a service of others.
            self._source.abandon(item, _RETRY_DELAY)
            return True
        error = VersionMismatchError(item.name, item.version, rule.version, rule.match)
        failed = CompleteOrchestration(
            OrchestrationStatus.FAILED, failure=failure_of(error, non_retriable=True)
        )
        result = OrchestrationResult([failed])
        _log_failure(item, result)
        self._source.complete_orchestration(item, result)
        return True

    def _registration(self, item: OrchestrationWorkItem) -> OrchestrationRegistration | None:
        registration = self._orchestrations.get(item.name)
        if registration is None:
            self._source.abandon(item, _RETRY_DELAY)
        return registration

    def _run(
        self, session: OrchestrationSession, item: OrchestrationWorkItem, *, replayed: bool = False
    ) -> None:
        began = self._clock()
        try:
            result = session.run_turn(item.events)
        except NonDeterminismError as error:
            session.dispose()
            self._mismatch(item, error)
            return
        except Exception:
            session.dispose()
            self._give_back(item)
            return
        took = self._clock() - began
        if took > self._options.slow_turn:
            _log.warning(
                "a turn of orchestration %r (%s) blocked the event loop for %.0f ms; move the work "
                "into an activity",
                item.name,
                item.instance_id,
                took * 1000,
            )
        if session.is_finished:
            session.dispose()
            _log_failure(item, result)
        else:
            self._sessions.keep(item.instance_id, session, replayed=replayed)
        self._source.complete_orchestration(item, result)

    def _mismatch(self, item: OrchestrationWorkItem, error: NonDeterminismError) -> None:
        """Code and history disagree: set the instance aside, or fail it if so configured."""
        if self._options.nondeterminism == "park":
            self._source.park(item, f"{type(error).__name__}: {error}")
            return
        failed = CompleteOrchestration(OrchestrationStatus.FAILED, failure=failure_of(error))
        self._source.complete_orchestration(item, OrchestrationResult([failed]))

    def _give_back(self, item: OrchestrationWorkItem) -> None:
        _log.exception(
            "a turn of orchestration %r (%s) broke outside user code and will be tried again",
            item.name,
            item.instance_id,
        )
        self._source.abandon(item, _RETRY_DELAY)

    async def close(self) -> None:
        """Dispose of every session."""
        for task in [*self._loads]:
            task.cancel()
        await asyncio.gather(*self._loads, return_exceptions=True)
        self.dispose()

    def dispose(self) -> None:
        """Dispose of every session that is kept."""
        self._sessions.clear()


def _log_failure(item: OrchestrationWorkItem, result: OrchestrationResult) -> None:
    """Say that an orchestration failed and with what; messages may hold data, so not how."""
    last = result.actions[-1] if result.actions else None
    if isinstance(last, CompleteOrchestration) and last.failure is not None:
        _log.warning(
            "orchestration %r (%s) failed: %s; its failure_details tell more",
            item.name,
            item.instance_id,
            last.failure.error_type,
        )
