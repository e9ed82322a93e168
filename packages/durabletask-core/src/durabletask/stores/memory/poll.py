"""Finding and handing out work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.store.record import ClaimedActivity, ClaimedInstance, Unclaimed, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durabletask.store.record import Interest
    from durabletask.stores.memory.hub import Hub
    from durabletask.stores.memory.rows import Activity, Instance, Lane, Pool

__all__ = ["poll", "unclaimed"]


def poll(hub: Hub, lane: Lane, interest: Interest) -> Work:
    """The visible messages of what ``lane`` owns, and what it claims now."""
    now = hub.clock()
    for _, instance_id in lane.later.pop_due(now):
        row = lane.owned[instance_id]
        row.surface(now)
        hub.settle(row, now)
    inbox = {instance_id: row.messages() for instance_id, row in lane.mail.items()}
    pools = [hub.urgent, *_pools(hub, interest)]
    for pool in pools:
        hub.refresh(pool, now)
    return Work(
        now=now,
        inbox=inbox,
        instances=_claim_instances(hub, lane, interest, pools, now),
        activities=_claim_activities(hub, lane, interest),
        # After the claims: the timers of new instances are the lane's own by now.
        next_due=_next_due(lane, pools),
    )


def _pools(hub: Hub, interest: Interest) -> Iterator[Pool]:
    """Where the lane may find instances. What is empty is cleared away: versions come and go."""
    # Sorted, because the order of a set differs from process to process.
    for name in sorted(interest.orchestrations & hub.pools.keys()):
        versions = hub.pools[name]
        refused = frozenset[str]() if name.startswith("@") else interest.refused_versions
        for version, pool in [*versions.items()]:
            if not pool:
                del versions[version]
            elif version not in refused:
                yield pool


def _next_due(lane: Lane, pools: list[Pool]) -> int | None:
    candidates = [lane.later.first(), *(pool.later.first() for pool in pools)]
    return min((at for at in candidates if at is not None), default=None)


# --- instances ---------------------------------------------------------------------------------


def _claim_instances(
    hub: Hub, lane: Lane, interest: Interest, pools: list[Pool], now: int
) -> list[ClaimedInstance]:
    claimed: list[ClaimedInstance] = []
    skipped: list[tuple[Pool, int, str]] = []
    suspects = 1 if interest.suspects else 0
    while len(claimed) < interest.max_instances:
        pool = _oldest(pools)
        if pool is None:
            break
        at, instance_id = pool.ready.pop()
        row = hub.instances[instance_id]
        row.suspect = row.crashes >= interest.probation_after
        if row.suspect and not suspects:
            skipped.append((pool, at, instance_id))
            continue
        suspects -= row.suspect
        hub.own(lane, row, now)
        claimed.append(_claimed_instance(hub, row))
    for pool, at, instance_id in skipped:
        pool.ready.set(instance_id, at)
    return claimed


def _oldest(pools: list[Pool]) -> Pool | None:
    """The pool whose first ready instance has waited longest."""
    oldest: Pool | None = None
    oldest_at = 0
    for pool in pools:
        at = pool.ready.first()
        if at is not None and (oldest is None or at < oldest_at):
            oldest, oldest_at = pool, at
    return oldest


def _claimed_instance(hub: Hub, row: Instance) -> ClaimedInstance:
    return ClaimedInstance(
        instance_id=row.instance_id,
        execution_id=row.execution_id,
        name=row.name,
        version=row.version,
        status=row.status,
        input=row.input,
        tags=row.tags,
        parent=row.parent,
        start_at=row.start_at,
        created_at=row.created_at,
        sequence=len(row.chunks),
        recorded_at=row.recorded_at,
        busy=row.busy,
        carryover=row.carryover,
        crashes=row.crashes,
        messages=row.messages(),
        queued=frozenset(
            activity.row.task_id
            for activity in hub.queued.get(row.instance_id, {}).values()
            if activity.row.execution_id == row.execution_id
        ),
    )


# --- activities --------------------------------------------------------------------------------


def _claim_activities(hub: Hub, lane: Lane, interest: Interest) -> list[ClaimedActivity]:
    if not hub.activities:
        return []
    queues = [hub.queues[name] for name in sorted(interest.activities & hub.queues.keys())]
    claimed: list[ClaimedActivity] = []
    while len(claimed) < interest.max_activities:
        waiting = [(at, n) for n, queue in enumerate(queues) if (at := queue.first()) is not None]
        if not waiting:
            break
        _, activity_id = queues[min(waiting)[1]].pop()
        claimed.append(_claim_activity(lane, hub.activities[activity_id]))
    return claimed


def _claim_activity(lane: Lane, activity: Activity) -> ClaimedActivity:
    activity.claims += 1
    activity.token = activity.claims
    activity.lane_id = lane.lane_id
    lane.claimed[activity.activity_id] = activity
    row = activity.row
    return ClaimedActivity(
        activity.activity_id,
        activity.token,
        activity.crashes,
        row.instance_id,
        row.execution_id,
        row.task_id,
        row.name,
        row.body,
    )


# --- work that nobody wants --------------------------------------------------------------------


def unclaimed(hub: Hub, older_than: float) -> list[Unclaimed]:
    """Names of due work that nobody has claimed for ``older_than`` seconds."""
    now = hub.clock()
    since = now - round(older_than * 1_000_000)
    found: list[Unclaimed] = []
    for name, versions in hub.pools.items():
        count = 0
        for pool in versions.values():
            hub.refresh(pool, now)
            count += pool.ready.count_until(since)
        if count:
            found.append(Unclaimed("orchestration", name, count))
    for name, queue in hub.queues.items():
        if count := queue.count_until(since):
            found.append(Unclaimed("activity", name, count))
    return found
