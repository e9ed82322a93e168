"""The names and versions that a work item source takes work of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from durabletask.entities import is_entity
from durabletask.versions import named_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.backend import WorkerProfile
    from durabletask.engine.runtime_state import TurnOutcome
    from durabletask.store.record import Unclaimed

__all__ = ["Repertoire"]

_log = logging.getLogger("durabletask.store.repertoire")


class Repertoire:
    """What a worker can run: the names of its profile, or whatever it hears of.

    Stores hand out work by name. So for a profile that takes any name the names are learned: at
    once from what this process starts and schedules, and from the store for the rest. Those of
    entities are learned by themselves, for many workers that take anything else take none.

    Attributes:
        orchestrations: name to the fingerprint of the code; an entity's name begins with ``@``.
        activities: names.
        is_open: whether names are learned at all.
        refused: versions that were met and are left to other workers; ``""`` is no version.
    """

    def __init__(self, profile: WorkerProfile) -> None:
        self.orchestrations = dict(profile.orchestrations)
        for name, fingerprint in profile.entities.items():
            self.orchestrations[f"@{name}"] = fingerprint
        self.activities = set(profile.activities)
        self.is_open = profile.any_name or profile.any_entity
        self.refused: frozenset[str] = frozenset()
        self._any_name = profile.any_name
        self._any_entity = profile.any_entity
        self._code = profile.code
        # What the rule fails is taken: the worker fails it.
        rule = profile.versions
        self._rule = rule if rule is not None and rule.failure == "reject" else None
        self._left: set[tuple[str, str]] = set()

    def runs(self, name: str) -> bool:
        """Whether orchestrations of this name are run here, or entities: then it begins with @."""
        if name in self.orchestrations:
            return True
        if self._any_entity if is_entity(name) else self._any_name:
            self.orchestrations[name] = self._code
            return True
        return False

    def refuses(self, name: str, version: str | None) -> bool:
        """Whether instances of this version are left to other workers (rule *version-match*)."""
        rule = self._rule
        if rule is None or name.startswith("@") or rule.takes(version):
            return False
        version = version or ""
        if version not in self.refused:
            self.refused |= {version}
        if (name, version) not in self._left:
            self._left.add((name, version))
            _log.warning(
                "orchestrations %r with %s are left to other workers: this one has %s and the "
                "match_strategy %r",
                name,
                named_version(version),
                named_version(rule.version),
                rule.match,
            )
        return True

    def performs(self, name: str) -> bool:
        """Whether activities of this name are run here."""
        if self._any_name:
            self.activities.add(name)
        return name in self.activities

    def hear(self, outcome: TurnOutcome) -> None:
        """Learn the activities that a turn has scheduled."""
        if self._any_name:
            self.activities.update(event.name for event in outcome.activities)

    def learn(self, waiting: Iterable[Unclaimed]) -> bool:
        """Learn the names of work that waits in the store. Whether any was new."""
        before = len(self.orchestrations) + len(self.activities)
        for work in waiting:
            if work.kind == "activity":
                self.performs(work.name)
            else:
                self.runs(work.name)
        return len(self.orchestrations) + len(self.activities) > before
