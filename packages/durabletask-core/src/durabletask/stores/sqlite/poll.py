"""Finding work and handing it out.

A poll first looks, in a read transaction that disturbs nobody; only if there is something to
claim does it look again in a write transaction and claim it. Every query walks an index that
holds nothing but what it asks for: see ``schema``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.store import (
    ClaimedActivity,
    ClaimedInstance,
    InboxMessage,
    Interest,
    LaneKey,
    Unclaimed,
    Work,
)
from durabletask.stores.sqlite.lanes import fenced, is_live
from durabletask.stores.sqlite.schema import FIRST_MESSAGE, SEQUENCE_BITS, entries
from durabletask.stores.sqlite.values import (
    decode_parent,
    decode_tags,
    microseconds,
    names,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from durabletask.stores.sqlite.database import Database

__all__ = ["poll", "unclaimed"]

INBOX = """
SELECT i.instance_id, m.message_id, m.body
FROM instances AS i CROSS JOIN inbox AS m ON m.instance = i.ordinal
WHERE i.lane = :lane AND i.lane <> 0 AND i.wake_at <= :now AND m.visible_at <= :now
ORDER BY m.message_id
"""

_DUE = """
SELECT i.ordinal, i.wake_at, i.crashes
FROM json_each(:orchestrations) AS known CROSS JOIN instances AS i ON i.ordinal IN (
    SELECT d.ordinal FROM instances AS d
    WHERE d.hub = :hub AND d.name = known.value AND d.lane = 0
    AND d.wake_at <= :now AND d.crashes < :probation {taken}
    ORDER BY d.wake_at, d.ordinal LIMIT :room
)
UNION ALL
SELECT i.ordinal, i.wake_at, i.crashes
FROM json_each(:orchestrations) AS known CROSS JOIN instances AS i ON i.ordinal IN (
    SELECT d.ordinal FROM instances AS d INDEXED BY instances_crashed
    WHERE d.hub = :hub AND d.name = known.value AND d.lane = 0
    AND d.wake_at <= :now AND d.crashes > 0 AND d.crashes >= :probation {taken}
    ORDER BY d.wake_at, d.ordinal LIMIT 1
)
UNION ALL
SELECT i.ordinal, m.visible_at, i.crashes
FROM inbox AS m CROSS JOIN instances AS i ON i.ordinal = m.instance
WHERE m.urgent = 1 AND m.visible_at <= :now
AND i.hub = :hub AND i.lane = 0 AND i.wake_at IS NOT NULL
"""
"""What may be claimed: the oldest due ones of each known name, the oldest suspect of each, and
whoever has urgent mail. Some of them twice."""

_TAKEN = """
    AND (ifnull(d.version, '') NOT IN (SELECT value FROM json_each(:refused))
        OR d.name GLOB '@*')
"""
"""Left out for a lane that refuses no version: it is asked of every row on the way."""

QUEUED = """
SELECT a.activity_id
FROM json_each(:activities) AS known CROSS JOIN activities AS a ON a.activity_id IN (
    SELECT d.activity_id FROM activities AS d
    WHERE d.hub = :hub AND d.name = known.value AND d.lane = 0
    ORDER BY d.activity_id LIMIT :slots
)
ORDER BY a.activity_id LIMIT :slots
"""

_NEXT_DUE = """
SELECT min(due) FROM (
    SELECT min(wake_at) AS due FROM instances WHERE lane = :lane AND lane <> 0 AND wake_at > :now
    UNION ALL
    SELECT min(m.visible_at) FROM instances AS i CROSS JOIN inbox AS m ON m.instance = i.ordinal
    WHERE i.lane = :lane AND i.lane <> 0 AND i.wake_at <= :now AND m.visible_at > :now
    UNION ALL
    SELECT (
        SELECT min(d.wake_at) FROM instances AS d
        WHERE d.hub = :hub AND d.name = known.value AND d.lane = 0 AND d.wake_at > :now {taken}
    ) FROM json_each(:orchestrations) AS known
    UNION ALL
    SELECT min(visible_at) FROM inbox WHERE urgent = 1 AND visible_at > :now
)
"""

DUE, NEXT_DUE = _DUE.format(taken=""), _NEXT_DUE.format(taken="")
DUE_BUT, NEXT_DUE_BUT = _DUE.format(taken=_TAKEN), _NEXT_DUE.format(taken=_TAKEN)
"""As the former two, without the versions that a lane refuses."""

CLAIM = f"""
UPDATE instances SET lane = :lane, suspect = crashes >= :probation, wake_at = {FIRST_MESSAGE}
WHERE ordinal IN (SELECT value FROM json_each(:these))
"""

CLAIMED = f"""
SELECT ordinal, instance_id, execution_id, name, version, status, input, tags, parent,
    start_at, created_at, busy, carryover, crashes,
    coalesce(h.entry - (ordinal << {SEQUENCE_BITS}) + 1, 0),
    coalesce(h.recorded_at, instances.recorded_at)
