"""What workers of any make may ask for: what our own would not is refused before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durabletask.actions import (
    CallEntity,
    CompleteOrchestration,
    ContinueAsNew,
    CreateSubOrchestration,
    CreateTimer,
    LockEntities,
    ScheduleTask,
    SendEvent,
    SignalEntity,
    UnlockEntity,
)
from durabletask.errors import DurableTaskError, PayloadTooLargeError
from durabletask.grpc.sidecar.asked import checked
from durabletask.state import OrchestrationStatus

if TYPE_CHECKING:
    from durabletask.actions import Action

LIMIT = 100
COMPLETED = CompleteOrchestration(OrchestrationStatus.COMPLETED, "1")

GOOD: list[Action] = [
    ScheduleTask(1, "pay", "[1]", "2", {"k": "v"}),
    CreateTimer(2, 5),
    CreateSubOrchestration(3, "order", "child", "1", None, {"k": ""}),
    SendEvent(4, "other", "go", "1"),
    CallEntity(5, "@cart@Ada", "add", "1", "a text"),
    SignalEntity(6, "@cart@Ada", "add", "1", 5),
    LockEntities(7, ("@a@1", "@b@2"), "another"),
    UnlockEntity(8, "@a@1", 7, "another"),
]

BAD: dict[str, Action] = {
    "an activity without a name": ScheduleTask(1, ""),
    "a name that no database takes": ScheduleTask(1, "a\0b"),
    "a name too long": ScheduleTask(1, "x" * 257),
    "a version that no database takes": ScheduleTask(1, "pay", version="\0"),
    "a tag that no database takes": ScheduleTask(1, "pay", tags={"k": "\0"}),
    "a payload that no database takes": ScheduleTask(1, "pay", "\0"),
    "a child without a name": CreateSubOrchestration(1, " ", "child"),
    "a child that is an entity": CreateSubOrchestration(1, "order", "@counter@x"),
    "a child that no database takes": CreateSubOrchestration(1, "order", "\0"),
    "a receiver that no database takes": SendEvent(1, "\0", "go"),
    "an event without a name": SendEvent(1, "other", ""),
    "a call of what is no entity": CallEntity(1, "cart", "add"),
    "a call of nothing": CallEntity(1, "@cart@x", " "),
    "a text that no database takes": CallEntity(1, "@cart@x", "add", request_id="\0"),
    "a signal to what no database takes": SignalEntity(1, "@cart@\0", "add"),
    "a signal that no database takes": SignalEntity(1, "@cart@x", "add", "\0"),
    "a lock of nothing": LockEntities(1, ()),
    "a lock of what is no entity": LockEntities(1, ("@cart@x", "order")),
    "the end of a lock of nothing": UnlockEntity(1, "", 1),
    "an end that is none": CompleteOrchestration(OrchestrationStatus.RUNNING),
    "a result that no database takes": CompleteOrchestration(OrchestrationStatus.COMPLETED, "\0"),
    "an input that no database takes": ContinueAsNew("\0"),
    "a next version that no database takes": ContinueAsNew("1", version="\0"),
}


def test_the_end_comes_last() -> None:
    """**one-outcome** Wherever the worker has put it."""
    assert checked([COMPLETED, *GOOD], "i", LIMIT) == [*GOOD, COMPLETED]


@pytest.mark.parametrize("what", BAD)
def test_what_no_store_should_have_to_take(what: str) -> None:
    """**turn-atomic** It would take down the batch it is in, with the turns of others."""
    with pytest.raises(DurableTaskError):
        checked([GOOD[0], BAD[what]], "i", LIMIT)


def test_an_execution_ends_once() -> None:
    """**one-outcome** Not as two things."""
    for other in (COMPLETED, ContinueAsNew("1")):
        with pytest.raises(DurableTaskError, match="once"):
            checked([COMPLETED, other], "i", LIMIT)


def test_payloads_have_a_limit() -> None:
    """**size** The backend's."""
    with pytest.raises(PayloadTooLargeError, match="'pay'"):
        checked([ScheduleTask(1, "pay", "x" * 101)], "i", LIMIT)


def test_a_child_without_an_id_gets_one() -> None:
    """Some SDKs leave it to the server; the same turn gives the same id each time."""
    [child] = checked([CreateSubOrchestration(17, "order", "")], "parent", LIMIT)
    assert isinstance(child, CreateSubOrchestration)
    assert child.instance_id == "parent:0011"


def test_entities_are_named_and_locked_in_one_way() -> None:
    """**entity-lock** SDKs differ in spelling and sorting; locks are to be taken in one order."""
    asked: list[Action] = [
        CallEntity(1, "@Cart@Ada", "add"),
        LockEntities(2, ("@b@1", "@A!@1", "@a@1", "@B@1")),
    ]
    assert checked(asked, "i", LIMIT) == [
        CallEntity(1, "@cart@Ada", "add"),
        LockEntities(2, ("@a!@1", "@a@1", "@b@1")),
    ]
