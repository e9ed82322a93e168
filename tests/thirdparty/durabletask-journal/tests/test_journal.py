"""What the journal promises beyond the contract: nothing is lost, and foreign files stay whole."""

import asyncio
from pathlib import Path

import pytest
from durabletask_journal import JournalOptions, JournalStore

from durabletask.errors import BackendClosedError, BackendUnavailableError, SchemaVersionError
from durabletask.store import Batch, Interest, LaneOptions, NewInstance

INTEREST = Interest(
    orchestrations=frozenset({"Order"}), activities=frozenset(), max_instances=9, max_activities=9
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "hub.log"


async def add_instance(path: Path) -> None:
    """Create an instance, and die without closing anything properly."""
    store = JournalStore(str(path), JournalOptions(sync=False))
    await store.open()
    lane, _ = await store.open_lane(LaneOptions(worker="w", lease=60.0))
    create = NewInstance(instance_id="a", execution_id="a/1", name="Order", created_at=1)
    await store.commit(Batch(lane=lane, number=1, creates=[create]))
    await store.close()


async def claimed(path: Path) -> list[str]:
    """What the next process finds to do."""
    store = JournalStore(str(path))
    await store.open()
    lane, _ = await store.open_lane(LaneOptions(worker="w", lease=60.0))
    work = await store.poll(lane, INTEREST)
    await store.close()
    return [instance.instance_id for instance in work.instances]


def test_what_was_committed_is_there_after_reopening(path: Path) -> None:
    """The calls are made again."""
    asyncio.run(add_instance(path))
    assert asyncio.run(claimed(path)) == ["a"]


def test_half_a_line_was_never_written(path: Path) -> None:
    """A process died in the middle; what comes next is not appended to its half."""
    asyncio.run(add_instance(path))
    with path.open("ab") as file:
        file.write(b'[1800000000000000,"take_ov')
    assert asyncio.run(claimed(path)) == ["a"]
    assert asyncio.run(claimed(path)) == [], "the first claim has been written, and read again"


def test_foreign_files_are_refused(path: Path) -> None:
    """And left as they are."""
    path.write_text("hello\n")
    with pytest.raises(BackendUnavailableError, match="is no journal of durabletask: choose "):
        asyncio.run(JournalStore(str(path)).open())
    assert path.read_text() == "hello\n"


def test_newer_journals_are_refused(path: Path) -> None:
    """By version."""
    path.write_text('{"durabletask_journal":2}\n')
    with pytest.raises(SchemaVersionError, match=r"has version 2, and .* knows 1: upgrade it"):
        asyncio.run(JournalStore(str(path)).open())


def test_missing_folders_are_not_made(path: Path) -> None:
    """The error says what is wanted."""
    with pytest.raises(
        BackendUnavailableError, match="cannot be opened: No such file or directory"
    ):
        asyncio.run(JournalStore(str(path / "x")).open())


def test_closed_stores_are_of_no_use(path: Path) -> None:
    """Until they are opened."""
    with pytest.raises(BackendClosedError, match="is not open: open it first"):
        asyncio.run(JournalStore(str(path)).take_over())
