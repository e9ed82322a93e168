"""What the parts of one storage backend share: one open store, one task hub, one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.entities import is_entity
from durabletask.errors import (
    ActivityNotRegisteredError,
    EntityNotRegisteredError,
    OrchestrationNotRegisteredError,
)
from durabletask.store.reader import StateReader
from durabletask.store.waiters import Waiters

if TYPE_CHECKING:
    import random

    from durabletask.errors import DurableTaskError
    from durabletask.store.api import Store
    from durabletask.store.instance import OwnedInstance
    from durabletask.store.options import StoreOptions
    from durabletask.store.source import StoreWorkItemSource

__all__ = ["Hub"]


class Hub:
    """The store, its options, and the sources and waiters of this process on it.

    ``chance`` makes ids and spreads retries.
    """

    def __init__(self, store: Store, options: StoreOptions, chance: random.Random) -> None:
        self.store = store
        self.options = options
        self.chance = chance
        self.sources: list[StoreWorkItemSource] = []
        self.reader = StateReader(store)
        self.waiters = Waiters(self)

    def owned(self, instance_id: str) -> OwnedInstance | None:
        """The instance, if a source of this process owns it."""
        for source in self.sources:
            instance = source.holdings.owned.get(instance_id)
            if instance is not None:
                return instance
        return None

    def woken(self) -> None:
        """Another process may have written something."""
        self.work_written()
        self.waiters.hint()

    def work_written(self) -> None:
        """Something was written that a source of this process may have to handle."""
        for source in self.sources:
            source.scout.soon()

    def source_closed(self, source: StoreWorkItemSource) -> None:
        """A source has given its work up; the others may take it."""
        if source in self.sources:
            self.sources.remove(source)
        self.work_written()

    def known_orchestrations(self) -> frozenset[str]:
        """Names that some live worker of the hub can run, as far as known here.

        Those of entities among them, which begin with ``@``.
        """
        known: frozenset[str] = frozenset()
        for source in self.sources:
            known |= source.repertoire.orchestrations.keys()
            if source.standing is not None:
                known |= source.standing.orchestrations
        return known

    def known_activities(self) -> frozenset[str]:
        """As ``known_orchestrations``, for activities."""
        known: frozenset[str] = frozenset()
        for source in self.sources:
            known |= source.repertoire.activities
            if source.standing is not None:
                known |= source.standing.activities
        return known

    def not_registered(self, kind: str, name: str) -> DurableTaskError:
        """What to say of work that no live worker knows.

        Args:
            kind, name: as of :class:`Unclaimed`.
        """
        if kind == "activity":
            return ActivityNotRegisteredError(name, self.known_activities())
        known = self.known_orchestrations()
        if is_entity(name):
            return EntityNotRegisteredError(name[1:], [n[1:] for n in known if is_entity(n)])
        return OrchestrationNotRegisteredError(name, [n for n in known if not is_entity(n)])
