"""What earlier versions have recorded, today's engine goes on with."""

from pathlib import Path

import pytest

from durabletask.history import HistoryEvent
from durabletask.testing import Replayer, load_history
from durabletask.testing.saved import format_history

from .programs import ORCHESTRATORS, RECORDINGS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))

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


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_is_written_as_it_was(path: Path) -> None:
    """The form of saved histories is stable, to the byte."""
    assert format_history(load_history(path)) == path.read_text("utf-8")


def test_every_recording_has_its_history() -> None:
    """None is missing, and none is there whose making nobody knows."""
    assert [path.stem for path in HISTORIES] == sorted(RECORDINGS)


def test_every_kind_of_event_is_there() -> None:
    """A new kind of event needs a golden history."""
    kinds = {type(event).__name__ for path in HISTORIES for event in load_history(path)}
    known = {kind.__name__ for kind in HistoryEvent.__args__}
    assert known - kinds == NOT_RECORDED_IN_ITS_OWN_HISTORY
