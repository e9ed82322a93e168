"""What is PostgreSQL's own: connecting, rights, schema versions, the user's transactions."""

import asyncio
import inspect
import re
import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durabletask import task
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    BackendError,
    BackendUnavailableError,
    BackendUrlError,
    ConfigurationError,
    InstanceAlreadyExistsError,
    InvalidRequestError,
    LaneFencedError,
    SchemaVersionError,
)
from durabletask.plugins import connect
from durabletask.postgres import PostgresBackend, PostgresOptions, PostgresStore
from durabletask.postgres.link import ConnectionLostError, Link
from durabletask.postgres.schema import MIGRATIONS, SCHEMA_VERSION
from durabletask.testing.conformance.store.driver import (
    LaneDriver,
    activity,
    instance,
    message,
    turn,
)
from durabletask.worker import TaskHubWorker

pytestmark = pytest.mark.asyncio


@task.orchestration
def ship(ctx: task.OrchestrationContext, order: int) -> Any:
    return (yield ctx.call_activity(pack, input=order))


@task.activity
async def pack(ctx: task.ActivityContext, order: int) -> int:
    return order + 1


@pytest.fixture
def options(postgres) -> PostgresOptions:
    """A new hub."""
    return PostgresOptions(task_hub=secrets.token_hex(8), schema=postgres.schema)


@pytest_asyncio.fixture
async def database(postgres):
    """A new database on the same server, which has never seen us."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute(f'CREATE DATABASE "{name}"')
    yield re.sub(r"/[^/?]*(?=\?|$)", f"/{name}", postgres.dsn)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


@asynccontextmanager
async def session(dsn: str):
    """A connection of an operator."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def refusal(dsn: str, options: PostgresOptions | None = None) -> BackendError:
    """What opening a store there raises."""
    store = PostgresStore(dsn, options)
    with pytest.raises(BackendError) as caught:
        await store.open()
    await store.close()
    return caught.value


async def works(dsn: str, options: PostgresOptions) -> None:
    """See an orchestration through."""
    backend = PostgresBackend(dsn, options=options)
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(ship)
        worker.add_activity(pack)
        await worker.start()
        started = await client.schedule_new_orchestration(ship, input=1)
        assert (await client.wait_for_orchestration_completion(started, timeout=20)).result == 2


# --- places ------------------------------------------------------------------------------------


async def test_the_url_reaches_the_store(postgres, options):
    """Its options are ours or libpq's, and both spellings of the scheme do."""
    for scheme in ("postgresql", "postgres"):
        url = postgres.dsn.replace("postgresql", scheme)
        url += f"?schema={options.schema}&task_hub={options.task_hub}&application_name=shop"
        async with connect(url), session(postgres.dsn) as operator:
            count = await operator.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop'"
            )
            assert count > 0


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("schema=No", "'No' is no name"),
        ("schema=pg_x", "pg_"),
        ("schema=a%22b", "no name"),
        ("pooling=maybe", "'auto' or 'session' or 'transaction'"),
        ("spin=-1", "from 0 to 1"),
        ("keepalives=1", "cannot do what 'keepalives'"),
        ("shcema=x", "did you mean 'schema'"),
        ("connect_timeout=0", "no number of seconds"),
    ],
)
async def test_options_are_checked(query, what):
    """Before anything is connected to."""
    with pytest.raises((BackendUrlError, ConfigurationError), match=re.escape(what)):
        connect(f"postgresql://nowhere/orders?{query}")


async def test_no_server_is_told():
    """By host and port, without the password."""
    error = await refusal("postgresql://me:secret@127.0.0.1:1/orders")
    assert isinstance(error, BackendUnavailableError)
    assert "127.0.0.1:1/orders" in str(error)
    assert "start the server" in str(error)
    assert "secret" not in str(error)
    assert "secret" not in repr(PostgresStore("postgresql://me:secret@127.0.0.1:1/orders"))


async def test_no_database_is_told(postgres):
    """With what to do."""
    dsn = re.sub(r"/[^/?]*(?=\?|$)", "/no_such_database", postgres.dsn)
    assert "create the database" in str(await refusal(dsn))


async def test_a_wrong_password_is_told(postgres):
    """With what to do, and without the password."""
    async with session(postgres.dsn) as operator:
        await operator.execute("DROP ROLE IF EXISTS secured")
        await operator.execute("CREATE ROLE secured LOGIN PASSWORD 'right'")
    error = await refusal(re.sub("//[^@]*@", "//secured:wrong-one@", postgres.dsn))
    assert "check the user, the password" in str(error)
    assert "wrong-one" not in str(error)


async def test_a_read_only_server_is_told(database):
    """As a replica is, at the latest when something is to be written."""
    await PostgresStore(database).migrate()
    async with session(database) as operator:
        name = await operator.fetchval("SELECT current_database()")
        await operator.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert "read-only" in str(await refusal(database))


