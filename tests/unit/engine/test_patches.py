"""**patch** `is_patched` records its answer in history, so old instances keep the old path."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask import history as h
from durabletask.actions import (
    ApplyPatch,
    CompleteOrchestration,
    ContinueAsNew,
    ScheduleTask,
)
from durabletask.backend import Capabilities
from durabletask.engine import OrchestrationSession, Registry
from durabletask.errors import ArgumentTypeError, CapabilityError, InvalidRequestError

from .driver import Run


def before(ctx):
    first = yield ctx.call_activity("first")
    return [first, (yield ctx.call_activity("charge"))]


def after(ctx):
    first = yield ctx.call_activity("first")
    if ctx.is_patched("fraud-check"):
        yield ctx.call_activity("check")
    return [first, (yield ctx.call_activity("charge"))]


async def after_async(ctx):
    first = await ctx.call_activity("first")
    if ctx.is_patched("fraud-check"):
        await ctx.call_activity("check")
    return [first, await ctx.call_activity("charge")]


def names_of(actions):
    return [action.name for action in actions if isinstance(action, ScheduleTask)]


def go_on_with(run, function):
    """Deploy other code: the next turn begins with a replay by it."""
    run.session.dispose()
    registry = Registry()
    registry.add_orchestration(function, name=run.registration.name)
    (run.registration,) = registry.orchestrations.values()
    run.session = run.new_session()
    run.session.replay(run.history)


@pytest.mark.parametrize("code", [after, after_async])
def test_a_new_execution_takes_the_new_path(run, code):
    """The first question in a live turn is answered True, and history records the patch."""
    r = run(code)
    r.start()
    actions = r.turn(h.TaskCompleted(1, "1"))
    assert actions == [ApplyPatch("fraud-check"), ScheduleTask(2, "check")]
    assert h.PatchApplied("fraud-check") in r.history
    assert names_of(r.turn(h.TaskCompleted(2))) == ["charge"]
    r.turn(h.TaskCompleted(3, "3"))
    assert r.output == [1, 3]
    assert r.history.count(h.PatchApplied("fraud-check")) == 1


@pytest.mark.parametrize("code", [after, after_async])
def test_an_old_execution_keeps_the_old_path(run, code):
    """The first question while replaying a history without the patch is answered False."""
    r = run(before)
    r.start()
    assert names_of(r.turn(h.TaskCompleted(1, "1"))) == ["charge"]
    go_on_with(r, code)
    r.turn(h.TaskCompleted(2, "3"))
    assert r.output == [1, 3]
    assert h.PatchApplied("fraud-check") not in r.history


def test_an_old_execution_that_has_not_come_so_far_takes_the_new_path(run):
    """What decides is whether the turn of the question has happened, not who started it."""
    r = run(before)
    r.start()
    go_on_with(r, after)
    assert names_of(r.turn(h.TaskCompleted(1, "1"))) == ["check"]


def test_the_first_answer_holds(run):
    """No is kept for the rest of the execution, in live turns too; and so is yes."""

    def looping(ctx):
        answers = []
        for step in ("a", "b", "c"):
            answers.append(ctx.is_patched("p"))
            yield ctx.call_activity(step)
        return answers

    def older(ctx):
        for step in ("a", "b", "c"):
            yield ctx.call_activity(step)

    r = run(older)
    r.start()
    go_on_with(r, looping)
    r.turn(h.TaskCompleted(1))
    r.turn(h.TaskCompleted(2))
    r.turn(h.TaskCompleted(3))
    assert r.output == [False, False, False]
    fresh = run(looping)
    fresh.start()
    for number in (1, 2, 3):
        fresh.turn(h.TaskCompleted(number))
    assert fresh.output == [True, True, True]
    assert fresh.history.count(h.PatchApplied("p")) == 1


def test_a_mark_is_found_wherever_it_is_in_history(run):
    """All of history is looked at before the first question of a replay is answered."""

    def late(ctx):
        yield ctx.call_activity("a")
        return [ctx.is_patched("p"), (yield ctx.call_activity("b"))]

    def early(ctx):
        answer = ctx.is_patched("p")
        yield ctx.call_activity("a")
        return [answer, (yield ctx.call_activity("b"))]

    r = run(late)
    r.start()
    r.turn(h.TaskCompleted(1))
    go_on_with(r, early)
    r.turn(h.TaskCompleted(2))
    assert r.output == [True, None]
    assert r.history.count(h.PatchApplied("p")) == 1


def test_a_mark_without_a_question_means_nothing(run):
    """The question may be removed once no instance of the old path is left."""

    def final(ctx):
        first = yield ctx.call_activity("first")
        yield ctx.call_activity("check")
        return [first, (yield ctx.call_activity("charge"))]

    r = run(after)
    r.start()
    r.turn(h.TaskCompleted(1, "1"))
    go_on_with(r, final)
    r.turn(h.TaskCompleted(2))
    r.turn(h.TaskCompleted(3, "3"))
    assert r.output == [1, 3]


def test_a_new_execution_asks_anew(run):
    """continue_as_new begins a fresh history, in which nothing is answered yet."""

    def rounds(ctx, n):
        yield ctx.call_activity("a")
        if ctx.is_patched("p"):
            yield ctx.call_activity("b")
        ctx.continue_as_new(n + 1)

    def older(ctx, n):
        yield ctx.call_activity("a")
        yield ctx.create_timer(timedelta(1))

    r = run(older)
    r.start(1)
    r.turn(h.TaskCompleted(1))
    r.history[-1] = h.ContinuedAsNew("2")
    r.registration = run(rounds).registration
    r.start(2)
    assert names_of(r.turn(h.TaskCompleted(1))) == ["b"]
    [end] = r.turn(h.TaskCompleted(2))
    assert isinstance(end, ContinueAsNew)


def test_it_takes_no_number_and_counts_with_the_end(run):
    """In the turn that ends the execution the mark comes before the end; calls count on."""

    def orchestrator(ctx):
        answers = [ctx.is_patched("a"), ctx.is_patched("b"), ctx.is_patched("a")]
        timer = ctx.create_timer(timedelta(1))
        timer.cancel()
        ctx.send_event("other", "news")
        return answers
        yield

    r = run(orchestrator)
    actions = r.start()
    assert [type(action).__name__ for action in actions] == [
        "ApplyPatch",
        "ApplyPatch",
        "SendEvent",
        "CompleteOrchestration",
    ]
    assert actions[2].task_id == 2
    assert r.output == [True, True, True]
    r.replay().dispose()


def test_a_closed_context_records_nothing(run):
    """After continue_as_new, and while it is being closed, a first question is answered False."""
    answers = []

    def orchestrator(ctx):
        try:
            if ctx.is_patched("known"):
                yield ctx.call_activity("a")
        finally:
            answers.append((ctx.is_patched("p"), ctx.is_patched("known")))

    r = run(orchestrator)
    r.start()
    r.session.dispose()
    assert answers[-1] == (False, True)
    assert h.PatchApplied("p") not in r.history

    def continuing(ctx):
        ctx.continue_as_new(1)
        answers.append(ctx.is_patched("p"))
        return None
        yield

    [end] = run(continuing).start()
    assert isinstance(end, ContinueAsNew)
    assert answers[-1] is False


def test_while_suspended_it_works_as_ever(run):
    """**suspend** The question comes when the buffered events are given to the body."""
    r = run(after)
    r.start()
    assert r.turn(h.ExecutionSuspended()) == []
    assert r.turn(h.TaskCompleted(1, "1")) == []
    assert names_of(r.turn(h.ExecutionResumed())) == ["check"]
    r.turn(h.TaskCompleted(2))
    r.turn(h.TaskCompleted(3, "3"))
    assert r.output == [1, 3]


@pytest.mark.parametrize(
    ("patch_id", "error"),
    [("", InvalidRequestError), ("  ", InvalidRequestError), (7, ArgumentTypeError)],
)
def test_an_unusable_id_is_refused(run, patch_id, error):
    """As names are; nothing is recorded."""

    def orchestrator(ctx):
        with pytest.raises(error, match="id of a patch"):
            ctx.is_patched(patch_id)
        return "refused"
        yield

    r = run(orchestrator)
    assert [type(action) for action in r.start()] == [CompleteOrchestration]
    assert r.output == "refused"


def test_a_backend_that_cannot_record_it_is_named():
    """The error says which capability is missing, inside the orchestrator."""

    def orchestrator(ctx):
        with pytest.raises(CapabilityError, match=r"elsewhere.*patches"):
            ctx.is_patched("p")
        return "told"
        yield

    r = Run(orchestrator)
    r.session = OrchestrationSession(
        r.registration, capabilities=Capabilities(name="elsewhere", patches=False)
    )
    r.turn(h.ExecutionStarted("orchestrator", "i", "e"))
    assert r.output == "told"


# --- any code that was changed somewhere, deployed at any time ----------------------------------

places = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["call", "timer", "two"])),
    min_size=1,
    max_size=8,
).map(tuple)


def code_of(program: tuple[tuple[str, str], ...], patched: frozenset[str]) -> Any:
    """The code of a day on which these patches were in it."""

    def step(ctx, kind, path):
        match kind:
            case "call":
                return ctx.call_activity(path)
            case "timer" if path == "new":
                return ctx.create_timer(timedelta(1))
            case _:
                return ctx.call_sub_orchestration(path)

    def orchestrator(ctx):
        seen = []
        for patch, kind in program:
            path = "new" if patch in patched and ctx.is_patched(patch) else "old"
            seen.append([patch, path])
            yield step(ctx, kind, path)
            if kind == "two":
                yield step(ctx, kind, path)
        return seen

    return orchestrator


ANSWERS = {
    "ScheduleTask": h.TaskCompleted,
    "CreateSubOrchestration": h.SubOrchestrationInstanceCompleted,
    "CreateTimer": lambda number: h.TimerFired(number, 0),
}


@given(
    places,
    st.lists(st.sampled_from(["keep", "replay", "deploy a", "deploy b"]), max_size=20),
)
def test_code_that_changes_under_an_execution(program, fate):
    """One execution never takes both paths of a patch, whenever its code is replaced or evicted.

    And a session that was kept does what one does that is rebuilt before every turn.
    """
    patched: frozenset[str] = frozenset()
    kept, rebuilt = (
        Run(code_of(program, patched), replayed=replayed) for replayed in (False, True)
    )
    actions = kept.start()
    assert rebuilt.start() == actions
    moves = iter(fate)
    while not kept.session.is_finished:
        move = next(moves, "keep")
        if move.startswith("deploy"):
            patched |= {move[-1]}
            go_on_with(kept, code_of(program, patched))
            go_on_with(rebuilt, code_of(program, patched))
        elif move == "replay":
            go_on_with(kept, code_of(program, patched))
        call = actions[-1]
        answer = ANSWERS[type(call).__name__](call.task_id)
        actions = kept.turn(answer)
        assert rebuilt.turn(answer) == actions
    paths = {patch: {path for p, path in kept.output if p == patch} for patch, _ in program}
    assert all(len(taken) == 1 for taken in paths.values())
    marked = {event.patch_id for event in kept.history if isinstance(event, h.PatchApplied)}
    assert marked == {patch for patch, taken in paths.items() if taken == {"new"}}
