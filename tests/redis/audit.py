"""Whether the keys of a hub agree with each other: nothing is half written, in any state."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .hubs import prefix_of

if TYPE_CHECKING:
    import redis


class Audit:
    """One look at all keys of a hub, during which nobody writes.

    Attributes:
        problems: what does not fit.
        instances: how many there are.
    """

    def __init__(self, client: redis.Redis, task_hub: str) -> None:
        self._client = client
        self._prefix = prefix_of(task_hub)
        self.problems: list[str] = []
        client.client_pause(20_000, all=False)
        try:
            self._look()
        finally:
            client.client_unpause()

    def _look(self) -> None:
        client = self._client
        found = client.scan_iter(match=self._prefix + "*", count=5000)
        self._keys = {key.decode().removeprefix(self._prefix) for key in found}
        self._rows = {
            key[2:]: {
                field.decode(): value for field, value in client.hgetall(self._prefix + key).items()
            }
            for key in self._keys
            if key.startswith("i:")
        }
        self.instances = len(self._rows)
        for instance_id, row in self._rows.items():
            self._instance(instance_id, row)
        self._indexes()
        self._activities()
        self._orphans()

    def _expect(self, condition: bool, problem: str) -> None:
        if not condition:
            self.problems.append(problem)

    def _zset(self, key: str) -> set[str]:
        return {member.decode() for member in self._client.zrange(self._prefix + key, 0, -1)}

    def _instance(self, instance_id: str, row: dict[str, bytes]) -> None:
        missing = {"exec", "name", "status", "created", "start"} - row.keys()
        self._expect(not missing, f"{instance_id} lacks {missing}")
        bodies = {key.decode() for key in self._client.hkeys(f"{self._prefix}m:{instance_id}")}
        inbox = self._zset(f"q:{instance_id}")
        self._expect(bodies == inbox, f"{instance_id}: bodies {bodies}, inbox {inbox}")
        history = self._client.llen(f"{self._prefix}h:{instance_id}")
        listed = instance_id in self._zset(f"due:{row['name'].decode()}")
        lane = row.get("lane")
        if lane is not None:
            owned = self._client.sismember(f"{self._prefix}lane:{lane.decode()}:own", instance_id)
            self._expect(bool(owned), f"{instance_id} says it is owned by {lane!r}, which has not")
            mailed = instance_id in self._zset(f"lane:{lane.decode()}:mail")
            self._expect(mailed == bool(inbox), f"{instance_id}: mail {mailed}, inbox {inbox}")
        if "done" in row:
            self._expect(
                history > 0 and lane is None and not inbox and not listed,
                f"{instance_id} is finished and has more than a history",
            )
        elif lane is None and "parked" not in row:
            due = "busy" in row or not history or bool(inbox)
            self._expect(due == listed, f"{instance_id}: due {due}, listed {listed}")

    def _indexes(self) -> None:
        for half in ("@", ""):
            self._ordered(
                f"x:{half}",
                {
                    name: row
                    for name, row in self._rows.items()
                    if name.startswith("@") == bool(half)
                },
            )
        self._expect(self._zset("x:id") == self._rows.keys(), "x:id does not list the instances")
        done = {name for name, row in self._rows.items() if "done" in row}
        self._expect(self._zset("x:done") == done, "x:done does not list the finished ones")

    def _ordered(self, prefix: str, rows: dict[str, dict[str, bytes]]) -> None:
        """The indexes in the order of pages, of one half of the instances."""
        members = {row["created"].decode() + name: name for name, row in rows.items()}
        listed = self._zset(f"{prefix}all")
        self._expect(listed == members.keys(), f"{prefix}all does not list the instances")
        for index, field in ((f"{prefix}status:", "status"), (f"{prefix}name:", "name")):
            seen: Counter[str] = Counter()
            for key in self._keys:
                if key.startswith(index):
                    for member in self._zset(key):
                        seen[member] += 1
                        row = rows.get(members.get(member, ""), {})
                        self._expect(
                            row.get(field, b"").decode() == key.removeprefix(index),
                            f"{key} lists {member}",
                        )
            self._expect(
                seen == Counter(members.keys()), f"{index} lists some never or more than once"
            )

    def _activities(self) -> None:
        for key in self._keys:
            if not key.startswith("act:"):
                continue
            number = key[4:]
            row = self._client.hgetall(self._prefix + key)
            owner = row.get(b"id", b"").decode()
            queued = self._client.hexists(f"{self._prefix}a:{owner}", number)
            self._expect(bool(queued), f"activity {number} is not with {owner}")
            waits = number in self._zset(f"queue:{row.get(b'name', b'').decode()}")
            lane = row.get(b"lane", b"").decode()
            claimed = self._client.sismember(f"{self._prefix}lane:{lane}:act", number)
            self._expect(waits != bool(claimed), f"activity {number}: {waits=} {claimed=}")

    def _orphans(self) -> None:
        for key in self._keys:
            kind, _, rest = key.partition(":")
            if kind in ("h", "m", "q", "u", "a"):
                self._expect(rest in self._rows, f"{key} belongs to nobody")
            elif kind == "lane" and rest.endswith(":own"):
                for member in self._client.smembers(self._prefix + key):
                    lane = self._rows.get(member.decode(), {}).get("lane", b"").decode()
                    self._expect(lane == rest[:-4], f"{key} has {member!r}, which is of {lane!r}")
