"""What one work item source owns and has queued."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from durabletask.backend import ActivityWorkItem
from durabletask.store.instance import OwnedInstance, Phase
from durabletask.store.ready import ReadyQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from durabletask.history import TaskScheduled
    from durabletask.store.bell import Bell
    from durabletask.store.probation import Probation

__all__ = ["Holdings"]


class Holdings:
    """Owned instances by id, the queue of those that are ready, and the queue of activities.

    Plain tables; every method runs to its end on the event loop without an await, so each is
    atomic to the others.

    Args:
        arrival: rung when there is something to hand out.
        lost: told the id of each instance that is lost; who waits for it here must look elsewhere.
        probation: the suspects among the owned instances.
    """

    def __init__(self, arrival: Bell, lost: Callable[[str], None], probation: Probation) -> None:
        self.owned: dict[str, OwnedInstance] = {}
        self.ready = ReadyQueue()
        self.activities: deque[ActivityWorkItem] = deque()
        self.probation = probation
        self._arrival = arrival
        self._lost = lost

    def owns(self, instance: OwnedInstance) -> bool:
        """Whether this very object is owned (an id may have been lost and claimed anew)."""
        return self.owned.get(instance.instance_id) is instance

    def adopt(self, instance: OwnedInstance, *, run: bool = True) -> None:
        """Own an instance from now on; with ``run`` it is ready if there is a turn to make."""
        self.owned[instance.instance_id] = instance
        if run and (instance.inbox if instance.entity is None else instance.has_turn):
            self.make_ready(instance)

    def make_ready(self, instance: OwnedInstance) -> None:
        """Queue the next turn, unless one is queued, out or being committed already."""
        if instance.phase is Phase.IDLE and self.owned.get(instance.instance_id) is instance:
            instance.phase = Phase.READY
            self.ready.push(instance)
            if self._arrival.waiting is not None:
                self._arrival.ring()

    def start_activities(self, instance: OwnedInstance, events: Iterable[TaskScheduled]) -> None:
        """Queue activities that this lane runs itself; their schedule is durable."""
        for event in events:
            self.activities.append(
                ActivityWorkItem(
                    instance.instance_id,
                    instance.execution_id,
                    event.task_id,
                    event.name,
                    event.input,
                    event.version,
                    event.tags,
                    instance,
                    event.origin,
                )
            )
        if self._arrival.waiting is not None:
            self._arrival.ring()

    def offer(self, item: ActivityWorkItem) -> None:
        """Queue an activity of the shared queue, or one that came back."""
        self.activities.append(item)
        self._arrival.ring()

    def withdraw(self, instance: OwnedInstance) -> list[ActivityWorkItem]:
        """Take the activities of an instance that were not handed out off the queue."""
        withdrawn = [item for item in self.activities if item.token is instance]
        if withdrawn:
            self.activities = deque(item for item in self.activities if item.token is not instance)
        return withdrawn

    def forget(self, instance: OwnedInstance) -> None:
        """Stop owning an instance that has finished; late outcomes of activities are ignored."""
        if self.owns(instance):
            del self.owned[instance.instance_id]
        instance.outstanding.clear()
        instance.phase = Phase.IDLE
        self.probation.acquit(instance)

    def lose(self, instance: OwnedInstance) -> None:
        """Stop owning an instance that somebody else is going to finish."""
        self.forget(instance)
        self._lost(instance.instance_id)

    def forget_all(self) -> None:
        """The lane is gone: nothing is owned any more, and only claimed activities stay queued."""
        for instance in [*self.owned.values()]:
            self.lose(instance)
        self.ready.clear()
        self.activities = deque(
            item for item in self.activities if not isinstance(item.token, OwnedInstance)
        )
