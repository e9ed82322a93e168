"""Starting inside a transaction of the user's own: both happen, or neither does."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from durabletask import task
from durabletask.backend import ReusePolicy
from durabletask.client import TaskHubClient
from durabletask.errors import (
    ArgumentTypeError,
    CapabilityError,
    InstanceAlreadyExistsError,
    InvalidRequestError,
)
from durabletask.worker import TaskHubWorker

pytestmark = pytest.mark.asyncio


@task.orchestration
def ship(ctx: task.OrchestrationContext, order: int) -> Any:
    yield ctx.create_timer(ctx.current_utc_datetime)
    return order


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database that orders and orchestrations share."""
    return tmp_path / "orders.db"


@pytest_asyncio.fixture
async def client(file: Path):
    """A client of the hub in the file."""
    async with TaskHubClient(f"sqlite:///{file}") as client:
        yield client


@pytest.fixture
def orders(client: TaskHubClient, file: Path):
    """The user's own connection, with a table of his own."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders (number INTEGER)")
        yield connection


async def place(client, orders, number, **fields):
    """Write an order and start its orchestration; neither is committed."""
    orders.execute("INSERT INTO orders VALUES (?)", (number,))
    return await client.schedule_new_orchestration(ship, input=number, connection=orders, **fields)


async def test_a_commit_starts_it(client, orders, file):
    """**turn-atomic** A worker that is there already finds it when the user commits."""
    async with TaskHubWorker(f"sqlite:///{file}") as worker:
        worker.add_orchestration(ship)
        await worker.start()
        placed = await place(client, orders, 7, instance_id="order-7", tags={"eu": "yes"})
        assert await client.get_orchestration_state(placed) is None
        orders.commit()
        state = await client.wait_for_orchestration_completion(placed, timeout=10)
    assert (state.result, state.tags) == (7, {"eu": "yes"})


async def test_a_rollback_leaves_nothing(client, orders):
    """**turn-atomic** Neither the order nor the orchestration was ever there."""
    placed = await place(client, orders, 7)
    orders.rollback()
    assert await client.get_orchestration_state(placed) is None
    assert orders.execute("SELECT count(*) FROM orders").fetchone() == (0,)


async def test_a_taken_id_is_refused(client, orders):
    """**start-duplicate** The user's transaction goes on, to be committed or not."""
    await place(client, orders, 1, instance_id="order")
    with pytest.raises(InstanceAlreadyExistsError):
        await place(client, orders, 2, instance_id="order")
    ignoring = ReusePolicy(ignore=True)
    assert await place(client, orders, 3, instance_id="order", reuse_id_policy=ignoring) == "order"
    orders.commit()
    assert (await client.get_orchestration_state("order")).input == 1


async def test_a_finished_instance_is_replaced(client, orders, file):
    """**start-duplicate** With a policy that lists its status, and only if it is committed."""
    async with TaskHubWorker(f"sqlite:///{file}") as worker:
        worker.add_orchestration(ship)
        await worker.start()
        await place(client, orders, 1, instance_id="order")
        orders.commit()
        await client.wait_for_orchestration_completion("order", timeout=10)
        policy = ReusePolicy(replace=frozenset({task.OrchestrationStatus.COMPLETED}))
        await place(client, orders, 2, instance_id="order", reuse_id_policy=policy)
        orders.rollback()
        assert (await client.get_orchestration_state("order")).result == 1
        await place(client, orders, 3, instance_id="order", reuse_id_policy=policy)
        orders.commit()
        state = await client.wait_for_orchestration_completion("order", timeout=10)
        assert state.result == 3


async def test_an_attached_database_will_do(client, file, tmp_path):
    """The user's tables may be in another file."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("ATTACH ? AS tasks", (str(file),))
        shop.execute("CREATE TABLE orders (number INTEGER)")
        placed = await place(client, shop, 7)
        shop.commit()
    assert (await client.get_orchestration_state(placed)).input == 7


async def test_what_is_no_such_connection_is_refused(client, orders, tmp_path):
    """By name, before anything is written."""
    with pytest.raises(InvalidRequestError, match="no open transaction"):
        await client.schedule_new_orchestration(ship, connection=orders)
    with pytest.raises(ArgumentTypeError, match=r"sqlite3\.Connection"):
        await client.schedule_new_orchestration(ship, connection="orders")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("BEGIN")
        with pytest.raises(InvalidRequestError, match="another database"):
            await client.schedule_new_orchestration(ship, connection=other)


async def test_other_backends_refuse(orders):
    """A declared capability."""
    async with TaskHubClient("memory://") as client:
        with pytest.raises(CapabilityError, match="transactional_start"):
            await client.schedule_new_orchestration(ship, connection=orders)
