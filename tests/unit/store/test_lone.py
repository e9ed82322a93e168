"""Which batches are lone turns."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask.state import ParentInstance
from durabletask.store import Batch, InstanceUpdate, LaneKey, NextExecution, lone_turn
from durabletask.testing.conformance.store.driver import (
    activity,
    finish,
    instance,
    message,
    turn,
)


def batch(**fields: Any) -> Batch:
    """A batch of some lane."""
    return Batch(lane=LaneKey(1, 1), number=1, **fields)


def born(**fields: Any) -> dict[str, Any]:
    """A batch that creates an instance and makes its first turn."""
    return {"creates": [instance("a", **{"owned": True, **fields})], "turns": [turn("a", 0)]}


NEXT = NextExecution(execution_id="a/2", input=None, version=None)
PARENT = ParentInstance("p", "P", 1, "p/1")

OTHERS = {
    "nothing": {},
    "messages": {"turns": [turn("a", 1)], "messages": [message("b", "m")]},
    "activities": {"turns": [turn("a", 1)], "activities": [activity("a")]},
    "released": {"turns": [turn("a", 1)], "released": [("b", False)]},
    "returned": {"turns": [turn("a", 1)], "returned": [(1, 1)]},
    "two turns": {"turns": [turn("a", 1), turn("b", 1)]},
    "consumes": {"turns": [turn("a", 1, consumed=[7])]},
    "timer": {"turns": [turn("a", 1, timers=[message("a", "m", visible_at=1)])]},
    "tells children": {"turns": [turn("a", 1, to_children=b"stop")]},
    "goes on": {"turns": [turn("a", 1, next=NEXT)]},
    "another's birth": {"creates": [instance("b", owned=True)], "turns": [turn("a", 1)]},
    "two births": {**born(), "creates": [instance(name, owned=True) for name in "ab"]},
    "child": born(parent=PARENT),
    "replaces": born(replace=frozenset({"COMPLETED"})),
    "refusal": born(refusal=message("p", "taken")),
    "not owned": born(owned=False),
    "ends at birth": {**born(), "turns": [finish("a")]},
    "other execution": born(execution_id="a/0"),
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_others_are_not(fields: dict[str, Any]) -> None:
    """Whatever writes more than its own instance takes the general way."""
    assert lone_turn(batch(**fields)) is None


@pytest.mark.parametrize(
    ("change", "is_append", "ends"),
    [
        (turn("a", 1, update=None), True, False),
        (turn("a", 1, update=None, crashes_cleared=True), False, False),
        (turn("a", 1, update=InstanceUpdate(busy=False)), False, False),
        (finish("a", 1), False, True),
        (finish("a", 1, status="TERMINATED"), False, True),
    ],
)
def test_a_turn(change: Any, is_append: bool, ends: bool) -> None:
    """A turn alone in its batch, with what it does to its instance."""
    lone = lone_turn(batch(turns=[change]))
    assert lone is not None
    assert (lone.turn, lone.new, lone.is_append, lone.ends) == (change, None, is_append, ends)


def test_a_birth() -> None:
    """An instance that the lane owns, and its first turn."""
    lone = lone_turn(batch(**born()))
    assert lone is not None
    assert lone.new == instance("a", owned=True)
    assert not lone.is_append
