"""Which work items a worker takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.backend import EntityWorkItem, OrchestrationWorkItem
from durabletask.versions import VersionRule, compare_versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durabletask.backend import WorkItem
    from durabletask.grpc.protocol import pb

__all__ = ["WorkItemFilter"]

_Versions = dict[str, frozenset[str]]
"""Name to the versions taken; an empty set takes all."""

_TELLS_BY_LIMIT = "durabletask-java/"
"""A library that states a limit for entities exactly if some are registered."""


class WorkItemFilter:
    """The names and versions of a GetWorkItems request; without filters it takes everything.

    Versions are equal as rule *version-match* says, and no version is the empty one. An activity
    without a version of its own is taken whatever the filter says: it belongs to its
    orchestration's version, which the worker that ran the orchestration has.

    Args:
        told: the rule that a worker of ours has told besides.
        agent: how the caller names its library.

    Attributes:
        is_open: there are no filters.
        orchestrations, activities: names of the filters, to their versions.
        entities: names of the filters, in lower case.
        takes_any_entity: without filters, a worker gets entities too, but for one whose library
            tells by the limit that it has none.
        rule: for the worker's source, so that it leaves to others what is not taken here; None if
            the filters are not one rule for all names.
    """

    def __init__(
        self,
        request: pb.GetWorkItemsRequest,
        told: VersionRule | None = None,
        agent: str = "",
    ) -> None:
        self.is_open = not request.HasField("workItemFilters")
        filters = request.workItemFilters
        tells = agent.startswith(_TELLS_BY_LIMIT)
        self.takes_any_entity = self.is_open and not (
            tells and not request.maxConcurrentEntityWorkItems
        )
        self.entities = frozenset(entry.name.lower() for entry in filters.entities)
        self.orchestrations = _versions(filters.orchestrations)
        self.activities = _versions(filters.activities)
        self.rule = told or self._strict_rule()

    def _strict_rule(self) -> VersionRule | None:
        versions = {*self.orchestrations.values()}
        if len(versions) == 1:
            [only] = versions
            if len(only) == 1:
                [version] = only
                return VersionRule(version=version, match="strict")
        return None

    def accepts(self, item: WorkItem) -> bool:
        """Whether the worker takes this item."""
        if isinstance(item, EntityWorkItem):
            return self.takes_any_entity or item.name in self.entities
        if isinstance(item, OrchestrationWorkItem):
            if self.rule is not None and not self.rule.takes(item.version):
                return False
            return self.is_open or _listed(item.version, self.orchestrations.get(item.name))
        if self.is_open:
            return True
        versions = self.activities.get(item.name)
        return versions is not None and (item.version is None or _listed(item.version, versions))


def _listed(version: str | None, versions: frozenset[str] | None) -> bool:
    """Whether a filter that lists these versions takes this one."""
    if not versions:
        return versions is not None
    return any(not compare_versions(version, one) for one in versions)


def _versions(
    filters: Iterable[pb.OrchestrationFilter] | Iterable[pb.ActivityFilter],
) -> _Versions:
    found: _Versions = {}
    for entry in filters:
        versions = frozenset(entry.versions)
        earlier = found.get(entry.name)
        if earlier is not None:
            versions = versions | earlier if versions and earlier else frozenset()
        found[entry.name] = versions
    return found
