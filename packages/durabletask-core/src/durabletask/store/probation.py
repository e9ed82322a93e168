"""Instances that may be killing their workers: when they are tried, and how many together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.store.instance import OwnedInstance
    from durabletask.store.options import StoreOptions

__all__ = ["Probation"]

_FEWER = 8
_MOST = 64


class Probation:
    """The suspects that one source runs.

    After some deaths of a worker every instance that was busy each time is a suspect, and nearly
    all of them were only near by. The store counts deaths and cannot tell who is guilty; these two
    rules keep the innocent from being set aside:

    *Not in a storm.* Whoever kills workers from outside, again and again, must not find suspects at
    work each time. They are tried only when no worker is known to have died for a while
    (``StoreOptions.probation_delay``), this one's start included. A death that follows a trial so
    much later is no chance.

    *In groups, and the more deaths, the smaller.* One by one they would wait for each other's
    activities; all at once, a guilty one would take them along to the death that sets it aside. So
    64 are run together of those with three deaths to go until they are set aside, 8 with two, and
    each alone that has one left. The first turn that one commits acquits it.
    """

    def __init__(self, options: StoreOptions, clock: Callable[[], float]) -> None:
        self._last = options.poison_after - 1
        self._delay = options.probation_delay
        self._clock = clock
        self._calm_since = clock()
        self._groups: dict[str, int] = {}

    @property
    def has_room(self) -> bool:
        """Whether another suspect may be tried now, beside those that are."""
        return (
            len(self._groups) < min(self._groups.values(), default=1)
            and self._clock() - self._calm_since >= self._delay
        )

    def death_seen(self) -> None:
        """Another worker has died."""
        self._calm_since = self._clock()

    def admit(self, instance: OwnedInstance) -> None:
        """Run this suspect."""
        to_spare = max(0, self._last - instance.crashes)
        self._groups[instance.instance_id] = min(_MOST, _FEWER**to_spare)

    def acquit(self, instance: OwnedInstance) -> bool:
        """It has got on, or is not run here any more; False if it was no suspect."""
        return self._groups.pop(instance.instance_id, None) is not None
