"""Servers that cannot be written to: told at connect, waited for while work is under way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from tests.servers.postgres import PostgresServer, running_server, server_folder

from durabletask.errors import BackendUnavailableError
from durabletask.postgres import PostgresStore

from .scene import Orders, Watch, ask, running, written

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

READ_ONLY = "the server is read-only"
SWITCH_OFF = "ALTER DATABASE postgres SET default_transaction_read_only = on"
COUNT = 30


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """A hot standby that streams from the primary, which is restarted to be copied."""
    with server_folder() as folder, primary.standby(folder) as standby:
        yield standby


async def refusal(url: str) -> str:
    """What opening a store there says."""
    store = PostgresStore(url)
    with pytest.raises(BackendUnavailableError) as caught:
        await store.open()
    await store.close()
    return str(caught.value)


async def test_a_replica_is_told_apart() -> None:
    """By name, with the remedy; which works."""
    with running_server() as primary:
        await PostgresStore(primary.url()).migrate()
        with standby_of(primary) as standby:
            error = await refusal(standby.url())
            assert f"127.0.0.1:{standby.port}" in error
            assert "read-only replica: name the primary" in error
            assert "target_session_attrs=primary" in error
            hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
            url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=primary"
            async with running(url) as client:
                orders = Orders(client, 3)
                await orders.start()
                await orders.see_through()
            nowhere = f"postgresql://postgres@127.0.0.1:{standby.port}/postgres"
            error = await refusal(f"{nowhere}?target_session_attrs=primary")
            assert "none of the hosts is what target_session_attrs asks for" in error


async def test_a_database_that_is_read_only_is_told() -> None:
    """Before anything is tried in it, though it has the schema and the hub."""
    with running_server() as server:
        store = PostgresStore(server.url())
        await store.open()
        await store.close()
        await ask(server.url(), SWITCH_OFF)
        assert READ_ONLY in await refusal(server.url())


async def test_work_waits_while_the_primary_is_a_replica() -> None:
    """**failure-infra** It was demoted: work pauses, and goes on when it is promoted again."""
    with running_server() as server:
        async with running(server.url()) as client:
            orders = Orders(client, COUNT)
            await orders.start(COUNT // 2)
            with Watch(READ_ONLY) as watch:
                await asyncio.to_thread(server.demote)
                rest = orders.start()
                await watch.seen.wait()
                orders.check_written(await written(server.url()))
                assert not rest.done()
            await ask(server.url(), "SELECT pg_promote()")
            await rest
            await orders.see_through()


async def test_work_waits_while_writing_is_switched_off() -> None:
    """**failure-infra** For everybody, as some services do when a disk is nearly full."""
    with running_server() as server:
        async with running(server.url()) as client:
            orders = Orders(client, COUNT)
            await orders.start(COUNT // 2)
            operator = await asyncpg.connect(server.url())
            with Watch(READ_ONLY) as watch:
                await operator.execute(SWITCH_OFF)
                await operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                rest = orders.start()
                await watch.seen.wait()
                orders.check_written(await written(server.url()))
                assert not rest.done()
            await operator.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
            await operator.close()
            await rest
            await orders.see_through()


async def test_a_replica_takes_over() -> None:
    """**failure-infra** A synchronous one, and the primary dies: nothing is lost, work goes on."""
    with running_server() as primary, standby_of(primary) as standby:
        await ask(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await ask(primary.url(), "SELECT pg_reload_conf()")
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        async with running(url) as client:
            orders = Orders(client, COUNT)
            await orders.start(COUNT // 2)
            with Watch("broke") as watch:
                primary.kill()
                rest = orders.start()
                await watch.seen.wait()
            await ask(standby.url(), "SELECT pg_promote()")
            await rest
            orders.check_written(await written(standby.url()))
            await orders.see_through()


async def test_a_schema_that_is_gone_is_waited_for() -> None:
    """**failure-infra** As in the minutes in which a backup is brought back."""
    with running_server() as server:
        async with running(server.url()) as client:
            orders = Orders(client, COUNT)
            await orders.start(COUNT // 2)
            with Watch("run `durabletask migrate URL`") as watch:
                await ask(server.url(), "ALTER SCHEMA durabletask RENAME TO elsewhere")
                rest = orders.start()
                await watch.seen.wait()
                assert not rest.done()
            await ask(server.url(), "ALTER SCHEMA elsewhere RENAME TO durabletask")
            await rest
            await orders.see_through()