async def test_a_pool_of_the_users_will_do(postgres, options):
    """It stays the user's, and open."""
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=8) as pool:
        backend = PostgresBackend(pool, options=options)
        async with TaskHubWorker(backend=backend) as worker:
            worker.add_orchestration(ship)
            worker.add_activity(pack)
            await worker.start()
            client = TaskHubClient(backend=backend)
            started = await client.schedule_new_orchestration(ship, input=1)
            done = await client.wait_for_orchestration_completion(started, timeout=20)
            assert done.result == 2
        await backend.close()
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_transaction_pooler_is_served(postgres, options):
    """Without sessions that last: no notifications, no locks, no prepared statements."""
    pooled = PostgresOptions(
        task_hub=options.task_hub, schema=options.schema, pooling="transaction"
    )
    await works(postgres.dsn, pooled)
    async with session(postgres.dsn) as operator:
        present = f'SELECT count(*) FROM "{options.schema}".lanes WHERE hub = $1 AND present'
        hub = await operator.fetchval(
            f'SELECT hub FROM "{options.schema}".hubs WHERE name = $1', options.task_hub
        )
        assert await operator.fetchval(present, hub) == 0


# --- the schema --------------------------------------------------------------------------------


async def test_a_new_database_gets_the_schema(database):
    """By whoever comes first, and all others wait for it."""
    stores = [PostgresStore(database, PostgresOptions(task_hub=f"hub{n}")) for n in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))
    async with session(database) as operator:
        versions = await operator.fetch("SELECT version FROM durabletask.migrations ORDER BY 1")
    assert [row[0] for row in versions] == [migration.version for migration in MIGRATIONS]


async def test_never_means_never(database):
    """The error says what to run."""
    error = await refusal(database, PostgresOptions(migrate="never"))
    assert isinstance(error, SchemaVersionError)
    assert "durabletask migrate" in str(error)
    async with session(database) as operator:
        assert await operator.fetchval("SELECT to_regnamespace('durabletask')") is None


async def test_versions_that_do_not_fit_are_told(database):
    """Too old a schema is never changed by a worker; too new a one names what to upgrade."""
    await PostgresStore(database).migrate()
    async with session(database) as operator:
        await operator.execute(
            "DELETE FROM durabletask.migrations WHERE version = $1", SCHEMA_VERSION
        )
        assert "run `durabletask migrate URL`" in str(await refusal(database))
        await operator.execute(
            "INSERT INTO durabletask.migrations VALUES ($1, 'of the future')", SCHEMA_VERSION + 5
        )
        store = PostgresStore(database)  # a newer schema that still serves this code
        await store.open()
        await store.close()
        await operator.execute("UPDATE durabletask.oldest_code SET version = 1000")
        assert "upgrade it" in str(await refusal(database))


async def test_another_programs_tables_are_left_alone(database):
    """Nothing is written among them."""
    async with session(database) as operator:
        await operator.execute("CREATE SCHEMA durabletask CREATE TABLE theirs (id integer)")
        assert "another program" in str(await refusal(database))
        assert await operator.fetchval("SELECT to_regclass('durabletask.hubs')") is None


# --- rights ------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def role(postgres):
    """A role without rights, and what connects as it."""
    name = f"role_{secrets.token_hex(6)}"
    async with session(postgres.dsn) as operator:
        await operator.execute(f'CREATE ROLE "{name}" LOGIN')
        yield name
        await operator.execute(f'DROP OWNED BY "{name}"')
        await operator.execute(f'DROP ROLE "{name}"')


async def grant(postgres, role: str, access: str) -> str:
    """Give a role access; returns the DSN to connect with."""
    async with session(postgres.dsn) as operator:
        await operator.execute(f'SELECT "{postgres.schema}".grant_access($1, $2)', role, access)
    return re.sub("//[^@]*@", f"//{role}@", postgres.dsn)


async def test_without_rights_there_is_an_error(postgres, role, options):
    """That says which."""
    dsn = re.sub("//[^@]*@", f"//{role}@", postgres.dsn)
    assert "grant_access" in str(await refusal(dsn, options))


