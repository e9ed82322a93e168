"""Orchestrations kept in memory between their turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.backend import OrchestrationWorkItem
    from durabletask.engine import OrchestrationSession

__all__ = ["SessionCache"]

_ADMITTED = 4
"""Of the sessions that had to be replayed, one in so many gets into a full cache."""


class SessionCache:
    """Keeps the most recently used sessions, one per instance.

    A session that had to be replayed shows that more instances are active than there is room for.
    If they take their turns in a round, the least recently used session is the one that is needed
    next, and whoever is let in for it makes a replay of that turn, and so of every turn. So most
    of those that come back to a full cache are turned away: the others stay, and go on at once.

    A kept session is used only for a work item that continues it, of its own execution and
    sequence; so a session that another worker has overtaken, or that ran ahead of a commit that
    failed, is found out here and replaced by a replay. The numbers alone would not tell: another
    worker may have made a turn of the same number from other events. Whatever leaves the cache is
    disposed of (rule *dispose*).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A dict keeps the order of insertion, and a session that is used is inserted anew.
        self._sessions: dict[str, OrchestrationSession] = {}
        self._came_back = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def take(self, item: OrchestrationWorkItem) -> OrchestrationSession | None:
        """Remove and return the session that can continue with this item, if there is one."""
        session = self._sessions.pop(item.instance_id, None)
        if session is None:
            return None
        if (
            item.continues
            and session.execution_id == item.execution_id
            and session.sequence == item.sequence
        ):
            return session
        session.dispose()
        return None

    def keep(
        self, instance_id: str, session: OrchestrationSession, *, replayed: bool = False
    ) -> None:
        """Keep a session for the instance's next turn; the least recently used may go.

        Args:
            replayed: the session was not here for this turn, and may be turned away.
        """
        if replayed and len(self._sessions) >= self._limit:
            self._came_back += 1
            if self._came_back % _ADMITTED:
                session.dispose()
                return
        self._sessions[instance_id] = session
        if len(self._sessions) > self._limit:
            self._sessions.pop(next(iter(self._sessions))).dispose()

    def clear(self) -> None:
        """Dispose of all sessions."""
        while self._sessions:
            self._sessions.popitem()[1].dispose()
