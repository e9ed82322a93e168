"""An account of activity runs that no store keeps: one line per run in a file.

Every line is one write to a file opened with O_APPEND, so any number of processes and threads may
write, and what was written before a kill is there after it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Run(NamedTuple):
    """One run of an activity.

    Attributes:
        input: as JSON text, as the history has it.
    """

    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input: str


class Ledger:
    """The file of a torture, for those who write to it and for those who read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, run: Run) -> None:
        """Write down that a run begins."""
        os.write(self._file, msgspec.json.encode(run) + b"\n")

    def runs(self) -> Counter[Run]:
        """How often each activity began."""
        with self._path.open("rb") as lines:
            return Counter(msgspec.json.decode(line, type=Run) for line in lines)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
