"""From rewound instances to the arguments of the function that puts them in place.

The order of the columns here is that of the parameters in ``migrations/0007_rewind.sql``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from durabletask.postgres.encode import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.store import RewoundInstance

__all__ = ["rewind_arguments"]

to_json = msgspec.json.Encoder().encode


def rewind_arguments(
    rewound: Sequence[RewoundInstance], ordinals: Sequence[int]
) -> tuple[Any, ...]:
    """Everything but the hub.

    Args:
        ordinals: one for each instance.
    """
    instances: list[tuple[Any, ...]] = []
    chunks: list[tuple[Any, ...]] = []
    messages: list[tuple[Any, ...]] = []
    for ordinal, new in zip(ordinals, rewound, strict=True):
        instances.append(_instance(ordinal, new))
        chunks += [(ordinal, n, new.recorded_at, chunk) for n, chunk in enumerate(new.chunks)]
        messages += [
            (ordinal, one.visible_at, one.execution_id is not None, one.urgent, one.body)
            for one in new.messages
        ]
    return (*columns(instances, 15), *columns(chunks, 4), *columns(messages, 5))


def _instance(ordinal: int, new: RewoundInstance) -> tuple[Any, ...]:
    row = new.row
    return (
        ordinal,
        new.expected,
        row.instance_id,
        row.execution_id,
        row.name,
        row.version,
        row.input,
        None if row.tags is None else to_json(row.tags).decode(),
        None if row.parent is None else row.parent.instance_id,
        None if row.parent is None else to_json(row.parent).decode(),
        row.created_at,
        row.start_at,
        new.status,
        new.custom_status,
        new.recorded_at,
    )
