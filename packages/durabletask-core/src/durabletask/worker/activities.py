"""Runs activity work items: on the event loop, in threads, or in line."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from durabletask.engine import (
    activity_arguments,
    activity_failed,
    activity_succeeded,
    run_activity,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from durabletask.backend import ActivityResult, ActivityWorkItem, WorkItemSource
    from durabletask.engine import ActivityRegistration, Registry
    from durabletask.serialization import DataConverter
    from durabletask.worker.machine import Threads

__all__ = ["ActivityRunner"]

_log = logging.getLogger("durabletask.worker.activity")


class ActivityRunner:
    """Takes activity work items, calls the registered function, hands the outcome back.

    Whatever the function raises becomes the activity's failure. Only the worker's own stopping
    abandons an item.

    Attributes:
        closing: the worker cancels what still runs; that is no failure of the activity.
    """

    def __init__(
        self,
        source: WorkItemSource,
        registry: Registry,
        converter: DataConverter,
        threads: Threads,
    ) -> None:
        self.closing = False
        self._source = source
        self._activities = registry.activities
        self._converter = converter
        self._context = copy_context()
        self._threads = threads

    def start(self, item: ActivityWorkItem) -> Coroutine[Any, Any, Any] | None:
        """Begin to run an item.

        Returns:
            The coroutine of an async activity: await it, then call ``succeeded`` or ``failed``.
            None if the outcome goes to the source by itself.
        """
        registration = self._activities.get(item.name)
        if registration is None:
            self._source.abandon(item, delay=1.0)
        elif registration.is_async:
            try:
                arguments = activity_arguments(registration, item, self._converter)
                coroutine: Coroutine[Any, Any, Any] = registration.function(*arguments)
                return coroutine
            except Exception as error:
                self.failed(item, error)
        elif registration.inline:
            self._hand_back(item, run_activity(registration, item, self._converter))
        else:
            self._start_in_thread(item, registration)
        return None

    def _start_in_thread(self, item: ActivityWorkItem, registration: ActivityRegistration) -> None:
        context = self._context.copy()

        def call() -> ActivityResult:
            return context.run(run_activity, registration, item, self._converter)

        def done(outcome: ActivityResult) -> None:
            self._hand_back(item, outcome)

        self._threads.submit(call, done)

    def succeeded(self, item: ActivityWorkItem, result: Any) -> None:
        """An async activity returned."""
        self._source.complete_activity(item, activity_succeeded(item, result, self._converter))

    def failed(self, item: ActivityWorkItem, error: BaseException) -> None:
        """An async activity raised, or was cancelled."""
        if self.closing and isinstance(error, asyncio.CancelledError):
            self._source.abandon(item)
        else:
            self._hand_back(item, activity_failed(error))

    def _hand_back(self, item: ActivityWorkItem, outcome: ActivityResult) -> None:
        if outcome.failure is not None:
            _log.info(
                "activity %r (#%d of %s) failed: %s",
                item.name,
                item.task_id,
                item.instance_id,
                outcome.failure.error_type,
            )
        self._source.complete_activity(item, outcome)

    def close(self) -> None:
        """Let the threads end; what is cut off runs again elsewhere."""
        if not self._threads.close(timeout=0.2):
            _log.warning(
                "an activity still runs in a thread and is left behind; it will run again elsewhere"
            )