async def test_a_worker_needs_no_table(postgres, role, options):
    """Its role calls functions, and nothing else is granted to it."""
    dsn = await grant(postgres, role, "worker")
    await works(dsn, options)
    async with session(dsn) as intruder:
        for table in ("instances", "history", "inbox", "lanes", "activities", "orchestrations"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await intruder.execute(f'SELECT * FROM "{postgres.schema}".{table}')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await intruder.execute(f'SELECT "{postgres.schema}".erase(ARRAY[1])')


async def test_a_client_cannot_work(postgres, role, options):
    """It starts, signals, looks and purges."""
    backend = PostgresBackend(await grant(postgres, role, "client"), options=options)
    async with TaskHubClient(backend=backend) as client:
        started = await client.schedule_new_orchestration("ship", input=1)
        await client.raise_event(started, "paid")
        assert (await client.get_orchestration_state(started)).input == 1
        assert (await client.purge_orchestration(started)).deleted_instance_count == 0
    worker = TaskHubWorker(backend=backend)
    worker.add_orchestration(ship)
    with pytest.raises(BackendUnavailableError, match="permission denied"):
        await worker.start()


async def test_a_reader_sees_the_view(postgres, role, options):
    """And nothing else."""
    backend = PostgresBackend(postgres.dsn, options=options)
    async with TaskHubClient(backend=backend) as client:
        await client.schedule_new_orchestration(
            "ship", input={"n": 1}, instance_id="a", tags={"k": "v"}
        )
    async with session(await grant(postgres, role, "reader")) as reader:
        row = await reader.fetchrow(
            f'SELECT * FROM "{postgres.schema}".orchestrations '
            "WHERE task_hub = $1 AND tags ->> 'k' = 'v'",
            options.task_hub,
        )
        assert (row["instance_id"], row["name"], row["status"]) == ("a", "ship", "PENDING")
        assert row["input"] == '{"n":1}'
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(f'SELECT * FROM "{postgres.schema}".instances')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(f'SELECT "{postgres.schema}".purge_v1(1, $1, true)', ["a"])


async def test_what_runs_as_the_owner_is_pinned(postgres):
    """No function with the owner's rights looks for names where others may put theirs."""
    async with session(postgres.dsn) as operator:
        rows = await operator.fetch(
            "SELECT proname, proconfig, proacl::text FROM pg_proc "
            "WHERE pronamespace = $1::regnamespace AND prosecdef",
            postgres.schema,
        )
    assert len(rows) >= 18
    for name, config, rights in rows:
        assert f"search_path={postgres.schema}, pg_temp" in config, name
        assert rights is not None and not re.search(r"[{,]=", rights), f"{name}: {rights}"


async def test_no_statement_is_built_from_values():
    """Only the schema's name, checked beforehand, becomes part of a text."""
    folder = Path(inspect.getfile(PostgresStore)).parent
    formatted = {
        found
        for path in folder.glob("*.py")
        for found in re.findall(r"f['\"].*(?:SELECT|REVOKE|CREATE|SET LOCAL).*", path.read_text())
        for name in re.findall(r"{([^}]*)}", found)
        if name not in ("schema", "options.schema", "name", "places")
    }
    assert formatted == set()


# --- answers that are lost ---------------------------------------------------------------------


def lose_next_answer(link: Link) -> None:
    """Let the next call of a connection be carried out, and its answer be lost."""

    async def call(statement: str, *arguments: Any) -> Any:
        del link.call  # type: ignore[method-assign]
        await link.call(statement, *arguments)
        raise ConnectionLostError("the test has cut the connection")

    link.call = call  # type: ignore[method-assign]


async def test_what_a_lost_poll_claimed_is_handed_out_again(postgres, options):
    """**turn-single** A claim whose answer is lost strands nothing."""
    store = PostgresStore(postgres.dsn, options)
    await store.open()
    lane = await LaneDriver.open(store)
    await lane.commit(creates=[instance("a"), instance("b")])
    await lane.commit(activities=[activity("a")])
    lose_next_answer(store._open.upkeep)
    with pytest.raises(BackendUnavailableError):
        await lane.poll()
    work = await lane.poll()
    assert sorted(claimed.instance_id for claimed in work.instances) == ["a", "b"]
    assert len(work.activities) == 1
    again = await lane.poll()
    assert (again.instances, again.activities) == ([], [])
    await store.close()


async def test_a_poll_that_comes_late_claims_nothing(postgres, options):
    """**turn-single** Its successor has told the server that nobody waits for it."""
    store = PostgresStore(postgres.dsn, options)
    await store.open()
    lane = await LaneDriver.open(store)
    running = store._open
    late = running.lanes[lane.key.lane_id].polls + 1
    lose_next_answer(running.upkeep)
    with pytest.raises(BackendUnavailableError):
        await lane.poll()
    await lane.poll()
    await lane.commit(creates=[instance("a")])
    with pytest.raises(BackendError, match="may not poll"):
        await running.upkeep.call(
            running.verbs.poll_v1,
            *(running.hub, lane.key.lane_id, lane.key.epoch, late, late - 1, False),
            *(["Order"], [], 10, 10, True, 2, []),
        )
    assert await lane.claims() == ["a"]
    await store.close()


async def test_broken_connections_are_made_anew(postgres, options):
    """**failure-infra** In the middle of everything, and no instance hears of it."""
    backend = PostgresBackend(postgres.dsn, options=options)
    async with TaskHubWorker(backend=backend) as worker, TaskHubClient(backend=backend) as client:
        worker.add_orchestration(ship)
        worker.add_activity(pack)
        await worker.start()
        async with session(postgres.dsn) as operator:
            for number in range(5):
                started = await client.schedule_new_orchestration(ship, input=number)
                await operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database() "
                    "AND backend_type = 'client backend'"
                )
                done = await client.wait_for_orchestration_completion(started, timeout=20)
                assert done.result == number + 1


