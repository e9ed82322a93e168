"""Runs entity work items on the event loop."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING

from durabletask.engine import run_entity
from durabletask.worker.steps import Suspended

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.backend import EntityResult, EntityWorkItem, WorkItemSource
    from durabletask.engine import Registry
    from durabletask.serialization import DataConverter
    from durabletask.worker.options import WorkerOptions

__all__ = ["EntityRunner"]

_log = logging.getLogger("durabletask.worker.entity")

_RETRY_DELAY = 1.0
_PASSING = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)


class EntityRunner:
    """Takes entity work items, runs their operations, hands the outcomes back.

    What an operation raises becomes its failure. What goes wrong outside user code, or is cancelled
    because the worker stops, abandons the item: nothing of it has happened, and it comes again.

    Attributes:
        closing: the worker cancels what still runs.
    """

    def __init__(
        self,
        source: WorkItemSource,
        registry: Registry,
        converter: DataConverter,
        options: WorkerOptions,
        clock: Callable[[], float],
    ) -> None:
        self.closing = False
        self._source = source
        self._entities = registry.entities
        self._converter = converter
        self._options = options
        self._clock = clock
        self._context = copy_context()

    def start(self, item: EntityWorkItem) -> Suspended | None:
        """Run an item up to its first real wait; most have none. To be called in a task.

        Returns:
            What waits: hand it to ``finish``, in the same task. None if the item is done with.
        """
        registration = self._entities.get(item.name)
        if registration is None:
            self._source.abandon(item, _RETRY_DELAY)
            return None
        context = self._context.copy()
        running = run_entity(registration, item, self._converter, passing=_PASSING)
        began = self._clock()
        try:
            awaited = context.run(running.send, None)
        except StopIteration as stop:
            self._check_time(item, began)
            self._hand_back(item, stop.value)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            self._give_back(item)
        else:
            return Suspended(running, context, awaited)
        return None

    async def finish(self, item: EntityWorkItem, waiting: Suspended) -> None:
        """Run an item on to its end, and hand the outcome back."""
        try:
            result: EntityResult = await waiting
        except asyncio.CancelledError:
            self._source.abandon(item, 0.0 if self.closing else _RETRY_DELAY)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            self._give_back(item)
        else:
            self._hand_back(item, result)

    def _hand_back(self, item: EntityWorkItem, result: EntityResult) -> None:
        for operation, outcome in zip(item.operations, result.results, strict=True):
            if outcome.failure is not None:
                _log.info(
                    "operation %r of entity %s failed: %s",
                    operation.operation,
                    item.instance_id,
                    outcome.failure.error_type,
                )
        self._source.complete_entity(item, result)

    def _give_back(self, item: EntityWorkItem) -> None:
        _log.exception(
            "a turn of entity %s broke outside user code and will be tried again", item.instance_id
        )
        self._source.abandon(item, _RETRY_DELAY)

    def _check_time(self, item: EntityWorkItem, began: float) -> None:
        took = self._clock() - began
        if took > self._options.slow_turn:
            _log.warning(
                "%d operations of entity %s blocked the event loop for %.0f ms; make slow ones "
                "async, or move the work into an activity",
                len(item.operations),
                item.instance_id,
                took * 1000,
            )
