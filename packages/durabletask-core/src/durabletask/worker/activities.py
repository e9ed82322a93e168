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
from durabletask.worker.steps import Suspended

if TYPE_CHECKING:
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

    def start(self, item: ActivityWorkItem) -> Suspended | None:
        """Begin to run an item; to be called in a task.

        Returns:
            An async activity that waits: hand it to ``finish``, in the same task. None if the
            outcome goes to the source by itself.
        """
        registration = self._activities.get(item.name)
        if registration is None:
            self._source.abandon(item, delay=1.0)
        elif registration.is_async:
            return self._begin(item, registration)
        elif registration.inline:
            self._hand_back(item, run_activity(registration, item, self._converter))
        else:
            self._start_in_thread(item, registration)
        return None

    def _begin(
        self, item: ActivityWorkItem, registration: ActivityRegistration
    ) -> Suspended | None:
        """Run an async activity up to its first real wait; most have none."""
        context = self._context.copy()
        try:
            coroutine = registration.function(
                *activity_arguments(registration, item, self._converter)
            )
            awaited = context.run(coroutine.send, None)
        except StopIteration as stop:
            self._succeeded(item, registration, stop.value)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            # SystemExit too: let through, it would end the loop, and the next worker's as well.
            self._failed(item, error)
        else:
            return Suspended(coroutine, context, awaited)
        return None

    async def finish(self, item: ActivityWorkItem, waiting: Suspended) -> None:
        """Run an async activity on to its end, and hand the outcome back."""
        try:
            result = await waiting
        except asyncio.CancelledError as error:
            self._failed(item, error)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self._failed(item, error)
        else:
            self._succeeded(item, self._activities[item.name], result)

    def _start_in_thread(self, item: ActivityWorkItem, registration: ActivityRegistration) -> None:
        context = self._context.copy()

        def call() -> ActivityResult:
            return context.run(run_activity, registration, item, self._converter)

        def done(outcome: ActivityResult) -> None:
            self._hand_back(item, outcome)

        self._threads.submit(call, done)

    def _succeeded(
        self, item: ActivityWorkItem, registration: ActivityRegistration, result: Any
    ) -> None:
        """An async activity returned."""
        self._hand_back(item, activity_succeeded(registration, result, self._converter))

    def _failed(self, item: ActivityWorkItem, error: BaseException) -> None:
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
