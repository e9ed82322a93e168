"""The part of core in the tests: a lane that counts its batches, and builders of small values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from durabletask.store import (
    ActivityRow,
    Batch,
    InstanceUpdate,
    Interest,
    LaneOptions,
    Message,
    NewInstance,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durabletask.store import (
        ClaimedActivity,
        ClaimedInstance,
        CommitResult,
        InboxMessage,
        InstanceRecord,
        LaneKey,
        LaneStanding,
        Store,
        Work,
    )
    from durabletask.testing.conformance.store.fixtures import Advance

__all__ = [
    "CREATED_AT",
    "ORDER",
    "SHIP",
    "LaneDriver",
    "activity",
    "execution",
    "finish",
    "instance",
    "message",
    "status",
    "turn",
]

ORDER = "Order"
"""The orchestration that lanes of these tests run."""

SHIP = "Ship"
"""The activity that lanes of these tests run."""

CREATED_AT = 1_700_000_000_000_000
"""When instances are created, unless a test says otherwise: microseconds, in 2023."""


def execution(instance_id: str, generation: int = 1) -> str:
    """The execution id that these tests give an instance."""
    return f"{instance_id}/{generation}"


def instance(instance_id: str, **fields: Any) -> NewInstance:
    """An order to create."""
    defaults = {"execution_id": execution(instance_id), "name": ORDER, "created_at": CREATED_AT}
    return NewInstance(instance_id=instance_id, **{**defaults, **fields})


def turn(instance_id: str, sequence: int, **fields: Any) -> Turn:
    """A turn that leaves the instance RUNNING and not busy unless ``update`` says otherwise."""
    defaults: dict[str, Any] = {
        "execution_id": execution(instance_id),
        "recorded_at": CREATED_AT + 1 + sequence,
        "chunk": f"{instance_id} turn {sequence}".encode(),
        "update": InstanceUpdate(status="RUNNING", busy=False),
    }
    return Turn(instance_id=instance_id, sequence=sequence, **{**defaults, **fields})


def finish(instance_id: str, sequence: int = 0, status: str = "COMPLETED", **fields: Any) -> Turn:
    """A turn that ends the instance."""
    update = InstanceUpdate(status=status, output='"done"', busy=False)
    return turn(instance_id, sequence, **{"update": update, **fields})


def status(text: str, **fields: Any) -> InstanceUpdate:
    """An update to a status that is not busy."""
    return InstanceUpdate(status=text, **{"busy": False, **fields})


def message(instance_id: str, body: str, **fields: Any) -> Message:
    """A message with a text for its body."""
    return Message(instance_id, body.encode(), **fields)


def activity(instance_id: str, task_id: int = 1, **fields: Any) -> ActivityRow:
    """An activity of an instance for the shared queue."""
    defaults = {"execution_id": execution(instance_id), "name": SHIP, "body": b"parcel"}
    return ActivityRow(instance_id=instance_id, task_id=task_id, **{**defaults, **fields})


class LaneDriver:
    """A lane of a store. ``number`` is that of its last batch."""

    def __init__(
        self, store: Store, options: LaneOptions, key: LaneKey, standing: LaneStanding
    ) -> None:
        self.store = store
        self.options = options
        self.key = key
        self.standing = standing
        self.number = 0

    @classmethod
    async def open(
        cls,
        store: Store,
        *,
        lease: float = 60.0,
        orchestrations: Mapping[str, str] | None = None,
        activities: frozenset[str] = frozenset({SHIP}),
    ) -> Self:
        """Open a lane that runs orders and ships, under the code fingerprint "v1"."""
        known = {ORDER: "v1"} if orchestrations is None else dict(orchestrations)
        options = LaneOptions(
            worker="conformance", lease=lease, orchestrations=known, activities=activities
        )
        return cls(store, options, *await store.open_lane(options))

    # --- writing -------------------------------------------------------------------------------

    def batch(self, **fields: Any) -> Batch:
        """The lane's next batch. Does not count it."""
        return Batch(lane=self.key, number=self.number + 1, **fields)

    async def commit(self, **fields: Any) -> CommitResult:
        """Commit the lane's next batch; every other one at once, if the store can."""
        batch = self.batch(**fields)
        result = self.store.commit_now(batch) if self.number % 2 else None
        if result is None:
            result = await self.store.commit(batch)
        self.number += 1
        return result

    async def start(self, *instance_ids: str, **fields: Any) -> None:
        """Create orders that the lane owns from the start."""
        creates = [instance(name, owned=True, **fields) for name in instance_ids]
        result = await self.commit(creates=creates)
        assert not result.refused, f"the store refused new ids of {instance_ids}"

    async def run(self, *instance_ids: str, **fields: Any) -> None:
        """Create owned orders and commit their first turn: they are RUNNING and not busy."""
        await self.start(*instance_ids)
        await self.commit(turns=[turn(name, 0, **fields) for name in instance_ids])

    async def release(self, *instance_ids: str, busy: bool = False) -> None:
        """Give instances up."""
        await self.commit(released=[(name, busy) for name in instance_ids])

    # --- reading -------------------------------------------------------------------------------

    async def poll(self, **fields: Any) -> Work:
        """Ask for whatever this lane runs, or as ``fields`` of the interest say."""
        defaults: dict[str, Any] = {
            "orchestrations": frozenset(self.options.orchestrations),
            "activities": self.options.activities,
            "max_instances": 100,
            "max_activities": 100,
        }
        return await self.store.poll(self.key, Interest(**{**defaults, **fields}))

    async def claims(self, **fields: Any) -> list[str]:
        """The ids of the instances that a poll hands out, in its order."""
        return [claimed.instance_id for claimed in (await self.poll(**fields)).instances]

    async def claim(self, instance_id: str, **fields: Any) -> ClaimedInstance:
        """Poll, and expect that this instance is handed out."""
        work = await self.poll(**fields)
        found = {claimed.instance_id: claimed for claimed in work.instances}
        assert instance_id in found, (
            f"the instance {instance_id!r} is due, but poll handed out {sorted(found)}"
        )
        return found[instance_id]

    async def take_activities(self, **fields: Any) -> list[ClaimedActivity]:
        """The activities that a poll hands out."""
        return (await self.poll(max_instances=0, **fields)).activities

    async def inbox(self, instance_id: str) -> list[InboxMessage]:
        """The visible messages of an owned instance."""
        return (await self.poll(max_instances=0, max_activities=0)).inbox.get(instance_id, [])

    async def bodies(self, instance_id: str) -> list[str]:
        """The texts of the visible messages of an owned instance."""
        return [entry.body.decode() for entry in await self.inbox(instance_id)]

    async def record(self, instance_id: str) -> InstanceRecord:
        """The row of an instance, which must exist."""
        found = await self.store.get_instances([instance_id], payloads=True)
        assert instance_id in found, f"the store knows no instance {instance_id!r}"
        return found[instance_id]

    async def exists(self, instance_id: str) -> bool:
        """Whether the store knows the instance."""
        return instance_id in await self.store.get_instances([instance_id], payloads=False)

    async def history(self, instance_id: str, generation: int = 1) -> list[bytes]:
        """The chunks of an execution."""
        [chunks] = await self.store.read_history(
            [(instance_id, execution(instance_id, generation))]
        )
        return chunks

    # --- time ----------------------------------------------------------------------------------

    async def now(self) -> int:
        """The store's clock."""
        return (await self.store.renew_lane(self.key)).now

    async def wait_until(self, instant: int, advance: Advance) -> None:
        """Let time pass until the store's clock shows ``instant``."""
        for _ in range(200):
            now = await self.now()
            if now >= instant:
                return
            await advance((instant - now) / 1_000_000 + 0.001)
        raise AssertionError(
            "the store's clock does not advance as the fixture advance says: it still shows "
            f"{await self.now()}, and {instant} was expected long ago"
        )