FROM instances LEFT JOIN history AS h
    ON h.entry = (SELECT max(entry) FROM history WHERE {entries("ordinal")})
WHERE ordinal IN (SELECT value FROM json_each(:these))
"""

MESSAGES = """
SELECT instance, message_id, body FROM inbox
WHERE instance IN (SELECT value FROM json_each(:these)) AND visible_at <= :now
ORDER BY message_id
"""

SPILLED = """
SELECT a.instance, a.task_id
FROM activities AS a CROSS JOIN instances AS i
    ON i.ordinal = a.instance AND i.execution_id = a.execution_id
WHERE a.instance IN (SELECT value FROM json_each(:these))
"""

CLAIM_ACTIVITIES = """
UPDATE activities SET lane = :lane, token = token + 1
WHERE activity_id IN (SELECT value FROM json_each(:these))
"""

CLAIMED_ACTIVITIES = """
SELECT a.activity_id, a.token, a.crashes, i.instance_id, a.execution_id, a.task_id, a.name,
    a.body
FROM activities AS a CROSS JOIN instances AS i ON i.ordinal = a.instance
WHERE a.activity_id IN (SELECT value FROM json_each(:these))
ORDER BY a.activity_id
"""

UNCLAIM_INSTANCES = """
UPDATE instances SET lane = 0, wake_at = :now
WHERE lane = :lane AND ordinal IN (SELECT value FROM json_each(:these))
"""

UNCLAIM_ACTIVITIES = """
UPDATE activities SET lane = 0
WHERE lane = :lane AND activity_id IN (SELECT value FROM json_each(:these))
"""

UNCLAIMED = """
SELECT 'orchestration', name, count(*) FROM instances
WHERE hub = :hub AND lane = 0 AND wake_at <= :since GROUP BY name
UNION ALL
SELECT 'activity', name, count(*) FROM activities
WHERE hub = :hub AND lane = 0 AND queued_at <= :since GROUP BY name
"""

Values = dict[str, Any]


def poll(database: Database, hub: int, lane: LaneKey, interest: Interest) -> Work:
    """Read the inboxes of what ``lane`` owns, and claim what is due. Runs its own transactions.

    Raises:
        LaneFencedError: the lane is gone; nothing was claimed.
    """
    search = Search(database, hub, lane, interest)
    work = database.read(search.look)
    return work if work is not None else database.settle(search.claim)


class Search:
    """One poll. May be repeated after a commit of unknown outcome: see ``_undo``."""

    def __init__(self, database: Database, hub: int, lane: LaneKey, interest: Interest) -> None:
        self._database = database
        self._key = lane
        self._hub = hub
        self._values: Values = {
            "hub": hub,
            "lane": lane.lane_id,
            "orchestrations": names(interest.orchestrations),
            "activities": names(interest.activities),
            "probation": max(1, interest.probation_after),
            "room": interest.max_instances,
            "slots": interest.max_activities,
        }
        self._due, self._next_due = DUE, NEXT_DUE
        if interest.refused_versions:
            self._due, self._next_due = DUE_BUT, NEXT_DUE_BUT
            self._values["refused"] = names(interest.refused_versions)
        self._suspects = 1 if interest.suspects else 0
        self._claimed: tuple[list[int], list[int]] = ([], [])

    def look(self) -> Work | None:
        """The answer if there is nothing to claim, else None. Inside a read transaction."""
        self._begin()
        if any(self._find()):
            return None
        return self._work(self._inbox(), [], [])

    def claim(self) -> Work:
        """Claim what is due. Inside a write transaction."""
        self._begin()
        self._undo()
        inbox = self._inbox()
        instances, activities = self._claimed = self._find()
        return self._work(
            inbox,
            self._claim_instances(instances),
            self._claim_activities(activities),
        )

    def _begin(self) -> None:
        if not is_live(self._database, self._hub, self._key):
            raise fenced(self._key)
        self._values["now"] = self._database.now()

    def _undo(self) -> None:
        """Give back what an earlier attempt may have claimed, so that this one finds it again."""
        instances, activities = self._claimed
        self._run(UNCLAIM_INSTANCES, instances)
        self._run(UNCLAIM_ACTIVITIES, activities)

    # --- queries -------------------------------------------------------------------------------

    def _rows(self, sql: str, these: Collection[int] = ()) -> list[Any]:
        return self._database.rows(sql, self._values | {"these": numbers(these)})

    def _run(self, sql: str, these: Collection[int]) -> None:
        if these:
            self._database.run(sql, self._values | {"these": numbers(these)})

    def _find(self) -> tuple[list[int], list[int]]:
        """Ordinals of the instances and ids of the activities to claim."""
        room, slots = self._values["room"], self._values["slots"]
        return (
            self._choose(self._rows(self._due), room) if room > 0 else [],
            [row[0] for row in self._rows(QUEUED)] if slots > 0 else [],
        )

    def _choose(self, due: list[tuple[int, int, int]], room: int) -> list[int]:
        """The oldest of what is due, with no more suspects than one poll may hand out."""
        chosen: dict[int, None] = {}
        suspects = self._suspects
        for ordinal, _, crashes in sorted(due, key=lambda row: (row[1], row[0])):
            if ordinal in chosen:
                continue
            if crashes >= self._values["probation"]:
                if not suspects:
                    continue
                suspects -= 1
            chosen[ordinal] = None
            if len(chosen) == room:
                break
        return list(chosen)

    def _inbox(self) -> dict[str, list[InboxMessage]]:
        inbox: dict[str, list[InboxMessage]] = {}
        for instance_id, message_id, body in self._rows(INBOX):
            inbox.setdefault(instance_id, []).append(InboxMessage(message_id, body))
        return inbox

    def _work(
        self,
        inbox: dict[str, list[InboxMessage]],
        instances: list[ClaimedInstance],
        activities: list[ClaimedActivity],
    ) -> Work:
        # Asked after the claims: the timers of what was claimed are the lane's own by now.
        [(next_due,)] = self._rows(self._next_due)
        return Work(
            now=self._values["now"],
            inbox=inbox,
            instances=instances,
            activities=activities,
            next_due=next_due,
        )

    # --- claims --------------------------------------------------------------------------------

    def _claim_instances(self, ordinals: list[int]) -> list[ClaimedInstance]:
        if not ordinals:
            return []
        self._run(CLAIM, ordinals)
        messages: dict[int, list[InboxMessage]] = {}
        for ordinal, message_id, body in self._rows(MESSAGES, ordinals):
            messages.setdefault(ordinal, []).append(InboxMessage(message_id, body))
        queued: dict[int, set[int]] = {}
        for ordinal, task_id in self._rows(SPILLED, ordinals):
            queued.setdefault(ordinal, set()).add(task_id)
        found = {
            row[0]: claimed_instance(
                row, messages.get(row[0], []), frozenset(queued.get(row[0], ()))
            )
            for row in self._rows(CLAIMED, ordinals)
        }
        return [found[ordinal] for ordinal in ordinals]

    def _claim_activities(self, activity_ids: list[int]) -> list[ClaimedActivity]:
        if not activity_ids:
            return []
        self._run(CLAIM_ACTIVITIES, activity_ids)
        return [ClaimedActivity(*row) for row in self._rows(CLAIMED_ACTIVITIES, activity_ids)]


def claimed_instance(
    row: tuple[Any, ...], messages: list[InboxMessage], queued: frozenset[int]
) -> ClaimedInstance:
    """A row of ``CLAIMED`` as the lane gets it."""
    return ClaimedInstance(
        instance_id=row[1],
        execution_id=row[2],
        name=row[3],
        version=row[4],
        status=row[5],
        input=row[6],
        tags=None if row[7] is None else decode_tags(row[7]),
        parent=None if row[8] is None else decode_parent(row[8]),
        start_at=row[9],
        created_at=row[10],
        sequence=row[14],
        recorded_at=row[15],
        busy=bool(row[11]),
        carryover=row[12] if row[14] == 0 else None,
        crashes=row[13],
        messages=messages,
        queued=queued,
    )


def unclaimed(database: Database, hub: int, older_than: float) -> list[Unclaimed]:
    """Names of due work that nobody has claimed for ``older_than`` seconds."""
    since = database.now() - microseconds(older_than)
    rows = database.rows(UNCLAIMED, {"hub": hub, "since": since})
    return [Unclaimed(*row) for row in rows]
