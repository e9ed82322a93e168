"""Which turns a session that was kept may go on with."""

from __future__ import annotations

from typing import Any

import pytest

from durabletask import task
from durabletask.backend import OrchestrationWorkItem
from durabletask.engine import OrchestrationSession, Registry
from durabletask.history import EventRaised, ExecutionStarted, OrchestratorStarted
from durabletask.worker.sessions import SessionCache


@task.orchestration
def waiting(ctx: task.OrchestrationContext) -> Any:
    return (yield ctx.wait_for_external_event("go"))


def item(
    execution_id: str, sequence: int, *, continues: bool, instance_id: str = "i"
) -> OrchestrationWorkItem:
    """A turn that receives an event."""
    events = [OrchestratorStarted(1), EventRaised("go")]
    return OrchestrationWorkItem(
        instance_id, execution_id, "waiting", None, sequence, events, None, continues
    )


def begun(instance_id: str) -> OrchestrationSession:
    """A session of the execution "x" that has made one turn."""
    registry = Registry()
    registry.add_orchestration(waiting)
    session = OrchestrationSession(registry.orchestrations["waiting"])
    session.run_turn([OrchestratorStarted(0), ExecutionStarted("waiting", instance_id, "x")])
    return session


def kept() -> tuple[SessionCache, OrchestrationSession]:
    """A cache with such a session."""
    session = begun("i")
    cache = SessionCache(10)
    cache.keep("i", session)
    return cache, session


def test_a_session_goes_on_with_its_next_turn() -> None:
    """**turn-single** The turn it has made is the one that is committed."""
    cache, session = kept()
    assert cache.take(item("x", 1, continues=True)) is session
    assert len(cache) == 0


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(item("y", 1, continues=True), id="another execution"),
        pytest.param(item("x", 0, continues=True), id="its turn was not committed"),
        pytest.param(item("x", 2, continues=True), id="another worker has gone on"),
        pytest.param(item("x", 1, continues=False), id="another worker has made the same turn"),
    ],
)
def test_any_other_session_is_disposed_of(turn: OrchestrationWorkItem) -> None:
    """**turn-single** A number is no proof: two workers may both have made the turn of that number.

    One of them lost its lane and could not commit. If it owns the instance again later, what its
    session has seen is not what history says.
    """
    cache, session = kept()
    assert cache.take(turn) is None
    assert session.ledger.muted
    assert len(cache) == 0


def turn_of(cache: SessionCache, instance_id: str) -> bool:
    """A turn as a worker runs it; whether it needs no replay."""
    session = cache.take(item("x", 1, continues=True, instance_id=instance_id))
    if session is not None:
        cache.keep(instance_id, session)
    else:
        cache.keep(instance_id, begun(instance_id), replayed=True)
    return session is not None


def test_a_round_of_more_than_there_is_room_for() -> None:
    """Most that are kept go on at once, though each is the least recently used when it comes."""
    cache = SessionCache(50)
    for number in range(60):
        cache.keep(str(number), begun(str(number)))
    hits = sum(turn_of(cache, str(number)) for _ in range(20) for number in range(60))
    assert hits > 0.7 * 20 * 60
    assert len(cache) == 50


def test_one_that_wakes_finds_a_place() -> None:
    """Though the cache is full of others, which sleep: it is replayed a few times at most."""
    cache = SessionCache(50)
    for number in range(60):
        cache.keep(str(number), begun(str(number)))
    assert [turn_of(cache, "0") for _ in range(10)] == [False] * 4 + [True] * 6
    assert len(cache) == 50


def test_the_least_recently_used_goes_for_a_new_one() -> None:
    """Short instances come and go whoever sleeps in the cache."""
    cache = SessionCache(2)
    sessions = {name: begun(name) for name in "abc"}
    for name, session in sessions.items():
        cache.keep(name, session)
    assert [session.ledger.muted for session in sessions.values()] == [True, False, False]
