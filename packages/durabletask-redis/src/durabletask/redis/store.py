"""The store behind ``redis://`` URLs."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from durabletask.backend import Capabilities
from durabletask.errors import (
    BackendClosedError,
    BackendUnavailableError,
    LaneFencedError,
    SchemaVersionError,
    UnknownCommitError,
)
from durabletask.redis import fences
from durabletask.redis.direct import Direct
from durabletask.redis.hints import Hints
from durabletask.redis.home import Home
from durabletask.redis.line import Line
from durabletask.redis.options import RedisOptions
from durabletask.redis.queries import find, record_command, records_of
from durabletask.redis.rows import instance_record, standing_of, unclaimed_of, work_of
from durabletask.redis.server import check_server
from durabletask.redis.trouble import LinkLostError
from durabletask.redis.wire import (
    CLEAN,
    lone_call,
    pack_batch,
    pack_rewound,
    pack_value,
    result_of,
)
from durabletask.store import FINISHED_STATUSES, CommitResult, LaneKey, Store, is_small

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from durabletask.redis.address import Address
    from durabletask.redis.link import Argument
    from durabletask.state import OrchestrationQuery
    from durabletask.store import (
        Batch,
        InstanceRecord,
        Interest,
        LaneOptions,
        LaneStanding,
        RewoundInstance,
        Unclaimed,
        Work,
    )

__all__ = ["RedisStore"]

_log = logging.getLogger("durabletask.redis")

CAPABILITIES = Capabilities(name="redis", rewind=True, entities=True)
NOT_DURABLE = Capabilities(name="redis", durable=False, rewind=True, entities=True)

SCHEMA = 1
"""Version of the layout of keys. A server keeps what one version wrote; another refuses it."""

GIVEN_UP_AT_ONCE = 500
CHUNKS_AT_ONCE = 1_000
PURGED_AT_ONCE = 100

_APPLIED: list[Any] = [b"ok", [], []]

_BIRTH_BITS = 32
_RAISE_BITS = 20


class RedisStore(Store):
    """A task hub on a Redis server, on one watched by Sentinels, or on a Cluster.

    All keys of a hub have one hash tag and lie in one slot, so that a batch, whatever instances
    it is about, is one script: checked whole, then written whole. A Cluster spreads hubs over
    its nodes, not the inside of a hub.

    Two connections carry requests, one for the lanes and one for readers, so a query never
    stands in front of a commit; a third listens for hints.

    Args:
        address: where the server is.
        options: see :class:`RedisOptions`.
    """

    def __init__(self, address: Address, options: RedisOptions | None = None) -> None:
        self._address = address
        self._options = options or RedisOptions()
        self._prefix = f"dt:{{{self._options.task_hub}}}:"
        self._running: _Running | None = None
        self._ahead = 0
        self._polls: dict[int, _Polls] = {}
        self._acknowledged: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"RedisStore({self._address.text!r}, task_hub={self._options.task_hub!r})"

    @property
    def capabilities(self) -> Capabilities:
        return NOT_DURABLE if self._options.durability == "none" else CAPABILITIES

    # --- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, check the server's settings, and found the hub if there is none.

        Raises:
            BackendUnavailableError: the server cannot be used, or would lose data.
            SchemaVersionError: the hub was written by another version of this library.
        """
        if self._running is not None:
            return
        running = _Running(self._address, self._prefix, self._options)
        try:
            await running.work.open()
            if running.home.facts is not None:
                check_server(running.home.facts, self._options, running.home.place)
            await self._found(running)
        except BaseException:
            await running.close()
            raise
        self._running = running

    async def _found(self, running: _Running) -> None:
        schema, now = await running.work.run("open", SCHEMA)
        self._heard_clock(now)
        if int(schema) != SCHEMA:
            age = "a newer" if int(schema) > SCHEMA else "an older"
            raise SchemaVersionError(
                f"the task hub {self._options.task_hub!r} on the Redis server at "
                f"{running.home.place} has keys of version {int(schema)}, from {age} release "
                f"of durabletask-redis, and this one reads version {SCHEMA}: install the release "
                "that wrote it, or use another task hub"
            )

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._open.hints.listen(wake)

    @property
    def _open(self) -> _Running:
        if self._running is None:
            raise BackendClosedError(
                f"the Redis store of {self._address.text} is not open: open it first, and do not "
                "use it after closing it"
            )
        return self._running

    def now(self) -> int:
        return time.time_ns() // 1000 + self._ahead

    def _heard_clock(self, now: int) -> None:
        self._ahead = now - time.time_ns() // 1000

    # --- lanes ---------------------------------------------------------------------------------

    async def open_lane(self, options: LaneOptions) -> tuple[LaneKey, LaneStanding]:
        # An epoch is born at random, so a lane that the server has forgotten (it lost its last
        # writes) is no lane that got the same number later.
        epoch = (secrets.randbits(_BIRTH_BITS - 1) + 1) << _RAISE_BITS
        answer = await self._open.work.run(
            "open_lane",
            str(epoch),
            options.worker,
            round(options.lease * 1_000_000),
            pack_value(options.orchestrations),
            pack_value(sorted(options.activities)),
        )
        self._open.hints.soon()
        key = LaneKey(int(answer[0]), epoch)
        self._polls[key.lane_id] = _Polls()
        return key, self._standing(answer)

    async def renew_lane(self, lane: LaneKey) -> LaneStanding:
        answer = await self._open.work.run("renew_lane", str(lane.lane_id), str(lane.epoch))
        if answer[0] == b"lane":
            raise LaneFencedError(fences.of_lane(lane, answer[1]))
        return self._standing(answer)

    def _standing(self, answer: list[Any]) -> LaneStanding:
        self._heard_clock(answer[1])
        return standing_of(answer[1], answer[2])

    async def close_lane(self, lane: LaneKey) -> None:
        running = self._open
        more = 1
        while more:
            more = await running.work.run(
                "close_lane", str(lane.lane_id), str(lane.epoch), GIVEN_UP_AT_ONCE
            )
        self._polls.pop(lane.lane_id, None)
        self._acknowledged.pop(lane.lane_id, None)
        running.hints.soon()

    async def take_over(self) -> int:
        running = self._open
        total, more = 0, 1
        while more:
            ended, more = await running.work.run("take_over", GIVEN_UP_AT_ONCE)
            total += ended
        if total:
            running.hints.soon()
        return total

    # --- work ----------------------------------------------------------------------------------

    async def poll(self, lane: LaneKey, interest: Interest) -> Work:
        polls = self._polls.setdefault(lane.lane_id, _Polls())
        polls.sent += 1
        wanted = (
            sorted(interest.orchestrations),
            sorted(interest.activities),
            interest.max_instances,
            interest.max_activities,
            interest.suspects,
            interest.probation_after,
            sorted(interest.refused_versions),
        )
        key = (str(lane.lane_id), str(lane.epoch))
        numbers = (polls.sent, polls.seen, self._acknowledged.get(lane.lane_id, 0))
        try:
            # Once: what asks again has to be another call, with a number of its own.
            answer = await self._open.work.run(
                "poll", *key, *numbers, pack_value(wanted), once=True
            )
        except LinkLostError as error:
            raise BackendUnavailableError(f"a poll was not answered: {error}") from error
        if answer[0] == b"lane":
            raise LaneFencedError(fences.of_lane(lane, answer[1]))
        if answer[0] == b"gap":
            raise self._lost(lane.lane_id, answer[1].decode(), *answer[2:])
        polls.seen = int(answer[2])
        work = work_of(answer)
        self._heard_clock(work.now)
        return work

    async def commit(self, batch: Batch) -> CommitResult:
        running = self._open
        acknowledged = self._acknowledged.get(batch.lane.lane_id, 0)
        hint = running.hints.due()
        began = time.perf_counter()
        try:
            short = lone_call(batch, acknowledged, hint)
            if short is not None and await running.commit(short[0], *short[1]):
                answer = _APPLIED
            else:
                answer = await running.commit("commit", pack_batch(batch, acknowledged, hint))
        except LinkLostError as error:
            raise self._unknown(batch, error) from error
        if is_small(batch):
            running.direct.took(time.perf_counter() - began)
        return self._result(batch, answer)

    def commit_now(self, batch: Batch) -> CommitResult | None:
        running = self._running
        if running is None or not (running.can_commit_in_place and is_small(batch)):
            return None
        acknowledged = self._acknowledged.get(batch.lane.lane_id, 0)
        hint = running.hints.due()
        short = lone_call(batch, acknowledged, hint)
        try:
            if short is not None:
                answer = _APPLIED if running.direct.run(short[0], *short[1]) else None
            else:
                answer = running.direct.run("commit", pack_batch(batch, acknowledged, hint))
        except LinkLostError as error:
            raise self._unknown(batch, error) from error
        # What was refused comes up again in ``commit``.
        return self._result(batch, answer) if answer and answer[0] == b"ok" else None

    def _unknown(self, batch: Batch, error: LinkLostError) -> UnknownCommitError:
        return UnknownCommitError(
            f"the connection to the Redis server at {self._open.home.place} broke in a commit of "
            f"lane {batch.lane.lane_id}: {error}"
        )

    def _result(self, batch: Batch, answer: list[Any]) -> CommitResult:
        """What a commit found, or LaneFencedError."""
        verdict = answer[0]
        lane_id = batch.lane.lane_id
        if verdict == b"gap":
            acknowledged = self._acknowledged.get(lane_id, 0)
            raise self._lost(lane_id, "batch", acknowledged, int(answer[1]))
        if verdict != b"ok":
            raise LaneFencedError(fences.of_batch(batch, answer))
        self._acknowledged[lane_id] = batch.number
        if answer[1] or answer[2]:
            return CommitResult(frozenset(answer[1]), frozenset(answer[2]))
        return CLEAN

    def _lost(self, lane_id: int, what: str, acknowledged: int, number: int) -> LaneFencedError:
        """The server has lost what it had acknowledged: told in the log, and to the lane."""
        reason = fences.of_gap(lane_id, what, acknowledged, number)
        _log.error(reason)
        return LaneFencedError(reason)

    async def resolve(self, batch: Batch) -> tuple[LaneKey, CommitResult | None]:
        lane = batch.lane
        running = self._open
        answer = await running.work.run(
            "resolve", str(lane.lane_id), str(lane.epoch), str(batch.number)
        )
        if answer[0] == b"lane":
            raise LaneFencedError(fences.of_lane(lane, answer[1]))
        _, epoch, applied, result = answer
        if applied:
            await running.replicated()
            self._acknowledged[lane.lane_id] = batch.number
        return LaneKey(lane.lane_id, int(epoch)), result_of(result) if applied else None

    async def unclaimed(self, older_than: float) -> list[Unclaimed]:
        return unclaimed_of(await self._open.reads.run("unclaimed", round(older_than * 1_000_000)))

    # --- reading and upkeep --------------------------------------------------------------------

    async def read_history(self, executions: Sequence[tuple[str, str]]) -> list[list[bytes]]:
        reads = self._open.reads
        if not executions:
            return []
        histories: list[list[bytes]] = await reads.run_all(
            [("history", *execution, 0, CHUNKS_AT_ONCE) for execution in executions]
        )
        for execution, chunks in zip(executions, histories, strict=True):
            more = len(chunks) == CHUNKS_AT_ONCE
            while more:
                found = await reads.run("history", *execution, len(chunks), CHUNKS_AT_ONCE)
                chunks += found
                more = len(found) == CHUNKS_AT_ONCE
        return histories

    async def get_instances(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> dict[str, InstanceRecord]:
        running = self._open
        found = self._look(instance_ids, payloads=payloads)
        if found is None:
            found = await records_of(running.reads, self._prefix, instance_ids, payloads=payloads)
        records = {record.instance_id: record for record in found if record is not None}
        await running.shown(records.values())
        return records

    def _look(
        self, instance_ids: Sequence[str], *, payloads: bool
    ) -> list[InstanceRecord | None] | None:
        """A look at one row, which takes less time than to ask for it over the event loop."""
        if len(instance_ids) != 1:
            return None
        [name] = instance_ids
        command = record_command(self._prefix, name, payloads=payloads)
        row = self._open.direct.read(*command)
        return None if row is None else [instance_record(name, row)]

    async def query_instances(
        self, query: OrchestrationQuery
    ) -> tuple[list[InstanceRecord], str | None]:
        records, token = await find(self._open.reads, self._prefix, query)
        await self._open.shown(records)
        return records, token

    async def purge_instances(self, instance_ids: Sequence[str], *, recursive: bool) -> int:
        running = self._open
        doomed = list(dict.fromkeys(instance_ids))
        if recursive:
            doomed = await self._with_descendants(running.reads, doomed)
        deleted = 0
        # The last found are the deepest. They go first: when this ends early, what is left is
        # still a descendant of something, and the next purge finds it.
        for end in range(len(doomed), 0, -PURGED_AT_ONCE):
            some = doomed[max(0, end - PURGED_AT_ONCE) : end]
            deleted += await running.work.run("purge", *reversed(some))
        if deleted:
            running.hints.soon()
        return deleted

    async def purge_idle(self, instance_ids: Sequence[str]) -> int:
        work = self._open.work
        deleted = 0
        for start in range(0, len(instance_ids), PURGED_AT_ONCE):
            deleted += await work.run("purge_idle", *instance_ids[start : start + PURGED_AT_ONCE])
        return deleted

    async def rewind_instances(self, rewound: Sequence[RewoundInstance]) -> bool:
        running = self._open
        if not await running.work.run("rewind", pack_rewound(rewound)):
            return False
        await running.replicated()
        running.hints.soon()
        return True

    async def _with_descendants(self, reads: Line, roots: list[str]) -> list[str]:
        """The finished ones of ``roots`` and their finished descendants, each behind its parent."""
        found: dict[str, None] = {}
        level = roots
        while level:
            done = await reads.send(
                [("HEXISTS", f"{self._prefix}i:{name}", "done") for name in level]
            )
            level = [name for name, is_done in zip(level, done, strict=True) if is_done]
            for name in level:
                found.pop(name, None)
                found[name] = None
            if not level:
                break
            children = await reads.send([("SMEMBERS", f"{self._prefix}k:{name}") for name in level])
            level = [name.decode() for names in children for name in names]
        return list(found)


class _Polls:
    """Numbers of a lane's last poll, and of the last one known to have been given something."""

    __slots__ = ("seen", "sent")

    def __init__(self) -> None:
        self.sent = self.seen = 0


class _Running:
    """What a store holds while it is open."""

    def __init__(self, address: Address, prefix: str, options: RedisOptions) -> None:
        self.home = Home(address, prefix, options)
        self.work = Line(self.home)
        self.reads = Line(self.home)
        self.hints = Hints(self.home, self.work)
        self.direct = Direct(self.home, options.spin)
        self._copies: tuple[str, int, int] | None = None
        if options.durability == "replicated":
            self._copies = ("WAIT", options.replicas, round(options.timeout * 500))

    @property
    def can_commit_in_place(self) -> bool:
        """Whether the server is quick, and its own word is enough."""
        return self._copies is None and self.direct.is_ready

    async def commit(self, name: str, *arguments: Argument) -> Any:
        """Run a committing script, and have its writes where the chosen durability wants them.

        Raises:
            LinkLostError: it may have been applied, or not be everywhere yet.
        """
        if self._copies is None:
            return await self.work.run(name, *arguments, once=True)
        calls = [(name, *arguments)]
        answer, reached = await self.work.run_all(calls, self._copies, once=True)
        if reached < self._copies[1]:
            try:
                await self.replicated()
            except BackendUnavailableError as error:
                # It is applied; whether it will last is for the lane to look up.
                raise LinkLostError(str(error), sent=True) from error
        return answer

    async def shown(self, records: Collection[InstanceRecord]) -> None:
        """Return once what is about to be shown will last.

        The server shows a write before its replicas have it. Whoever sees an outcome relies on
        it, so it is shown only when a failover cannot undo it any more.
        """
        if self._copies and any(record.status in FINISHED_STATUSES for record in records):
            await self.replicated()

    async def replicated(self) -> None:
        """Return once the replicas that were asked for have all that was written.

        WAIT speaks of the writes of its own connection, so this one makes one before.
        """
        while self._copies is not None:
            _, reached = await self.work.run_all([("touch",)], self._copies)
            if reached >= self._copies[1]:
                return
            _log.warning(
                "a commit waits for %d replicas of the Redis server at %s, and %d have it",
                self._copies[1],
                self.home.place,
                reached,
            )

    async def close(self) -> None:
        """Close all connections."""
        await self.hints.close()
        await self.direct.close()
        await self.work.close()
        await self.reads.close()
        await self.home.address.close()
