"""Reads instance states, many callers in one store call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from durabletask.store.view import state_of_record

if TYPE_CHECKING:
    from durabletask.state import OrchestrationState
    from durabletask.store.api import Store

__all__ = ["StateReader"]

_AT_ONCE = 500


class StateReader:
    """Collects the ids asked for in one pass of the event loop and reads them together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, asyncio.Future[OrchestrationState | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, instance_id: str) -> OrchestrationState | None:
        """The state with payloads, read after this call began; None if there is none."""
        future = self._wanted.get(instance_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._wanted[instance_id] = future
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="durabletask-reader")
        # Others may wait for the same answer, so one caller's cancellation must not reach it.
        return await asyncio.shield(future)

    async def _read(self) -> None:
        while self._wanted:
            batch = dict(list(self._wanted.items())[:_AT_ONCE])
            for instance_id in batch:
                del self._wanted[instance_id]
            try:
                rows = await self._store.get_instances(list(batch), payloads=True)
                states = {key: state_of_record(row) for key, row in rows.items()}
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    raise
                continue
            for instance_id, future in batch.items():
                if not future.done():
                    future.set_result(states.get(instance_id))


def _fail(
    batch: dict[str, asyncio.Future[OrchestrationState | None]], error: BaseException
) -> None:
    for future in batch.values():
        if not future.done():
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # a caller that went away leaves nobody to retrieve it
            else:
                future.cancel()
