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


def item(execution_id: str, sequence: int, *, continues: bool) -> OrchestrationWorkItem:
    """A turn that receives an event."""
    events = [OrchestratorStarted(1), EventRaised("go")]
    return OrchestrationWorkItem(
        "i", execution_id, "waiting", None, sequence, events, None, continues
    )


def kept() -> tuple[SessionCache, OrchestrationSession]:
    """A cache with a session of the execution "x" that has made one turn."""
    registry = Registry()
    registry.add_orchestration(waiting)
    session = OrchestrationSession(registry.orchestrations["waiting"])
    session.run_turn([OrchestratorStarted(0), ExecutionStarted("waiting", "i", "x")])
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
