"""What a user can choose about a SQLite store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from durabletask.errors import ConfigurationError

__all__ = ["SQLiteOptions"]

SYNCHRONOUS = ("full", "normal")


@dataclass(frozen=True, kw_only=True)
class SQLiteOptions:
    """How a :class:`SQLiteStore` uses its file.

    Attributes:
        task_hub: name of the hub inside the file; hubs never see each other.
        synchronous: ``"full"`` syncs every commit to the disk. ``"normal"`` syncs at checkpoints
            only: the death of a process loses nothing, but a power cut may undo the last commits
            (the file stays consistent).
        busy_timeout: seconds to wait for another process that is writing, before
            BackendUnavailableError.

    Raises:
        ConfigurationError: a value is unusable.
    """

    task_hub: str = "default"
    synchronous: Literal["full", "normal"] = "full"
    busy_timeout: float = 5.0

    def __post_init__(self) -> None:
        if not self.task_hub.strip():
            raise ConfigurationError("the task hub of a SQLite store needs a name, not a blank")
        if self.synchronous not in SYNCHRONOUS:
            raise ConfigurationError(
                f"synchronous={self.synchronous!r} is unknown to the SQLite store: "
                "use 'full' or 'normal'"
            )
        if not 0 <= self.busy_timeout <= 3600:
            raise ConfigurationError(
                f"busy_timeout={self.busy_timeout!r} is no number of seconds from 0 to 3600"
            )
