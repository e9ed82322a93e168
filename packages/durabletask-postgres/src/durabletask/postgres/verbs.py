"""The statements: one call of one function each, with values for arguments and nothing else."""

from __future__ import annotations

__all__ = ["Verbs"]

_COUNTS = {
    "append_v1": 7,
    "begin_v1": 18,
    "close_lane_v1": 3,
    "commit_v1": 85,
    "histories_v1": 3,
    "hub_v1": 1,
    "instances_v1": 3,
    "keep_v1": 4,
    "open_lane_v1": 7,
    "ordinals_v1": 0,
    "owned_v1": 3,
    "poll_v1": 13,
    "purge_idle_v1": 2,
    "purge_v1": 3,
    "query_v1": 13,
    "renew_lane_v1": 4,
    "resolve_v1": 7,
    "rewind_v1": 25,
    "start_v1": 12,
    "submit_v1": 21,
    "take_over_v1": 2,
    "turn_v1": 14,
    "unclaimed_v1": 2,
}
"""The functions of the schema that this version calls, and how many arguments each takes."""


class Verbs:
    """The statements for one schema, whose name is checked by ``PostgresOptions``."""

    append_v1: str
    begin_v1: str
    close_lane_v1: str
    commit_v1: str
    histories_v1: str
    hub_v1: str
    instances_v1: str
    keep_v1: str
    open_lane_v1: str
    ordinals_v1: str
    owned_v1: str
    poll_v1: str
    purge_idle_v1: str
    purge_v1: str
    query_v1: str
    renew_lane_v1: str
    resolve_v1: str
    rewind_v1: str
    start_v1: str
    submit_v1: str
    take_over_v1: str
    turn_v1: str
    unclaimed_v1: str

    def __init__(self, schema: str) -> None:
        for name, count in _COUNTS.items():
            places = ", ".join(f"${number}" for number in range(1, count + 1))
            setattr(self, name, f'SELECT * FROM "{schema}".{name}({places})')
