"""Reading entities from the store, whoever owns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.engine import Entity, from_micros, to_micros
from durabletask.entities import (
    EntityId,
    EntityPage,
    EntityQuery,
    EntityState,
    check_entity_query,
)
from durabletask.errors import BackendUnavailableError
from durabletask.history import decode_history
from durabletask.limits import is_storable
from durabletask.state import OrchestrationQuery, OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durabletask.store.api import Store
    from durabletask.store.record import InstanceRecord

__all__ = ["EntityReader", "state_of"]

_PENDING = frozenset({OrchestrationStatus.PENDING})
_AT_ONCE = 500
_ATTEMPTS = 100


class EntityReader:
    """What clients see of the entities of a store: where the history of each has come to.

    The row tells where the execution has begun, the history how it went on. Both are read one
    after the other, so an entity may have continued as new in between; then it is read again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, instance_id: str) -> EntityState | None:
        """The entity, or None if there is nothing of it."""
        rows = await self._store.get_instances([instance_id], payloads=True)
        return (await self._read([*rows.values()])).get(instance_id)

    async def query(self, query: EntityQuery) -> EntityPage:
        """One page of those that match.

        Raises:
            InvalidRequestError: the query makes no sense.
        """
        check_entity_query(query)
        prefix = "@" if query.name is None else f"@{query.name.lower()}@{query.key_prefix or ''}"
        if not is_storable(prefix):
            return EntityPage([])
        rows, token = await self._store.query_instances(
            OrchestrationQuery(
                instance_id_prefix=prefix,
                page_size=query.page_size,
                continuation_token=query.continuation_token,
            )
        )
        start = None if query.modified_from is None else to_micros(query.modified_from)
        end = None if query.modified_to is None else to_micros(query.modified_to)
        wanted = [
            row
            for row in rows
            if (start is None or start <= row.updated_at) and (end is None or row.updated_at < end)
        ]
        found = (await self._read(wanted)).values()
        items = [state for state in found if state.has_state or query.include_transient]
        if not query.include_state:
            items = [msgspec.structs.replace(state, serialized_state=None) for state in items]
        return EntityPage(items, token)

    async def clean(self) -> int:
        """Remove those that have nothing to remember; returns how many."""
        query = OrchestrationQuery(
            statuses=_PENDING, instance_id_prefix="@", page_size=_AT_ONCE, fetch_payloads=False
        )
        removed = 0
        while True:
            rows, token = await self._store.query_instances(query)
            if rows:
                removed += await self._store.purge_idle([row.instance_id for row in rows])
            if token is None:
                return removed
            query = msgspec.structs.replace(query, continuation_token=token)

    async def _read(self, rows: Sequence[InstanceRecord]) -> dict[str, EntityState]:
        """Those that exist, in the order of their rows."""
        found: dict[str, EntityState | None] = {row.instance_id: None for row in rows}
        for _ in range(_ATTEMPTS):
            if not rows:
                break
            keys = [(row.instance_id, row.execution_id) for row in rows]
            again: list[str] = []
            for row, chunks in zip(rows, await self._store.read_history(keys), strict=True):
                if chunks:
                    found[row.instance_id] = state_of(row, chunks)
                else:
                    again.append(row.instance_id)
            if not again:
                break
            # Without a turn in this execution: it is new, or has gone on as another since.
            now = await self._store.get_instances(again, payloads=True)
            former = {row.instance_id: row.execution_id for row in rows}
            rows = []
            for instance_id, row in now.items():
                if row.execution_id == former[instance_id]:
                    found[instance_id] = state_of(row, [])
                else:
                    rows.append(row)
        else:
            raise BackendUnavailableError(
                "an entity goes on as new whenever it is read: nothing was read"
            )
        return {key: state for key, state in found.items() if state is not None}


def state_of(row: InstanceRecord, chunks: Sequence[bytes]) -> EntityState | None:
    """The entity of this row and history; None if there is nothing of it."""
    memory = Entity(row.input)
    memory.recall(decode_history(chunks))
    if memory.is_blank:
        return None
    return EntityState(
        entity_id=EntityId.parse(row.instance_id),
        last_modified=from_micros(row.updated_at),
        serialized_state=memory.state,
        has_state=memory.state is not None,
        locked_by=None if memory.lock is None else memory.lock.caller.instance_id,
        backlog=len(memory.waiting),
    )
