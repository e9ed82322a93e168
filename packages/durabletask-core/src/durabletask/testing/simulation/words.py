"""How the calls of a store read in a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durabletask.store import CommitResult, LaneKey, LaneStanding, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.store import Batch

__all__ = ["describe_answer", "describe_call"]


def describe_call(verb: str, arguments: tuple[Any, ...]) -> str:
    """A call, with what matters of its arguments."""
    words = _CALLS.get(verb)
    return verb if words is None else f"{verb} {words(*arguments)}"


def describe_answer(answer: Any) -> str:
    """What came of it."""
    if isinstance(answer, Exception):
        return type(answer).__name__
    words = _ANSWERS.get(type(answer))
    return "done" if words is None else words(answer)


def _lane(key: LaneKey) -> str:
    return f"{key.lane_id}:{key.epoch}"


def _batch(batch: Batch) -> str:
    parts = [
        f"creates {[new.instance_id for new in batch.creates]}" if batch.creates else "",
        " ".join(
            f"{turn.instance_id}@{turn.execution_id[-4:]}/{turn.sequence}" for turn in batch.turns
        ),
        f"messages {[message.instance_id for message in batch.messages]}" if batch.messages else "",
        f"activities {[row.task_id for row in batch.activities]}" if batch.activities else "",
        f"finished {[done.activity_id for done in batch.finished]}" if batch.finished else "",
        f"parked {[park.instance_id for park in batch.parked]}" if batch.parked else "",
        f"released {[name for name, _ in batch.released]}" if batch.released else "",
        f"returned {batch.returned}" if batch.returned else "",
    ]
    return f"{_lane(batch.lane)} n{batch.number} " + ", ".join(part for part in parts if part)


def _work(work: Work) -> str:
    parts = [
        f"instances {[row.instance_id for row in work.instances]}" if work.instances else "",
        f"activities {[row.activity_id for row in work.activities]}" if work.activities else "",
        f"inbox { {key: len(found) for key, found in work.inbox.items()} }" if work.inbox else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def _result(result: CommitResult) -> str:
    refused = f" refused {sorted(result.refused)}" if result.refused else ""
    missing = f" missing {sorted(result.missing)}" if result.missing else ""
    return f"committed{refused}{missing}"


_CALLS: dict[str, Callable[..., str]] = {
    "commit": _batch,
    "resolve": lambda batch: f"{_lane(batch.lane)} n{batch.number}",
    "poll": lambda lane, interest: _lane(lane),
    "renew_lane": _lane,
    "close_lane": _lane,
    "purge_idle": lambda instance_ids: f"{[*instance_ids]}",
    "get_instances": lambda instance_ids: f"{[*instance_ids]}",
    "rewind_instances": lambda rewound: (
        f"{[f'{new.row.instance_id}@{new.row.execution_id[-4:]}' for new in rewound]}"
    ),
    "read_history": lambda executions: f"{[instance_id for instance_id, _ in executions]}",
}

_ANSWERS: dict[type, Callable[[Any], str]] = {
    CommitResult: _result,
    Work: _work,
    LaneStanding: lambda standing: f"{standing.workers} workers",
    dict: lambda rows: f"{ {key: row.status for key, row in rows.items()} }",
    bool: str,
    int: str,
    tuple: lambda pair: f"lane {_lane(pair[0])}" if isinstance(pair[0], LaneKey) else "done",
}
