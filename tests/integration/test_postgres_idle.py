"""PostgreSQL: idle instances are removed while somebody asks them for something.

A session of the test takes the locks that a purge takes, so what comes first is not left to chance.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durabletask.postgres import PostgresOptions, PostgresStore
from durabletask.state import OrchestrationQuery
from durabletask.store import InstanceUpdate
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    ORDER,
    LaneDriver,
    execution,
    instance,
    message,
    turn,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

COUNTER = "@counter"
NAME = "@counter@a"

LOCK = """
SELECT 1 FROM {schema}.instances
WHERE instance_id = $1 AND hub = (SELECT hub FROM {schema}.hubs WHERE name = $2) FOR UPDATE
"""
PURGE = "SELECT {schema}.purge_idle_v1(hub, $1) FROM {schema}.hubs WHERE name = $2"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
READ = """
SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_all_tables
WHERE relid = '{schema}.instances'::regclass
"""
PAGE = """
SELECT count(*) FROM {schema}.hubs AS h, LATERAL {schema}.query_v1(
    h.hub, NULL, NULL, $2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 11, false
) WHERE h.name = $1
"""


@pytest_asyncio.fixture
async def hub(postgres) -> AsyncIterator["Hub"]:
    """A new hub with an idle counter in it."""
    options = PostgresOptions(task_hub=secrets.token_hex(8), schema=postgres.schema)
    store = PostgresStore(postgres.dsn, options)
    await store.open()
    operator = await asyncpg.connect(postgres.dsn)
    lane = await LaneDriver.open(store, orchestrations={ORDER: "v1", COUNTER: "v1"})
    await lane.start(NAME, name=COUNTER)
    await lane.commit(turns=[turn(NAME, 0, update=InstanceUpdate(status="PENDING", busy=False))])
    await lane.release(NAME)
    yield Hub(store, lane, operator, options)
    await operator.close()
    await store.close()


class Hub:
    """A hub and somebody who does by hand what its purges do."""

    def __init__(
        self,
        store: PostgresStore,
        lane: LaneDriver,
        operator: asyncpg.Connection,
        options: PostgresOptions,
    ) -> None:
        self.store = store
        self.lane = lane
        self.operator = operator
        self.options = options

    async def ask(self, statement: str, *arguments: Any) -> Any:
        """The one value of a statement of the operator's."""
        return await self.operator.fetchval(
            statement.format(schema=self.options.schema), *arguments
        )

    async def purge(self) -> int:
        """Remove the counter as the operator."""
        deleted: int = await self.ask(PURGE, [NAME], self.options.task_hub)
        return deleted

    @asynccontextmanager
    async def meanwhile(self, **batch: Any) -> AsyncIterator[asyncio.Task[Any]]:
        """Inside, the commit of a batch waits for the operator, and goes on afterwards."""
        committing = asyncio.create_task(self.lane.commit(**batch))
        pid = self.operator.get_server_pid()
        while not await self.ask(WAITING, pid):
            assert not committing.done(), committing
            await asyncio.sleep(0.002)
        yield committing


def asking(number: int = 0, **also: Any) -> dict[str, Any]:
    """A batch that asks the counter for something, and creates it if need be."""
    again = instance(NAME, name=COUNTER, execution_id=f"again/{number}", **also)
    return {"creates": [again], "messages": [message(NAME, "add")]}


async def arrived(hub: Hub, execution_id: str) -> None:
    """The message is there, once, for that execution."""
    claimed = await hub.lane.claim(NAME)
    assert (claimed.execution_id, [m.body for m in claimed.messages]) == (execution_id, [b"add"])


