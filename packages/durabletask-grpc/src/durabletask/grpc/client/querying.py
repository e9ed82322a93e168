"""The part of a query that the protocol cannot say, looked at here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask.state import OrchestrationQuery, OrchestrationState

__all__ = ["matches", "narrowed"]


def narrowed(query: OrchestrationQuery) -> bool:
    """Whether a purge by this query is narrower than the protocol's filter can be."""
    return bool(
        query.name
        or query.tags
        or query.completed_from
        or query.completed_to
        or query.instance_id_prefix
    )


def matches(query: OrchestrationQuery, state: OrchestrationState) -> bool:
    """Whether a state that the server found fits the rest of the query."""
    if query.name is not None and state.name != query.name:
        return False
    if any(state.tags.get(key) != value for key, value in query.tags.items()):
        return False
    if query.completed_from is None and query.completed_to is None:
        return True
    ended = state.completed_at
    return (
        ended is not None
        and (query.completed_from is None or query.completed_from <= ended)
        and (query.completed_to is None or ended < query.completed_to)
    )
