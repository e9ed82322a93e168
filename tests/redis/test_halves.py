"""Entities and orchestrations are listed apart, whichever script lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import redis

from durabletask.state import OrchestrationQuery, OrchestrationStatus
from durabletask.store import InstanceUpdate, NextExecution
from durabletask.testing.conformance.store.driver import (
    CREATED_AT,
    LaneDriver,
    execution,
    finish,
    instance,
    turn,
)

from .audit import Audit
from .hubs import fresh_hub, keys_of, store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from durabletask.redis import RedisStore

pytestmark = pytest.mark.asyncio

IDLE = InstanceUpdate(status="PENDING", busy=False)


@pytest_asyncio.fixture
async def hub(server_url: str) -> AsyncIterator[tuple[RedisStore, redis.Redis, str]]:
    """A store, and a look at the keys of its hub."""
    name = fresh_hub()
    store = store_on(server_url, name)
    await store.open()
    client = redis.Redis.from_url(server_url)
    yield store, client, name
    client.close()
    await store.close()


async def test_every_script_keeps_to_the_half(hub: tuple[RedisStore, redis.Redis, str]) -> None:
    """Born and ended alone or among others, gone on as new, idle and purged."""
    store, client, name = hub
    lane = await LaneDriver.open(store)

    def audit() -> None:
        looked = Audit(client, name)
        assert looked.problems == []

    for at in ("", "@"):
        alone, among, idle = f"{at}alone", f"{at}among", f"{at}idle"
        await lane.commit(
            creates=[instance(alone, owned=True, tags={"k": "v"})], turns=[turn(alone, 0)]
        )
        await lane.start(among, idle, tags={"k": "v"})
        await lane.commit(turns=[turn(among, 0), turn(idle, 0, update=IDLE)])
        audit()
        await lane.commit(turns=[finish(alone, 1)])
        following = NextExecution(execution_id=execution(among, 2), input="{}", version=None)
        await lane.commit(turns=[turn(among, 1, update=None, next=following)])
        await lane.release(idle)
        audit()
        await lane.commit(turns=[finish(among, 0, execution_id=execution(among, 2))])
        audit()
        assert await store.purge_idle([alone, among, idle]) == 1
        audit()
        assert await store.purge_instances([alone, among], recursive=False) == 2
        audit()
    left = [key for key in keys_of(client, name) if b":x:" in key]
    assert left == [], "nothing of an index is left"


async def test_a_page_reads_what_it_shows(hub: tuple[RedisStore, redis.Redis, str]) -> None:
    """Neither half of the instances is read for a page of the other."""
    store, _, _ = hub
    lane = await LaneDriver.open(store)
    await lane.commit(
        creates=[instance(f"@counter@{n:05}", created_at=CREATED_AT + n) for n in range(3000)]
    )
    late = CREATED_AT + 10_000
    await lane.commit(
        creates=[instance(f"order-{n}", created_at=late + n, owned=True) for n in range(10)]
    )
    await lane.commit(turns=[turn(f"order-{n}", 0) for n in range(10)])
    reads = counted(store)
    for query, shown in (
        (OrchestrationQuery(), 10),
        (OrchestrationQuery(instance_id_prefix="order-"), 10),
        (OrchestrationQuery(statuses=frozenset({OrchestrationStatus.RUNNING})), 10),
        (OrchestrationQuery(statuses=frozenset({OrchestrationStatus.PENDING})), 0),
        (OrchestrationQuery(instance_id_prefix="@counter@", page_size=100), 100),
    ):
        page, _ = await store.query_instances(query)
        assert len(page) == shown
        assert sum(reads) <= shown + 1
        reads.clear()


def counted(store: RedisStore) -> list[int]:
    """Has the number of rows of every reading from now on."""
    reads: list[int] = []
    line = store._open.reads
    send = line.send

    async def sent(commands: Sequence[tuple[Any, ...]]) -> Any:
        reads.append(sum(command[0] == "HMGET" for command in commands))
        return await send(commands)

    line.send = sent  # type: ignore[assignment,method-assign]
    return reads