@pytest.mark.parametrize("kind", ["submission", "batch", "owner's batch", "cut batch"])
async def test_it_is_removed_between_create_and_message(hub: Hub, caplog, kind: str) -> None:
    """The create has found it, the message does not: the batch is repeated and creates it.

    However the batch reaches the server: in the call of clients, in that of workers, or in several.
    """
    caplog.set_level(logging.WARNING)
    await hub.lane.start("other")
    batch = asking()
    if kind == "owner's batch":
        batch = asking(owned=True)
    if kind in ("batch", "cut batch"):
        batch["turns"] = [turn("other", n) for n in range(1 if kind == "batch" else 2)]
    attempts = counted(hub.store)
    async with hub.operator.transaction():
        await hub.ask(LOCK, NAME, hub.options.task_hub)
        async with hub.meanwhile(**batch) as committing:
            assert await hub.purge() == 1
    result = await committing
    assert (result.refused, result.missing) == (frozenset(), frozenset())
    assert attempts == [1, 1], "what was refused first is created at the second attempt"
    if kind == "owner's batch":
        await hub.lane.release(NAME)
    await arrived(hub, "again/0")
    assert caplog.records == [], "nobody needs to hear of it"


def counted(store: PostgresStore) -> list[int]:
    """Has a 1 for every attempt of a commit from now on."""
    attempts: list[int] = []
    apply = store._open._apply

    async def applied(*arguments: Any) -> Any:
        attempts.append(1)
        return await apply(*arguments)

    store._open._apply = applied  # type: ignore[method-assign]
    return attempts


@pytest.mark.parametrize("undone", [False, True])
async def test_it_is_removed_before_the_create(hub: Hub, undone: bool) -> None:
    """The create waits for the purge, and then knows whether the id is free."""
    attempts = counted(hub.store)
    transaction = hub.operator.transaction()
    await transaction.start()
    assert await hub.purge() == 1
    async with hub.meanwhile(**asking()) as committing:
        await (transaction.rollback() if undone else transaction.commit())
    result = await committing
    assert (result.refused, result.missing) == (frozenset({0} if undone else ()), frozenset())
    assert attempts == [1]
    await arrived(hub, execution(NAME) if undone else "again/0")


async def test_a_message_alone_finds_nobody(hub: Hub) -> None:
    """Without a create nothing was promised."""
    async with hub.operator.transaction():
        assert await hub.purge() == 1
        async with hub.meanwhile(messages=[message(NAME, "add")]) as committing:
            pass
        assert not committing.done()
    assert (await committing).missing == frozenset({0})


async def test_a_purge_waits_for_nobody(hub: Hub) -> None:
    """Whose row somebody has locked is not idle, and is left out at once."""
    await hub.lane.start("@counter@b", name=COUNTER)
    blank = turn("@counter@b", 0, update=InstanceUpdate(status="PENDING", busy=False))
    await hub.lane.commit(turns=[blank])
    await hub.lane.release("@counter@b")
    async with hub.operator.transaction():
        lock = LOCK.replace("UPDATE", "NO KEY UPDATE")
        await hub.ask(lock, NAME, hub.options.task_hub)
        assert await hub.store.purge_idle([NAME, "@counter@b"]) == 1
    assert await hub.store.purge_idle([NAME, "@counter@b"]) == 1


async def test_a_message_that_comes_first_keeps_it(hub: Hub) -> None:
    """A purge that found it idle looks again when it has the lock, or leaves it out."""
    async with hub.operator.transaction():
        # What a purge sees of the row is as old as its statement; the message is not.
        await hub.ask("SELECT count(*) FROM {schema}.instances")
        assert (await hub.lane.commit(**asking())).missing == frozenset()
        assert await hub.purge() == 0
    await arrived(hub, execution(NAME))


async def test_a_page_reads_what_it_shows(hub: Hub) -> None:
    """Neither half of the instances is read for a page of the other."""
    entities = [
        instance(f"@counter@{n:05}", name=COUNTER, created_at=CREATED_AT + n) for n in range(3000)
    ]
    await hub.lane.commit(creates=entities)
    late = CREATED_AT + 10_000
    orders = [instance(f"order-{n}", created_at=late + n) for n in range(10)]
    await hub.lane.commit(creates=orders)
    for prefix, shown in ((None, 10), ("order-", 10), ("@counter@0", 11)):
        async with hub.operator.transaction():
            before = await hub.ask(READ)
            assert await hub.ask(PAGE, hub.options.task_hub, prefix) == shown
            assert await hub.ask(READ) - before == shown
    page, token = await hub.store.query_instances(OrchestrationQuery(page_size=10))
    assert ([row.instance_id for row in page], token) == ([f"order-{n}" for n in range(10)], None)
