"""Putting rewound instances in the place of what has failed, inside a write transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.stores.sqlite.commit import NEW_MESSAGE, message_row, places
from durabletask.stores.sqlite.erase import erase
from durabletask.stores.sqlite.schema import REWAKE, entry
from durabletask.stores.sqlite.values import encode, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.store import RewoundInstance
    from durabletask.stores.sqlite.database import Database

__all__ = ["rewind"]

FINISHED = (
    "SELECT instance_id, ordinal, execution_id, completed_at FROM instances "
    "WHERE hub = {hub:d} AND instance_id IN ("
)

REWOUND = (
    "INSERT INTO instances (ordinal, hub, instance_id, execution_id, lane, freed_at, start_at, "
    "name, version, created_at, recorded_at, parent_id, parent, tags, input, status, "
    "custom_status) VALUES "
)


def rewind(database: Database, hub: int, rewound: Sequence[RewoundInstance]) -> bool:
    """Replace all of these, or none if one is not what was expected.

    Nobody else writes meanwhile, and no lane remembers anything of a finished instance.
    """
    if not rewound:
        return True
    wanted = [(new.row.instance_id,) for new in rewound]
    former = {
        row[0]: row[1:] for row in database.gather(FINISHED.format(hub=hub), "?", wanted, ")")
    }
    for new in rewound:
        _, execution_id, completed_at = former.get(new.row.instance_id, (0, None, 0))
        if execution_id != new.expected or completed_at is None:
            return False
    now = database.now()
    (last,) = database.rows("SELECT coalesce(max(ordinal), 0) FROM instances")[0]
    erase(database, [row[0] for row in former.values()])
    rows: list[tuple[Any, ...]] = []
    chunks: list[tuple[Any, ...]] = []
    messages: list[tuple[Any, ...]] = []
    for ordinal, new in enumerate(rewound, start=last + 1):
        rows.append(instance_row(hub, ordinal, new, now))
        chunks += [
            (entry(ordinal, n), new.recorded_at, chunk) for n, chunk in enumerate(new.chunks)
        ]
        messages += [
            message_row(ordinal, message, now, int(message.execution_id is not None))
            for message in new.messages
        ]
    database.spread(REWOUND, places(17), rows)
    database.spread("INSERT INTO history VALUES ", places(3), chunks)
    database.spread(NEW_MESSAGE, places(5), messages)
    database.run(REWAKE, (numbers(range(last + 1, last + 1 + len(rows))),))
    return True


def instance_row(hub: int, ordinal: int, new: RewoundInstance, now: int) -> tuple[Any, ...]:
    """A row of REWOUND."""
    row = new.row
    return (
        ordinal,
        hub,
        row.instance_id,
        row.execution_id,
        0,
        now,
        row.start_at,
        row.name,
        row.version,
        row.created_at,
        new.recorded_at,
        None if row.parent is None else row.parent.instance_id,
        None if row.parent is None else encode(row.parent),
        None if row.tags is None else encode(row.tags),
        row.input,
        new.status,
        new.custom_status,
    )
