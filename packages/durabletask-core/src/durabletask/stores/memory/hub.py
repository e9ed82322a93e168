"""A hub in memory: its rows, and the lists that spare a poll from looking at all of them."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from durabletask.errors import ConfigurationError, LaneFencedError
from durabletask.store.batch import FINISHED_STATUSES, LaneKey, Message
from durabletask.stores.memory.clock import system_clock
from durabletask.stores.memory.rows import NOBODY, Activity, Instance, Lane, Pool
from durabletask.stores.memory.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.stores.memory.wake import Listener

__all__ = ["Hub", "join", "leave"]


class Hub:
    """The data of one task hub. Whoever touches it holds ``lock``; nothing in it ever waits.

    Every unfinished instance is listed in exactly one place where those look who may handle it:
    its owner's lane, or while it has none the pool of its name and version (and the pool of urgent
    ones if that applies). ``settle`` keeps this true; it is called after whatever may have changed
    it.
    """

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        self.name = name
        self.clock = clock
        self.lock = threading.Lock()
        self.openers = 0
        self.listeners: list[Listener] = []
        self.instances: dict[str, Instance] = {}
        self.children: dict[str, dict[str, Instance]] = {}
        self.lanes: dict[int, Lane] = {}
        self.pools: dict[str, dict[str, Pool]] = {}
        self.urgent = Pool()
        self.parked: dict[str, Instance] = {}
        self.activities: dict[int, Activity] = {}
        self.queues: dict[str, Schedule[int]] = {}
        self.queued: dict[str, dict[int, Activity]] = {}
        self.next_lane = itertools.count(1).__next__
        self.next_message = itertools.count(1).__next__
        self.next_activity = itertools.count(1).__next__

    # --- lanes ---------------------------------------------------------------------------------

    def lane(self, key: LaneKey) -> Lane:
        """The lane of this key.

        Raises:
            LaneFencedError: it is gone, or its epoch was raised.
        """
        lane = self.lanes.get(key.lane_id)
        if lane is None or lane.epoch != key.epoch:
            now_at = "is gone" if lane is None else f"is at epoch {lane.epoch} now"
            raise LaneFencedError(
                f"lane {key.lane_id} {now_at}, so epoch {key.epoch} may not write to the hub "
                f"{self.name!r} any more: drop what the lane holds and open a new one"
            )
        return lane

    # --- places --------------------------------------------------------------------------------

    def settle(self, row: Instance, now: int) -> None:
        """List an instance where those look who may handle it, and nowhere else."""
        if row.owner != NOBODY:
            self._settle_owned(self.lanes[row.owner], row)
        elif row.parked is None and row.status not in FINISHED_STATUSES:
            self._settle_free(row, now)
        else:
            self._unlist(row)

    def _settle_owned(self, lane: Lane, row: Instance) -> None:
        if row.inbox:
            lane.mail[row.instance_id] = row
        else:
            lane.mail.pop(row.instance_id, None)
        if row.hidden:
            lane.later.set(row.instance_id, row.hidden[0][0])
        else:
            lane.later.discard(row.instance_id)

    def _settle_free(self, row: Instance, now: int) -> None:
        versions = self.pools.get(row.name)
        if versions is None:
            versions = self.pools[row.name] = {}
        pool = versions.get(row.version or "")
        if pool is None:
            pool = versions[row.version or ""] = Pool()
        hidden_at = row.hidden[0][0] if row.hidden else None
        due = now if row.runnable else hidden_at
        _list(pool, row.instance_id, None if due is None else max(due, row.start_at), now)
        _list(self.urgent, row.instance_id, now if row.urgent else row.urgent_at(), now)

    def _unlist(self, row: Instance) -> None:
        self.urgent.discard(row.instance_id)
        pool = self.pools.get(row.name, {}).get(row.version or "")
        if pool is not None:
            pool.discard(row.instance_id)

    def refresh(self, pool: Pool, now: int) -> None:
        """Move the instances of a pool whose hour has come to its ready ones."""
        for at, instance_id in pool.later.pop_due(now):
            row = self.instances[instance_id]
            row.surface(now)
            pool.ready.set(instance_id, at)
            self.settle(row, now)

    # --- ownership -----------------------------------------------------------------------------

    def own(self, lane: Lane, row: Instance, now: int) -> None:
        """Give an instance that belongs to nobody to ``lane``."""
        self._unlist(row)
        row.owner = lane.lane_id
        lane.owned[row.instance_id] = row
        row.surface(now)
        self._settle_owned(lane, row)

    def disown(self, row: Instance, now: int) -> None:
        """End the ownership of an instance, if it has an owner."""
        if row.owner != NOBODY:
            lane = self.lanes[row.owner]
            del lane.owned[row.instance_id]
            lane.mail.pop(row.instance_id, None)
            lane.later.discard(row.instance_id)
            row.owner = NOBODY
        self.settle(row, now)

    def park(self, row: Instance, reason: str, code: str | None, now: int) -> None:
        """Set an owned instance aside."""
        row.parked = reason
        row.parked_code = code
        self.parked[row.instance_id] = row
        self.disown(row, now)

    def unpark(self, row: Instance, now: int) -> None:
        """Let an instance be claimed again."""
        row.parked = row.parked_code = None
        self.parked.pop(row.instance_id, None)
        self.settle(row, now)

    # --- rows ----------------------------------------------------------------------------------

    def add(self, row: Instance, now: int) -> None:
        """Add a new instance, for its owner if it has one."""
        self.instances[row.instance_id] = row
        if row.parent is not None:
            self.children.setdefault(row.parent.instance_id, {})[row.instance_id] = row
        if row.owner != NOBODY:
            self.lanes[row.owner].owned[row.instance_id] = row
        else:
            self._settle_free(row, now)

    def remove(self, row: Instance) -> None:
        """Delete a finished instance with all that belongs to it."""
        del self.instances[row.instance_id]
        if row.parent is not None:
            siblings = self.children[row.parent.instance_id]
            del siblings[row.instance_id]
            if not siblings:
                del self.children[row.parent.instance_id]
        for activity in list(self.queued.get(row.instance_id, {}).values()):
            self.dequeue(activity)

    def deliver(self, message: Message, now: int) -> bool:
        """Put a message into its receiver's inbox, unless it is to be dropped.

        Returns False if the receiver does not exist.
        """
        row = self.instances.get(message.instance_id)
        if row is None:
            return False
        bound = message.execution_id
        if row.status in FINISHED_STATUSES or (bound is not None and bound != row.execution_id):
            return True
        row.put(self.next_message(), message, now)
        if message.unpark:
            row.crashes = 0
            self.unpark(row, now)
        else:
            self.settle(row, now)
        return True

    def tell_children(self, parent: Instance, body: bytes, now: int) -> None:
        """Send a message to every unfinished child of an instance."""
        for instance_id in list(self.children.get(parent.instance_id, ())):
            self.deliver(Message(instance_id, body, urgent=True, unpark=True), now)

    def history(self, instance_id: str, execution_id: str) -> list[bytes]:
        """The chunks of an execution; none if it is not the current one of the instance."""
        row = self.instances.get(instance_id)
        if row is None or row.execution_id != execution_id:
            return []
        return row.chunks.copy()

    # --- the shared queue ----------------------------------------------------------------------

    def enqueue(self, activity: Activity, now: int) -> None:
        """Add an activity to the queue."""
        self.activities[activity.activity_id] = activity
        self.queued.setdefault(activity.row.instance_id, {})[activity.activity_id] = activity
        self._offer(activity, now)

    def give_back(self, activity: Activity, now: int) -> None:
        """Undo the claim of an activity."""
        self._end_claim(activity)
        self._offer(activity, now)

    def dequeue(self, activity: Activity) -> None:
        """Delete an activity, claimed or not."""
        row = activity.row
        del self.activities[activity.activity_id]
        rest = self.queued[row.instance_id]
        del rest[activity.activity_id]
        if not rest:
            del self.queued[row.instance_id]
        self.queues[row.name].discard(activity.activity_id)
        self._end_claim(activity)

    def claimed(self, activity_id: int, token: int) -> Activity | None:
        """The activity, if ``token`` is that of its current claim."""
        activity = self.activities.get(activity_id)
        return activity if activity is not None and activity.token == token != 0 else None

    def _offer(self, activity: Activity, now: int) -> None:
        queue = self.queues.get(activity.row.name)
        if queue is None:
            queue = self.queues[activity.row.name] = Schedule()
        queue.set(activity.activity_id, now)

    def _end_claim(self, activity: Activity) -> None:
        if activity.lane_id != NOBODY:
            del self.lanes[activity.lane_id].claimed[activity.activity_id]
            activity.lane_id = NOBODY
            activity.token = 0


def _list(pool: Pool, instance_id: str, due: int | None, now: int) -> None:
    """Put an instance where it belongs in a pool. One that is due keeps its place in the row."""
    if due is None:
        pool.discard(instance_id)
    elif due > now:
        pool.ready.discard(instance_id)
        pool.later.set(instance_id, due)
    else:
        pool.later.discard(instance_id)
        if instance_id not in pool.ready:
            pool.ready.set(instance_id, due)


_hubs: dict[str, Hub] = {}
_hubs_lock = threading.Lock()


def join(name: str, clock: Callable[[], int] | None) -> Hub:
    """Open the hub of this name in this process, a new one if nobody has it open.

    Raises:
        ConfigurationError: the hub is open and runs by another clock.
    """
    with _hubs_lock:
        hub = _hubs.get(name)
        if hub is None:
            hub = _hubs[name] = Hub(name, clock or system_clock)
        elif clock is not None and clock is not hub.clock:
            raise ConfigurationError(
                f"the hub {name!r} is open in this process and runs by another clock: give both "
                "stores the same clock, or the new one another name"
            )
        hub.openers += 1
        return hub


def leave(hub: Hub) -> None:
    """Close a hub that was joined. What it holds goes with the last one who leaves."""
    with _hubs_lock:
        hub.openers -= 1
        if not hub.openers and _hubs.get(hub.name) is hub:
            del _hubs[hub.name]
