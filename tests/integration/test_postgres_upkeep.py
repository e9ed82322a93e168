"""PostgreSQL in the long run: nothing grows from what has finished and been purged."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.servers.postgres import running_server

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.postgres import PostgresBackend
from durabletask.state import OrchestrationQuery
from durabletask.worker import TaskHubWorker

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

SIZES = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relnamespace = 'durabletask'::regnamespace AND relkind = 'r'
"""

LEFT = """
SELECT (SELECT count(*) FROM durabletask.instances) + (SELECT count(*) FROM durabletask.history)
    + (SELECT count(*) FROM durabletask.inbox) + (SELECT count(*) FROM durabletask.activities)
"""


@task.orchestration
def ship(ctx: task.OrchestrationContext, number: int) -> Any:
    for _ in range(3):
        number = yield ctx.call_activity(pack, input=number)
    yield ctx.wait_for_external_event("paid")
    return number


@task.activity
async def pack(ctx: task.ActivityContext, number: int) -> int:
    return number + 1


async def round_of(client: TaskHubClient, count: int) -> None:
    """So many instances from their start to their purge."""
    ids = await asyncio.gather(
        *(client.schedule_new_orchestration(ship, input=n) for n in range(count))
    )
    await asyncio.gather(*(client.raise_event(started, "paid") for started in ids))
    await asyncio.gather(*(client.wait_for_orchestration_completion(started) for started in ids))
    purged = await client.purge_orchestrations_by(OrchestrationQuery())
    assert purged.deleted_instance_count == count


async def test_what_is_purged_leaves_no_bloat(tmp_path: Path) -> None:
    """**purge** The tables are as large after the last round as after the third."""
    with running_server(autovacuum_naptime="1s") as server:
        operator = await asyncpg.connect(server.url())
        backend = PostgresBackend(server.url())
        async with (
            TaskHubWorker(backend=backend) as worker,
            TaskHubClient(backend=backend) as client,
        ):
            worker.add_orchestration(ship)
            worker.add_activity(pack)
            await worker.start()
            sizes = []
            for _ in range(10):
                await round_of(client, 500)
                # In production there are minutes between two sweeps; here they are not awaited.
                await operator.execute(
                    "VACUUM durabletask.instances, durabletask.history, durabletask.inbox"
                )
                sizes.append(int(await operator.fetchval(SIZES)))
            assert await operator.fetchval(LEFT) == 0
        await operator.close()
        await backend.close()
    assert max(sizes[3:]) <= 1.5 * sizes[2], sizes


@task.orchestration
def wait(ctx: task.OrchestrationContext, number: int) -> Any:
    paid = ctx.wait_for_external_event("paid")
    if number % 2:
        yield paid
    else:
        yield task.when_any([paid, ctx.create_timer(timedelta(days=number + 1))])


COUNTED = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"
IDLE = 8.0


async def test_ten_thousand_that_wait_cost_next_to_nothing() -> None:
    """Under one percent of a core, five short transactions a second, and nothing is written."""
    with running_server(autovacuum="off") as server:
        backend = PostgresBackend(server.url())
        async with (
            TaskHubWorker(backend=backend) as worker,
            TaskHubClient(backend=backend) as client,
        ):
            worker.add_orchestration(wait)
            await worker.start()
            await asyncio.gather(
                *(client.schedule_new_orchestration(wait, input=n) for n in range(10_000))
            )
            last = [client.schedule_new_orchestration(wait, input=n) for n in range(10)]
            for started in await asyncio.gather(*last):
                await client.wait_for_orchestration_start(started)
            # Sessions count what they did when they have rested for ten seconds.
            await asyncio.sleep(11.0)
            operator = await asyncpg.connect(server.url())
            before = await operator.fetchval(COUNTED)
            wal = await operator.fetchval("SELECT pg_current_wal_insert_lsn()")
            cpu = time.process_time()
            await asyncio.sleep(IDLE)
            cpu = time.process_time() - cpu
            written = await operator.fetchval("SELECT pg_current_wal_insert_lsn() - $1", wal)
            await operator.execute("SELECT pg_stat_clear_snapshot()")
            asked = await operator.fetchval(COUNTED) - before
            await operator.close()
        await backend.close()
    assert cpu < 0.01 * IDLE
    assert asked <= 5 * IDLE
    assert written < 50_000, "renewals and the server's own housekeeping write a little"
