"""A disk of the server that is really full: told at connect, waited for while work is under way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import asyncpg
import pytest
from tests.servers.disk import SmallDisk
from tests.servers.postgres import PostgresServer, running_server, server_folder, server_user

from durabletask.errors import BackendUnavailableError
from durabletask.postgres import PostgresStore

from .scene import Orders, Watch, ask, running, written

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

COUNT = 60
SIZE = 100_000
"""Letters that each instance takes in, random ones, so that the server cannot make them fewer."""

FULL = "the disk of the server is full"


NO_ROOM = """
CREATE FUNCTION public.no_row() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$;
CREATE FUNCTION public.no_table() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$;
DO $$ BEGIN
    IF to_regclass('durabletask.history') IS NOT NULL THEN
        CREATE TRIGGER no_row AFTER INSERT ON durabletask.history
            FOR EACH STATEMENT EXECUTE FUNCTION public.no_row();
    END IF;
END $$;
CREATE EVENT TRIGGER no_table ON ddl_command_start EXECUTE FUNCTION public.no_table();
"""


class Ballast:
    """Keeps a disk full: what the server frees by itself, by a checkpoint perhaps, is taken too."""

    def __init__(self, disk: SmallDisk) -> None:
        self._disk = disk
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Fill the disk, and go on filling it."""
        self._disk.fill()
        self._task = asyncio.create_task(self._load_more())

    async def _load_more(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._disk.fill()

    def unload(self) -> None:
        """Give the room back."""
        assert self._task is not None
        self._task.cancel()
        self._disk.make_room()


class Trouble(NamedTuple):
    """A server, and how to leave it without room and to give it some."""

    server: PostgresServer
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


@contextmanager
def server_on(disk: SmallDisk, what: str) -> Iterator[PostgresServer]:
    """A server that keeps its data, or its write-ahead log, on the small disk."""
    with server_folder() as folder:
        data, wal = folder / "data", folder / "wal"
        data, wal = (disk.path / "data", wal) if what == "data" else (data, disk.path / "wal")
        with PostgresServer(
            folder,
            data=data,
            initdb=["--waldir", str(wal), "--wal-segsize", "1"],
            max_wal_size="4MB",
            min_wal_size="2MB",
        ) as server:
            yield server


@asynccontextmanager
async def full_data() -> AsyncIterator[Trouble]:
    """No table can grow: commits are refused with 53100."""
    with SmallDisk(120 << 20, server_user()) as disk, server_on(disk, "data") as server:
        ballast = Ballast(disk)

        async def end() -> None:
            ballast.unload()

        yield Trouble(server, ballast.load, end)


@asynccontextmanager
async def full_wal() -> AsyncIterator[Trouble]:
    """The server panics at the first commit, and again at each attempt to recover."""
    with SmallDisk(24 << 20, server_user()) as disk, server_on(disk, "wal") as server:
        ballast = Ballast(disk)

        async def end() -> None:
            ballast.unload()
            if not server.is_running:
                await asyncio.to_thread(server.start)

        yield Trouble(server, ballast.load, end)


@asynccontextmanager
async def refused_inserts() -> AsyncIterator[Trouble]:
    """A server that says it, for machines on which nobody may have a disk of their own."""
    with running_server() as server:

        async def execute(statement: str) -> None:
            operator = await asyncpg.connect(server.url())
            await operator.execute(statement)
            await operator.close()

        async def begin() -> None:
            await execute(NO_ROOM)

        async def end() -> None:
            await execute("DROP EVENT TRIGGER no_table; DROP FUNCTION public.no_row() CASCADE")

        yield Trouble(server, begin, end)


def small_disks_can_be_had() -> bool:
    """Whether this user of this kernel may mount something in a namespace."""
    try:
        with SmallDisk(1 << 20, None):
            return True
    except OSError:
        return False


TROUBLES = [refused_inserts, *([full_data, full_wal] if small_disks_can_be_had() else [])]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_work_waits_for_room(trouble: Callable[[], Any]) -> None:
    """**failure-infra** It pauses, goes on by itself, fails nothing, writes nothing by halves."""
    async with trouble() as place, running(place.server.url()) as client:
        orders = Orders(client, COUNT, SIZE)
        await orders.start(COUNT // 4)
        with Watch(FULL, "broke") as watch:
            await place.begin()
            rest = orders.start()
            await watch.seen.wait()
            if trouble is not full_wal:  # that one has no server to ask
                orders.check_written(await written(place.server.url()))
            assert not rest.done()
        await place.end()
        await rest
        await orders.see_through()


@pytest.mark.parametrize("trouble", [way for way in TROUBLES if way is not full_wal])
async def test_connecting_without_room_is_told(trouble: Callable[[], Any]) -> None:
    """With the remedy, and the schema is not begun; with room, the same store works."""
    ours = "SELECT to_regnamespace('durabletask')"
    async with trouble() as place:
        url = place.server.url()
        assert await ask(url, ours) == [(None,)]
        await place.begin()
        store = PostgresStore(url)
        with pytest.raises(BackendUnavailableError, match=f"{FULL}; free some"):
            await store.open()
        assert await ask(url, ours) == [(None,)]
        await place.end()
        await store.open()
        await store.close()
        assert await written(url) == {}
