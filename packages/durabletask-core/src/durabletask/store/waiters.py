"""Clients that wait for an instance to start or finish.

What this process owns is answered from the commit that did it, without a read. For the rest one
task asks the store for the status of all awaited instances at once, sooner after a hint.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from durabletask.errors import BackendUnavailableError, InstanceNotFoundError
from durabletask.state import OrchestrationStatus
from durabletask.store.view import state_of_effect, state_of_instance

if TYPE_CHECKING:
    from durabletask.state import OrchestrationState
    from durabletask.store.effect import TurnEffect
    from durabletask.store.hub import Hub
    from durabletask.store.instance import OwnedInstance

__all__ = ["Waiters"]

_log = logging.getLogger("durabletask.store.waiters")

_SHORTEST = 0.002
_LONGEST = 0.25


class _Waiter:
    __slots__ = ("for_completion", "future")

    def __init__(self, *, for_completion: bool) -> None:
        self.for_completion = for_completion
        self.future: asyncio.Future[OrchestrationState] = asyncio.get_running_loop().create_future()

    def answer(self, state: OrchestrationState) -> bool:
        if self.for_completion:
            met = state.runtime_status.is_finished
        else:
            met = state.runtime_status is not OrchestrationStatus.PENDING
        if met and not self.future.done():
            self.future.set_result(state)
        return met


class Waiters:
    """All waiting clients of this process on one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: dict[str, list[_Waiter]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._hint = asyncio.Event()
        self._doubtful: set[str] = set()

    async def wait(
        self, instance_id: str, timeout: float | None, *, for_completion: bool
    ) -> OrchestrationState:
        """The state once it is what was asked for.

        The waiter is registered before the state is read, so a change between the read and the
        registration cannot be missed (rule *wait*).
        """
        waiter = _Waiter(for_completion=for_completion)
        self._waiting.setdefault(instance_id, []).append(waiter)
        try:
            if timeout is None:
                if not self._will_hear(instance_id, waiter):
                    await self._read(instance_id, waiter)
                return await waiter.future
            async with asyncio.timeout(timeout):
                await self._read(instance_id, waiter)
                return await waiter.future
        except TimeoutError:
            what = "complete" if for_completion else "start"
            raise TimeoutError(
                f"orchestration {instance_id!r} did not {what} within {timeout:g} s; it goes on"
            ) from None
        finally:
            self._remove(instance_id, waiter)

    def _will_hear(self, instance_id: str, waiter: _Waiter) -> bool:
        """Whether a commit of this process is going to answer, so that nothing need be read."""
        owned = self._hub.owned(instance_id)
        return owned is not None and (waiter.for_completion or not owned.sequence)

    async def _read(self, instance_id: str, waiter: _Waiter) -> None:
        if self._will_hear(instance_id, waiter):
            return
        state = await self._hub.reader.get(instance_id)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        if not waiter.answer(state):
            self._start_watching()

    def _remove(self, instance_id: str, waiter: _Waiter) -> None:
        if waiter.future.done() and not waiter.future.cancelled():
            waiter.future.exception()  # the first reading may have said the same: nobody looks
        waiters = self._waiting.get(instance_id)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[instance_id]

    # --- answers from commits of this process --------------------------------------------------

    def finished(self, effect: TurnEffect) -> None:
        """An owned instance has finished, durably."""
        instance_id = effect.instance.instance_id
        waiters = self._waiting.get(instance_id)
        if waiters is None:
            return
        if not effect.instance.since_birth:
            self.refresh(instance_id)
            return
        state = state_of_effect(effect)
        for waiter in waiters:
            waiter.answer(state)

    def started(self, instance: OwnedInstance) -> None:
        """An owned instance has changed its status without finishing."""
        waiters = self._waiting.get(instance.instance_id)
        if waiters is None or all(waiter.for_completion for waiter in waiters):
            return
        if not instance.since_birth:
            self.refresh(instance.instance_id)
            return
        state = state_of_instance(instance)
        for waiter in waiters:
            waiter.answer(state)

    def refresh(self, instance_id: str) -> None:
        """Read this instance soon, whoever owns it."""
        if instance_id in self._waiting:
            self._doubtful.add(instance_id)
            self._start_watching()
            self._hint.set()

    # --- answers from the store ----------------------------------------------------------------

    def hint(self) -> None:
        """Another process may have written something."""
        self._hint.set()

    async def close(self) -> None:
        """Stop watching. Clients that still wait are told by the backend's closing."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    def fail(self, error: BaseException) -> None:
        """Tell every waiter that no answer will come."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(error)

    def _start_watching(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._run(), name="durabletask-waiters")

    async def _run(self) -> None:
        pause = _SHORTEST
        while True:
            ids = self._elsewhere()
            if not ids:
                return
            self._hint.clear()  # before the reading: what it does not see will hint again
            try:
                if await self._ask(ids):
                    pause = _SHORTEST
            except BackendUnavailableError as error:
                _log.warning("the status of awaited orchestrations cannot be read: %s", error)
            # A hint cuts the pause short; without one it doubles up to a quarter of a second.
            try:
                async with asyncio.timeout(pause):
                    await self._hint.wait()
                pause = _SHORTEST
            except TimeoutError:
                pause = min(pause * 2, _LONGEST)

    def _elsewhere(self) -> list[str]:
        doubtful, self._doubtful = self._doubtful, set()
        return [
            instance_id
            for instance_id in self._waiting
            if instance_id in doubtful or self._hub.owned(instance_id) is None
        ]

    async def _ask(self, instance_ids: list[str]) -> bool:
        """Read all of them without payloads, then those that answer someone with payloads."""
        rows = await self._hub.store.get_instances(instance_ids, payloads=False)
        answered = False
        for instance_id in instance_ids:
            waiters = self._waiting.get(instance_id, ())
            row = rows.get(instance_id)
            if row is None:
                for waiter in waiters:
                    if not waiter.future.done():
                        waiter.future.set_exception(InstanceNotFoundError(instance_id))
            elif row.status != OrchestrationStatus.PENDING.value and any(
                OrchestrationStatus(row.status).is_finished or not waiter.for_completion
                for waiter in waiters
            ):
                answered = True
                state = await self._hub.reader.get(instance_id)
                for waiter in self._waiting.get(instance_id, ()):
                    if state is not None:
                        waiter.answer(state)
        return answered
