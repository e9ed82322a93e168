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
from durabletask.worker.slots import CoroutineSlots
from durabletask.worker.threads import ActivityThreads

if TYPE_CHECKING:
    from durabletask.backend import ActivityResult, ActivityWorkItem, WorkItemSource
    from durabletask.engine import ActivityRegistration, Registry
    from durabletask.serialization import DataConverter

__all__ = ["ActivityRunner"]

_log = logging.getLogger("durabletask.worker.activity")


class ActivityRunner:
    """Takes activity work items, runs the registered function, hands the outcome back.

    Whatever the function raises becomes the activity's failure. Only the worker's own stopping
    abandons an item.
    """

    def __init__(
        self,
        source: WorkItemSource,
        registry: Registry,
        converter: DataConverter,
        max_threads: int,
    ) -> None:
        self._source = source
        self._activities = registry.activities
        self._converter = converter
        self._context = copy_context()
        self._slots = CoroutineSlots()
        self._threads = ActivityThreads(asyncio.get_running_loop(), max_threads)

    def start(self, item: ActivityWorkItem) -> None:
        """Begin to run an item; its outcome goes to the source by itself."""
        registration = self._activities.get(item.name)
        if registration is None:
            self._source.abandon(item, delay=1.0)
        elif registration.is_async:
            self._start_coroutine(item, registration)
        elif registration.inline:
            self._source.complete_activity(item, run_activity(registration, item, self._converter))
        else:
            self._start_in_thread(item, registration)

    def _start_coroutine(self, item: ActivityWorkItem, registration: ActivityRegistration) -> None:
        try:
            arguments = activity_arguments(registration, item, self._converter)
            coroutine = registration.function(*arguments)
        except Exception as error:
            self._source.complete_activity(item, activity_failed(error))
            return

        def done(result: Any, error: BaseException | None) -> None:
            if error is None:
                outcome = activity_succeeded(item, result, self._converter)
            elif isinstance(error, asyncio.CancelledError) and self._slots.closed:
                self._source.abandon(item)
                return
            else:
                outcome = activity_failed(error)
            self._source.complete_activity(item, outcome)

        self._slots.submit(coroutine, done)

    def _start_in_thread(self, item: ActivityWorkItem, registration: ActivityRegistration) -> None:
        context = self._context.copy()

        def done(outcome: ActivityResult) -> None:
            self._source.complete_activity(item, outcome)

        self._threads.submit(
            lambda: context.run(run_activity, registration, item, self._converter), done
        )

    async def close(self) -> None:
        """Cancel async activities and let threads end; what is cut off runs again elsewhere."""
        await self._slots.close()
        if not self._threads.close(timeout=0.2):
            _log.warning(
                "an activity still runs in a thread and is left behind; it will run again elsewhere"
            )
