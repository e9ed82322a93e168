"""What earlier versions have recorded, today's engine goes on with."""

from pathlib import Path

import pytest

from durabletask.engine import Entity
from durabletask.history import HistoryEvent
from durabletask.testing import Replayer, load_history
from durabletask.testing.saved import format_history

from .programs import ENTITY_RECORDINGS, ORCHESTRATORS, RECORDINGS

FOLDER = Path(__file__).parent / "histories"
HISTORIES = sorted(FOLDER.glob("*.json"))
ENTITIES = sorted((FOLDER / "entities").glob("*.json"))

NOT_RECORDED_IN_ITS_OWN_HISTORY = {"ContinuedAsNew"}
"""It ends an execution whose history is deleted with it."""


@pytest.fixture
def replayer() -> Replayer:
    """Knows the orchestrators of all golden histories."""
    replayer = Replayer()
    for orchestrator in ORCHESTRATORS:
        replayer.add_orchestration(orchestrator)
    return replayer


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_is_repeated(path: Path, replayer: Replayer) -> None:
    """**replay-check**: the code asks for exactly what the history records, to its last event."""
    report = replayer.replay(path)
    assert report.status.value == RECORDINGS[path.stem].status
    assert report.events == len(load_history(path))


@pytest.mark.parametrize("path", [*HISTORIES, *ENTITIES], ids=lambda path: path.stem)
def test_is_written_as_it_was(path: Path) -> None:
    """The form of saved histories is stable, to the byte."""
    assert format_history(load_history(path)) == path.read_text("utf-8")


def test_every_recording_has_its_history() -> None:
    """None is missing, and none is there whose making nobody knows."""
    assert [path.stem for path in HISTORIES] == sorted(RECORDINGS)
    assert [path.stem for path in ENTITIES] == sorted(ENTITY_RECORDINGS)


@pytest.mark.parametrize("path", ENTITIES, ids=lambda path: path.stem)
def test_an_entity_is_remembered(path: Path) -> None:
    """**entity-state**: an entity is what its history says, from where its execution began."""
    began = path.with_suffix(".input")
    memory = Entity(began.read_text("utf-8") if began.exists() else None)
    memory.recall(load_history(path))
    recording = ENTITY_RECORDINGS[path.stem]
    holder = None if memory.lock is None else memory.lock.caller.instance_id
    assert (memory.state, holder, len(memory.waiting)) == recording[1:]


def test_every_kind_of_event_is_there() -> None:
    """A new kind of event needs a golden history."""
    paths = [*HISTORIES, *ENTITIES]
    kinds = {type(event).__name__ for path in paths for event in load_history(path)}
    known = {kind.__name__ for kind in HistoryEvent.__args__}
    assert known - kinds == NOT_RECORDED_IN_ITS_OWN_HISTORY
