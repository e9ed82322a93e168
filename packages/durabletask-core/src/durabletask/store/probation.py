"""Instances that may be killing their workers, and how many of them are run together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.store.instance import OwnedInstance
    from durabletask.store.options import StoreOptions

__all__ = ["Probation"]

_FEWER = 8
_MOST = 64


class Probation:
    """The suspects that one source runs.

    After some deaths of a worker every instance that was busy each time is a suspect, and nearly
    all of them were only near by. One by one they would wait for each other's activities; all at
    once, a guilty one would take them along to the death that sets it aside. So they are run in
    groups, and the more deaths, the smaller: 64 of those with three deaths to go until they are set
    aside, 8 with two, and each alone that has one left. The first turn that one commits acquits it.
    """

    def __init__(self, options: StoreOptions) -> None:
        self._last = options.poison_after - 1
        self._groups: dict[str, int] = {}

    @property
    def has_room(self) -> bool:
        """Whether another suspect may join those that are run now."""
        return len(self._groups) < min(self._groups.values(), default=1)

    def admit(self, instance: OwnedInstance) -> None:
        """Run this suspect."""
        to_spare = max(0, self._last - instance.crashes)
        self._groups[instance.instance_id] = min(_MOST, _FEWER**to_spare)

    def acquit(self, instance: OwnedInstance) -> bool:
        """It has got on, or is not run here any more; False if it was no suspect."""
        return self._groups.pop(instance.instance_id, None) is not None
