"""A side file per open lane, whose lock tells whether the lane's process is alive.

The kernel frees the lock when the process dies, however it dies, so survivors need not wait for
the lease. This is a hint about time only: what keeps a dead lane from writing is its epoch.
"""

from __future__ import annotations

import contextlib
import os

from durabletask.stores.sqlite.locks import SideFile

__all__ = ["LaneFiles"]


class LaneFiles:
    """The lane files of one store, which belong to its writing thread.

    Args:
        path: of the database file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mine: dict[int, SideFile] = {}

    def add(self, lane_id: int) -> None:
        """Create and lock the file of a lane of ours.

        To be called before the lane's row is committed, so that whoever sees the row finds the
        file locked.
        """
        if lane_id not in self._mine:
            file = self._mine[lane_id] = SideFile(self._name(lane_id))
            file.exclusive()

    def seize(self, lane_id: int) -> bool:
        """Lock the file of a lane whose process is dead. False if it lives, or may do so."""
        if lane_id in self._mine:
            return False
        try:
            file = SideFile(self._name(lane_id), create=False)
        except OSError:
            # The file was moved here without its side files: only the lease can tell.
            return False
        if not file.conclusive or not file.exclusive():
            file.close()
            return False
        self._mine[lane_id] = file
        return True

    def release(self, lane_id: int) -> None:
        """Unlock a file again that was seized."""
        self._mine.pop(lane_id).close()

    def remove(self, lane_id: int) -> None:
        """Delete the file of a lane that has ended."""
        file = self._mine.pop(lane_id, None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name(lane_id))
        if file is not None:
            file.close()

    def close(self) -> None:
        """Free all locks. The files stay, for the rows of their lanes do."""
        while self._mine:
            self._mine.popitem()[1].close()

    def _name(self, lane_id: int) -> str:
        return f"{self._path}.lane-{lane_id}"
