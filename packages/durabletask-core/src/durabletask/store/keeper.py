"""Keeps a lane alive, ends dead ones, and watches for work that nobody can do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from durabletask.errors import BackendUnavailableError, LaneFencedError
from durabletask.store.instance import Phase

if TYPE_CHECKING:
    from durabletask.store.hub import Hub
    from durabletask.store.source import StoreWorkItemSource

__all__ = ["Keeper"]

_log = logging.getLogger("durabletask.store.keeper")

_DEATHS_EVERY = 0.5
"""Seconds between two looks for dead lanes. Whatever one had waits for them."""

_NAMES_EVERY = 1.0
"""Seconds between two looks for work that nobody has claimed."""

_RELEASED_AT_ONCE = 500


class Keeper:
    """The background duties of one work item source: a few store calls a second at most.

    Attributes:
        orphans, orphan_activities: names that no live worker of the hub knows and whose work has
            waited longer than the grace period; this source claims such work to fail it with a
            clear text (rule *failure-unregistered*).
    """

    def __init__(self, hub: Hub, source: StoreWorkItemSource) -> None:
        self.orphans: frozenset[str] = frozenset()
        self.orphan_activities: frozenset[str] = frozenset()
        self._hub = hub
        self._source = source
        self._clock = asyncio.get_running_loop().time
        self._warned: set[tuple[str, str]] = set()
        self._blank: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the lane is open."""
        self._task = asyncio.create_task(self._run(), name="durabletask-keeper")

    def stop(self) -> None:
        """End. The lane is to be closed soon, or its lease runs out."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        lease = self._hub.options.lease
        renewed = named = self._clock()
        while True:
            await asyncio.sleep(min(_DEATHS_EVERY, lease / 3))
            try:
                if self._clock() - renewed >= lease / 3:
                    # Taken before the call: a slow answer must not make the lease look younger.
                    renewed = self._clock()
                    await self._renew()
                    await self._remove_blank()
                    self._release_idle()
                # At every look: some stores know of a death long before the lease has run out.
                if await self._hub.store.take_over():
                    self._source.holdings.probation.death_seen()
                    self._source.scout.soon()
                if self._clock() - named >= _NAMES_EVERY:
                    named = self._clock()
                    if self._source.repertoire.is_open:
                        await self._find_names()
                    else:
                        await self._find_orphans()
            except BackendUnavailableError as error:
                _log.warning("the lane could not be looked after, next try soon: %s", error)
            except Exception:
                _log.exception("looking after the lane failed; it goes on")

    async def _renew(self) -> None:
        key = self._source.lane.key
        if key is None:
            return
        try:
            self._source.standing = await self._hub.store.renew_lane(key)
        except LaneFencedError:
            await self._source.lost(key)

    # --- names heard of elsewhere --------------------------------------------------------------

    async def _find_names(self) -> None:
        """A source that takes any name learns those that other processes have brought up."""
        if self._source.repertoire.learn(await self._hub.store.unclaimed(0.0)):
            self._source.scout.soon()

    # --- names nobody knows --------------------------------------------------------------------

    async def _find_orphans(self) -> None:
        waiting = await self._hub.store.unclaimed(_NAMES_EVERY)
        if not waiting:
            self.orphans = self.orphan_activities = frozenset()
            return
        await self._renew()
        late = await self._hub.store.unclaimed(self._source.profile.unregistered_grace)
        unknown = [work for work in late if not self._is_known(work.kind, work.name)]
        # With a short grace, what fails now may be too young to be among those that wait.
        for work in (*waiting, *unknown):
            if not self._is_known(work.kind, work.name):
                self._warn(work.kind, work.name)
        self.orphans = frozenset(work.name for work in unknown if work.kind == "orchestration")
        self.orphan_activities = frozenset(work.name for work in unknown if work.kind == "activity")
        if unknown:
            self._source.scout.soon()

    def _is_known(self, kind: str, name: str) -> bool:
        if kind == "activity":
            return name in self._hub.known_activities()
        return name in self._hub.known_orchestrations()

    def _warn(self, kind: str, name: str) -> None:
        if (kind, name) in self._warned:
            return
        self._warned.add((kind, name))
        _log.warning(
            "%s; it waits for a worker that does, and fails after %g s",
            self._hub.not_registered(kind, name),
            self._source.profile.unregistered_grace,
        )

    # --- sharing -------------------------------------------------------------------------------

    def _release_idle(self) -> None:
        """Give idle instances up, so that whichever worker is free can take their next turn.

        Entities also where there is no other worker: there may be many more of them than are in
        use. Those that have nothing to remember are removed once they are released.
        """
        standing = self._source.standing
        alone = standing is None or standing.workers <= 1
        before = self._clock() - self._hub.options.idle_release
        released = 0
        for instance in self._source.holdings.owned.values():
            if (
                instance.phase is Phase.IDLE
                and not (alone and instance.entity is None)
                and not instance.has_turn
                and not instance.unrecorded
                and instance.idle_since < before
            ):
                instance.phase = Phase.LEAVING
                self._source.lane.pending.released.append((instance, False))
                if instance.entity is not None and instance.entity.memory.is_blank:
                    self._blank.append(instance.instance_id)
                released += 1
                if released == _RELEASED_AT_ONCE:
                    break
        if released:
            self._source.lane.kick()

    async def _remove_blank(self) -> None:
        """Remove entities that were blank when they were released, if they still are."""
        blank, self._blank = self._blank, []
        if blank:
            await self._hub.store.purge_idle(blank)
