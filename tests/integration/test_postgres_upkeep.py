"""PostgreSQL in the long run: nothing grows from what has finished and been purged."""

import asyncio
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


async def test_polls_of_an_idle_hub_write_nothing(postgres) -> None:
    """A worker that waits for thousands of events costs a few short queries a second."""
    backend = PostgresBackend(postgres.dsn, schema=postgres.schema, task_hub_name="idle")
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(ship)
        worker.add_activity(pack)
        await worker.start()
        ids = [client.schedule_new_orchestration(ship, input=n) for n in range(200)]
        await asyncio.gather(*ids)
        await asyncio.sleep(1.0)
        operator = await asyncpg.connect(postgres.dsn)
        asked = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        # The statistics of a session are published when it has been idle for a second or so.
        await operator.execute("SELECT pg_stat_clear_snapshot()")
        before = await operator.fetchval(asked)
        wal = await operator.fetchval("SELECT pg_current_wal_insert_lsn()")
        await asyncio.sleep(4.0)
        written = await operator.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", wal)
        await operator.execute("SELECT pg_stat_clear_snapshot()")
        after = await operator.fetchval(asked)
        await operator.close()
    assert after - before < 5 * 4 + 10
    assert written < 100_000, "renewals and the server's own housekeeping write a little"
