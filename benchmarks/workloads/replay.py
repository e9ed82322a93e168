"""An orchestration with a long history is brought back to memory, as after an eviction.

The backend plays no part: the chunks are at hand, encoded as every store keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from benchmarks.measure import Meter, Span
from benchmarks.programs import count_up
from benchmarks.verify import check_equal
from benchmarks.workload import Outcome, Workload
from durabletask.actions import CompleteOrchestration
from durabletask.engine import OrchestrationSession, Registry
from durabletask.engine.runtime_state import apply_actions
from durabletask.history import (
    ExecutionStarted,
    OrchestratorStarted,
    TaskCompleted,
    decode_history,
    encode_chunk,
)

if TYPE_CHECKING:
    from benchmarks.workload import Setting
    from durabletask.engine import OrchestrationRegistration
    from durabletask.history import HistoryEvent

__all__ = ["REPLAY", "record"]

EVENTS_PER_TURN = 3
LAPS = 5


def record(registration: OrchestrationRegistration, steps: int) -> list[bytes]:
    """The chunks of a ``count_up`` whose last activity has not finished: one per turn."""
    session = OrchestrationSession(registration)
    started = ExecutionStarted(count_up.__name__, "counter", "first", str(steps))
    events: list[HistoryEvent] = [OrchestratorStarted(0), started]
    chunks: list[bytes] = []
    for step in range(1, steps + 1):
        outcome = apply_actions(events, session.run_turn(events).actions)
        chunks.append(encode_chunk(outcome.events))
        events = _completion(step)
    session.dispose()
    return chunks


def _completion(step: int) -> list[HistoryEvent]:
    """The events of the turn after the activity with this number has finished."""
    return [OrchestratorStarted(step * 1000), TaskCompleted(step, str(step))]


async def _run(setting: Setting, meter: Meter) -> Outcome:
    registry = Registry()
    registry.add_orchestration(count_up)
    registration = registry.orchestration(count_up)
    steps = max(1, setting.n // EVENTS_PER_TURN)
    chunks = record(registration, steps)
    _lap(registration, chunks, Meter())
    laps = [_lap(registration, chunks, meter) for _ in range(LAPS)]
    decoding = sum(decoded.wall for decoded, _ in laps)
    replaying = sum(replayed.wall for _, replayed in laps)
    events = EVENTS_PER_TURN * steps
    return Outcome(
        items=events * LAPS,
        span=Span(decoding + replaying, sum(span.cpu for lap in laps for span in lap)),
        figures={
            "events": events,
            "events_per_s_without_decoding": events * LAPS / replaying,
            "stored_bytes_per_event": sum(map(len, chunks)) / events,
        },
    )


def _lap(
    registration: OrchestrationRegistration, chunks: list[bytes], meter: Meter
) -> tuple[Span, Span]:
    """Decode and replay once; returns what each took."""
    with meter.span() as decoded:
        history = decode_history(chunks)
    check_equal(len(history), EVENTS_PER_TURN * len(chunks), "the number of events")
    session = OrchestrationSession(registration)
    with meter.span() as replayed:
        session.replay(history)
    _check_last_turn(session, len(chunks))
    return decoded, replayed


def _check_last_turn(session: OrchestrationSession, steps: int) -> None:
    """The replayed session must go on as if it had never left."""
    result = session.run_turn(_completion(steps))
    session.dispose()
    check_equal(len(result.actions), 1, "the number of actions after a replay")
    ended = cast("CompleteOrchestration", result.actions[0])
    check_equal(type(ended), CompleteOrchestration, "the action after a replay")
    check_equal(ended.result, str(steps), "the result after a replay")


REPLAY = Workload(name="replay", default_n=100_000, unit="events/s", run=_run)
