"""The columns of an instance that its turn changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from durabletask.store import FINISHED_STATUSES

if TYPE_CHECKING:
    from durabletask.store import Turn

__all__ = ["Columns", "changed"]

Columns = dict[str, Any]

UPDATED = ("status", "output", "failure", "custom_status", "busy")


def changed(turn: Turn) -> Columns:
    """New values by the names of the columns, always in the same order for the same names."""
    columns: Columns = {}
    update = turn.update
    if update is not None:
        for name in UPDATED:
            value = getattr(update, name)
            if value is not UNSET:
                columns[name] = value
    if turn.crashes_cleared:
        columns["crashes"] = 0
    following = turn.next
    if columns.get("status") in FINISHED_STATUSES:
        columns.update(completed_at=turn.recorded_at, lane=0, busy=0, wake_at=None)
    elif following is not None:
        columns.update(
            execution_id=following.execution_id,
            input=following.input,
            version=following.version,
            carryover=following.carryover,
            recorded_at=turn.recorded_at,
            status="RUNNING",
            busy=1,
            custom_status=None,
        )
    return columns
