"""Commits and checkpoints of different connections never overlap where that is dangerous."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.errors import BackendUnavailableError
from durabletask.stores.sqlite import SQLiteOptions
from durabletask.stores.sqlite.database import Database
from durabletask.stores.sqlite.guard import CommitGuard, is_vulnerable
from durabletask.stores.sqlite.locks import SideFile

if TYPE_CHECKING:
    from pathlib import Path

VULNERABLE = (3, 40, 1)
SOUND = (3, 51, 3)


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_vulnerable_versions(version: tuple[int, int, int], vulnerable: bool) -> None:
    """The defect was repaired in 3.51.3 and in two older branches."""
    assert is_vulnerable(version) is vulnerable


def guards(path: Path, version: tuple[int, int, int]) -> list[CommitGuard]:
    """Two guards of one file, as two processes would have."""
    found = [CommitGuard(str(path), version) for _ in range(2)]
    for guard in found:
        guard.open()
    return found


class TestGuard:
    """Two connections of one file."""

    def test_commits_hold_off_checkpoints(self, tmp_path: Path) -> None:
        """A checkpoint gives up at once while somebody commits; commits do not mind each other."""
        one, two = guards(tmp_path / "hub.db", VULNERABLE)
        with one.writing(0.0), two.writing(0.0), two.checkpointing(0.0) as free:
            assert not free
        with two.checkpointing(0.0) as free:
            assert free
        one.close()
        two.close()

    def test_checkpoints_hold_off_commits(self, tmp_path: Path) -> None:
        """A commit waits for a checkpoint, and says so when that takes too long."""
        one, two = guards(tmp_path / "hub.db", VULNERABLE)
        with one.checkpointing(0.0) as free:
            assert free
            with pytest.raises(BackendUnavailableError, match="busy"), two.writing(0.01):
                pytest.fail("a commit ran inside a checkpoint")
        with two.writing(0.0):
            pass
        one.close()
        two.close()

    def test_a_lone_commit_on_a_new_connection_holds_off_checkpoints(self, tmp_path: Path) -> None:
        """Also when the connection was closed after a failure, and opens inside the call."""
        path = str(tmp_path / "hub.db")
        other = CommitGuard(path, VULNERABLE)
        other.open()
        alone: list[bool] = []

        def look() -> int:
            with other.checkpointing(0.0) as free:
                alone.append(free)
            return 1

        class Looking(Database):
            def open(self) -> None:
                super().open()
                self.connection.create_function("look", 0, look)

        database = Looking(path, SQLiteOptions(), CommitGuard(path, VULNERABLE))
        database.open()
        database.connection.execute("CREATE TABLE t (x)")
        for _ in range(2):
            database.close()
            assert database.write_one("INSERT INTO t SELECT look()", ()) == 1
        database.close()
        other.close()
        assert alone == [False, False]

    def test_a_sound_sqlite_needs_no_guard(self, tmp_path: Path) -> None:
        """Then there is no side file, and everything may run at once."""
        one, two = guards(tmp_path / "hub.db", SOUND)
        with one.checkpointing(0.0) as free, two.writing(0.0):
            assert free
        assert list(tmp_path.iterdir()) == []


class TestSideFile:
    """Locks that end with their holder."""

    def test_two_holders_in_one_process_exclude_each_other(self, tmp_path: Path) -> None:
        """A lock belongs to the open file, not to the process."""
        path = str(tmp_path / "lock")
        one, two = SideFile(path), SideFile(path)
        assert one.exclusive()
        assert not two.exclusive()
        assert not two.shared(0.002)
        one.free()
        assert two.shared()
        assert one.shared()
        one.close()
        one.close()
        assert two.exclusive()
        two.close()
        assert not two.exclusive(), "a closed file cannot be locked"

    def test_it_is_private(self, tmp_path: Path) -> None:
        """Mode 0600; and a file that is not to be created is not."""
        path = tmp_path / "lock"
        SideFile(str(path)).close()
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(FileNotFoundError):
            SideFile(str(tmp_path / "none"), create=False)
