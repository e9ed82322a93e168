"""Putting rewound instances in the place of what has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.store.batch import FINISHED_STATUSES
from durabletask.stores.memory.rows import NOBODY, Instance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.store.batch import RewoundInstance
    from durabletask.stores.memory.hub import Hub

__all__ = ["rewind"]


def rewind(hub: Hub, rewound: Sequence[RewoundInstance]) -> bool:
    """Replace all of these, or none if one is not what was expected."""
    for new in rewound:
        row = hub.instances.get(new.row.instance_id)
        current = None if row is None else row.execution_id
        if current != new.expected or (row is not None and row.status not in FINISHED_STATUSES):
            return False
    now = hub.clock()
    for new in rewound:
        former = hub.instances.get(new.row.instance_id)
        if former is not None:
            hub.remove(former)
        row = _row(new)
        hub.add(row, now)
        for message in new.messages:
            row.put(hub.next_message(), message, now)
        hub.settle(row, now)
    return True


def _row(new: RewoundInstance) -> Instance:
    columns = new.row
    return Instance(
        instance_id=columns.instance_id,
        execution_id=columns.execution_id,
        name=columns.name,
        version=columns.version,
        status=new.status,
        input=columns.input,
        tags=columns.tags,
        parent=columns.parent,
        created_at=columns.created_at,
        updated_at=new.recorded_at or columns.created_at,
        start_at=columns.start_at,
        owner=NOBODY,
        custom_status=new.custom_status,
        recorded_at=new.recorded_at,
        chunks=list(new.chunks),
    )
