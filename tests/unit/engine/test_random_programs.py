"""Random orchestrations come to the same outcome however they are run."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from durabletask.history import (
    EventRaised,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durabletask.state import FailureDetails

from .driver import Run
from .programs import (
    All,
    Any_,
    Call,
    One,
    Patch,
    Program,
    Send,
    Tie,
    Timer,
    Wait,
    body,
    expected,
)
from .world import World

START = 1_000_000

durations = st.integers(1, 10_000)
calls = st.builds(
    Call,
    duration=durations,
    value=st.integers(0, 99),
    fails=st.integers(0, 2),
    attempts=st.integers(1, 3),
    interval=st.integers(0, 5_000),
    child=st.booleans(),
)
operations = calls | st.builds(Timer, durations)
many = st.lists(operations, max_size=4).map(tuple)
names = st.sampled_from(["a", "A", "b"])
steps = st.one_of(
    st.builds(One, operations),
    st.builds(All, many),
    st.builds(Any_, many.filter(bool)),
    st.builds(Wait, names, st.none() | durations),
    st.builds(Send, st.integers(0, 9)),
    st.builds(Patch, names),
)
events = st.lists(
    st.tuples(st.integers(START + 1, START + 40_000), names, st.integers(0, 99)),
    max_size=6,
    unique_by=lambda event: event[0],
).map(tuple)
programs = st.builds(
    Program,
    steps=st.lists(steps, min_size=1, max_size=6).map(tuple),
    rounds=st.integers(1, 3),
    save_events=st.booleans(),
    events=events,
)


def generator_of(program: Program) -> Any:
    def orchestrator(ctx, state):
        return (yield from body(program, ctx, state))

    return orchestrator


def coroutine_of(program: Program) -> Any:
    async def orchestrator(ctx, state):
        steps, answer = body(program, ctx, state), None
        resume = steps.send
        try:
            while True:
                waited = resume(answer)
                try:
                    resume, answer = steps.send, await waited
                except Exception as error:
                    resume, answer = steps.throw, error
        except StopIteration as stop:
            return stop.value

    return orchestrator


@given(programs)
def test_programs_come_to_what_arithmetic_says(program):
    """**replay-order**, **any-winner**, **all-waits**, **retry-delay**, **can-events**, **patch**.

    A plain interpreter, kept sessions, and sessions rebuilt before every turn agree about output
    and times; generators and coroutines, kept and rebuilt, agree about every event of history.
    """
    try:
        wanted = expected(program, START)
    except Tie:
        assume(False)
    histories = []
    for make in (generator_of, coroutine_of):
        for replayed in (False, True):
            world = World(Run(make(program), replayed=replayed), program.events)
            assert world.play([1, []], START) == wanted
            world.run.session.dispose()
            histories.append(world.histories)
    assert all(history == histories[0] for history in histories)


FAILURE = FailureDetails("x.E", "failure")
numbers = st.integers(1, 12)
noise = st.one_of(
    st.builds(TaskCompleted, numbers, st.sampled_from([None, "1", '"x"'])),
    st.builds(TaskFailed, numbers, st.just(FAILURE)),
    st.builds(SubOrchestrationInstanceCompleted, numbers, st.just("2")),
    st.builds(SubOrchestrationInstanceFailed, numbers, st.just(FAILURE)),
    st.builds(TimerFired, numbers, st.just(0)),
    st.builds(EventRaised, names, st.sampled_from([None, "0"])),
    st.sampled_from([ExecutionSuspended(), ExecutionResumed(), ExecutionResumed()]),
)
turns = st.lists(st.lists(noise, max_size=8), max_size=12)


@given(programs, turns, st.booleans())
def test_any_events_do_the_same_to_kept_and_rebuilt_sessions(program, turns, terminate):
    """**replay-unknown**, **suspend**, **terminate**: duplicates, strangers, any order, any batch.

    Whatever arrives, a kept session and one rebuilt by replay ask for the same, turn by turn.
    """
    kept = Run(generator_of(program))
    rebuilt = Run(generator_of(program), replayed=True)
    assert kept.start([1, []]) == rebuilt.start([1, []])
    for batch in turns:
        if kept.session.is_finished:
            break
        assert kept.turn(*batch) == rebuilt.turn(*batch)
        assert kept.results[-1] == rebuilt.results[-1]
    if terminate and not kept.session.is_finished:
        assert kept.turn(ExecutionTerminated()) == rebuilt.turn(ExecutionTerminated())
    assert kept.history == rebuilt.history
    kept.replay().dispose()
    kept.session.dispose()
    rebuilt.session.dispose()