# --- transactions of the user's own ------------------------------------------------------------


async def test_a_connection_that_will_not_close_is_dropped(postgres, options, monkeypatch):
    """**failure-infra** To open a store is no matter of how the first connection ends."""
    endings = []

    async def close(connection, *, timeout=None):
        endings.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(asyncpg.Connection, "close", close)
    store = PostgresStore(postgres.dsn, options)
    await store.open()
    assert endings
    await store.close()


async def test_who_was_refused_a_batch_is_not_dead(postgres, options):
    """A lane keeps its connection, and with it the lock by which others see that it lives."""
    store, other = (PostgresStore(postgres.dsn, options) for _ in range(2))
    await store.open()
    await other.open()
    lane = await LaneDriver.open(store)
    await lane.run("a")
    with pytest.raises(LaneFencedError):
        await lane.commit(turns=[turn("a", 0)])
    with pytest.raises(LaneFencedError):
        await lane.commit(turns=[turn("another's", 0)])
    async with session(postgres.dsn) as operator:  # so young a server says nothing of the dead
        age = await operator.fetchval("SELECT now() - pg_postmaster_start_time()")
    await asyncio.sleep(max(0.0, 3.2 - age.total_seconds()))
    assert await other.take_over() == 0
    await lane.commit(turns=[turn("a", 1)])
    await other.close()
    await store.close()


async def waits_for_a_lock(operator: asyncpg.Connection) -> None:
    """Return once somebody waits for what somebody else has locked."""
    while True:
        if await operator.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.01)


async def test_what_appears_while_a_message_waits_is_not_its_receiver(postgres, options):
    """**event-missing** Nobody claims an instance past a message that is on its way to it."""
    store, other = (PostgresStore(postgres.dsn, options) for _ in range(2))
    await store.open()
    await other.open()
    sender, creator = await LaneDriver.open(store), await LaneDriver.open(other)
    await creator.commit(creates=[instance("old")])
    async with session(postgres.dsn) as operator, operator.transaction():
        await operator.execute(
            f'SELECT FROM "{postgres.schema}".instances WHERE instance_id = $1 FOR UPDATE', "old"
        )
        sending = asyncio.ensure_future(
            sender.commit(messages=[message("old", "m"), message("new", "m")])
        )
        async with asyncio.timeout(20):
            await waits_for_a_lock(operator)
        await creator.commit(creates=[instance("new")])
    assert (await sending).missing == {1}
    assert await creator.bodies("new") == []
    work = await creator.poll()
    assert {row.instance_id: len(row.messages) for row in work.instances} == {"old": 1, "new": 0}
    await other.close()
    await store.close()


async def test_a_start_is_part_of_the_users_transaction(postgres, options):
    """**turn-atomic** With the user's rows, or not at all; a running worker finds it at once."""
    backend = PostgresBackend(postgres.dsn, options=options)
    async with (
        TaskHubWorker(backend=backend) as worker,
        TaskHubClient(backend=backend) as client,
        session(postgres.dsn) as own,
    ):
        worker.add_orchestration(ship)
        worker.add_activity(pack)
        await worker.start()
        with pytest.raises(ZeroDivisionError):
            async with own.transaction():
                undone = await client.schedule_new_orchestration(ship, input=1, connection=own)
                raise ZeroDivisionError
        assert await client.get_orchestration_state(undone) is None
        async with own.transaction():
            started = await client.schedule_new_orchestration(
                ship, input=1, instance_id="order", tags={"k": "v"}, connection=own
            )
            with pytest.raises(InstanceAlreadyExistsError):
                await client.schedule_new_orchestration(
                    ship, input=2, instance_id="order", connection=own
                )
            assert await client.get_orchestration_state("order") is None
        done = await client.wait_for_orchestration_completion(started, timeout=20)
        assert (done.result, done.tags) == (2, {"k": "v"})
        with pytest.raises(InvalidRequestError, match="no open transaction"):
            await client.schedule_new_orchestration(ship, connection=own)
        with pytest.raises(ArgumentTypeError, match=r"asyncpg\.Connection"):
            await client.schedule_new_orchestration(ship, connection="own")
