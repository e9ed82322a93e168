"""What a store remembers of a lane, and the lane's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.postgres.encode import Encoding, Owned
from durabletask.postgres.faults import FENCED
from durabletask.postgres.link import Link
from durabletask.store import Vigil

if TYPE_CHECKING:
    from asyncpg import Connection

    from durabletask.postgres.connector import Connector
    from durabletask.postgres.options import PostgresOptions
    from durabletask.store import LaneKey

__all__ = ["LaneSession"]


class LaneSession:
    """A lane as this process knows it. One commit and one poll are under way at a time.

    The connection holds the lane's advisory lock for as long as it lasts, by which others see at
    once when this process is dead. Nobody but the lane changes what it owns, and every commit shows
    that it still is the owner; so what is known from earlier commits need not be read.

    Attributes:
        is_worker: it can own something. Nobody needs to know that a client is dead.
        key: None until the lane is open.
        owned: instances that it is known to own; it may own others.
        polls, acked: number of the last poll, and of the last whose answer has arrived.
        holds: whether the connection holds the lane's advisory lock, as it should.
        sent: the last batch of which it is not known whether it was applied.
        vigil: kept during commits of one turn.
    """

    def __init__(
        self,
        connector: Connector,
        options: PostgresOptions,
        hub: int,
        *,
        is_worker: bool = False,
    ) -> None:
        self.is_worker = is_worker
        self._connector = connector
        self._renew = f'SELECT present FROM "{options.schema}".renew_lane_v1($1, $2, $3, true)'
        self._hub = hub
        self.link = Link(connector, options.command_timeout, self._greet)
        self.key: LaneKey | None = None
        self.owned: dict[str, Owned] = {}
        self.polls = 0
        self.acked = 0
        self.holds = True
        self.sent: tuple[int, list[Encoding]] | None = None
        self.vigil = Vigil(options.spin)

    async def _greet(self, connection: Connection) -> None:
        """Take the advisory lock anew, on a connection that replaces a broken one."""
        if self.key is None or not self.is_worker or self._connector.pooled:
            return
        try:
            key = (self.key.lane_id, self.key.epoch)
            self.holds = await connection.fetchval(self._renew, self._hub, *key)
        except Exception as error:
            # The lane is lost, as the call that comes next will find.
            if getattr(error, "sqlstate", None) != FENCED:
                raise

    def applied(self, encodings: list[Encoding], refused: frozenset[int]) -> None:
        """A batch is durable: take note of what is owned from now on."""
        self.sent = None
        for encoding in encodings:
            for instance_id, (position, owned) in encoding.gained.items():
                if position is None or position not in refused:
                    self.owned[instance_id] = owned
            for instance_id in encoding.given_up:
                self.owned.pop(instance_id, None)

    def claimed(self, rows: list[Any]) -> None:
        """A poll has brought these rows."""
        self.acked = self.polls
        self.remember([row for row in rows if row["kind"] == "instance"])

    def remember(self, rows: list[Any]) -> None:
        """These are owned, as has just been read."""
        for row in rows:
            self.owned[row["instance_id"]] = Owned(row["ordinal"], row["execution_id"])
