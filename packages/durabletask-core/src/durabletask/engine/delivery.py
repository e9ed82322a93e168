"""Handing an external event to the wait that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.task._tasks import COMPLETED, FAILED

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger
    from durabletask.history import EventRaised
    from durabletask.task._tasks import EventTask

__all__ = ["deliver"]


def deliver(ledger: Ledger, wait: EventTask[Any], event: EventRaised) -> None:
    """Finish ``wait`` with the payload of ``event``, or fail it if that does not fit its type."""
    if wait._timeout_id is not None:
        ledger.drop_timer(wait._timeout_id)
    where = f"the data of event {wait.name!r}"
    try:
        data = ledger.converter.deserialize(event.input, wait._data_type, where=where)
    except Exception as error:
        wait._settle(FAILED, error)
    else:
        wait._settle(COMPLETED, data)
