"""Entities as an orchestrator sees them: **replay-ids**, **replay-check**, **entity-lock**."""

import contextlib
from datetime import timedelta

import pytest

from durabletask import actions as a
from durabletask import history as h
from durabletask import task
from durabletask.engine import rewound
from durabletask.engine.open_work import follow_locks, open_operations
from durabletask.errors import (
    ArgumentTypeError,
    EntityLockError,
    InvalidRequestError,
    NonDeterminismError,
    OrchestrationStateError,
)
from durabletask.state import FailureDetails
from durabletask.task import EntityId

from .driver import SECOND, Run

A, B, C = (EntityId("Account", key) for key in "abc")
NO = FailureDetails("builtins.ValueError", "no")


def test_each_call_takes_a_number(run):
    """**replay-ids** A call, a signal, a lock and each release."""

    def body(ctx):
        ctx.signal_entity(B, "log", [1], signal_time=timedelta(seconds=5))
        total = yield ctx.call_entity(A, "add", 3)
        with (yield ctx.lock_entities([B, A, B])):
            ctx.set_custom_status("in")
        return total

    r = run(body)
    assert r.start() == [
        a.SignalEntity(1, "@account@b", "log", "[1]", r.now + 5 * SECOND),
        a.CallEntity(2, "@account@a", "add", "3"),
    ]
    assert r.turn(h.EntityOperationCompleted(2, "7")) == [
        a.LockEntities(3, ("@account@a", "@account@b"))
    ]
    actions = r.turn(h.EntityLockGranted(3))
    assert actions[:2] == [
        a.UnlockEntity(4, "@account@a", 3),
        a.UnlockEntity(5, "@account@b", 3),
    ]
    assert r.output == 7


def test_a_failed_operation_can_be_caught(run):
    """**failure-shape** The text names the operation and the entity."""

    def body(ctx):
        try:
            yield ctx.call_entity(A, "add")
        except task.TaskFailedError as error:
            return [str(error), error.is_caused_by(ValueError)]

    r = run(body)
    r.start()
    r.turn(h.EntityOperationFailed(1, NO))
    text = "operation 'add' of entity '@account@a' (#1) failed: ValueError: no"
    assert r.output == [text, True]


def test_a_result_is_rebuilt(run):
    """**entity-state** A result that does not fit fails the task, not the instance."""

    def body(ctx):
        day = yield ctx.call_entity(A, "day", return_type=timedelta)
        try:
            yield ctx.call_entity(A, "day", return_type=timedelta)
        except task.SerializationError as error:
            return [day.days, "operation 'day' of entity '@account@a'" in str(error)]

    r = run(body)
    r.start()
    r.turn(h.EntityOperationCompleted(1, '"P1D"'))
    r.turn(h.EntityOperationCompleted(2, "[]"))
    assert r.output == [1, True]


def test_late_answers_are_ignored(run):
    """**replay-unknown** So is a lock that nobody waits for."""

    def body(ctx):
        call = ctx.call_entity(A, "slow")
        event = ctx.wait_for_external_event("go")
        yield task.when_any([call, event])
        yield ctx.wait_for_external_event("go")

    r = run(body)
    r.start()
    r.turn(h.EventRaised("go"))
    r.turn(h.EntityOperationCompleted(1), h.EntityOperationCompleted(1), h.EntityLockGranted(9))
    r.turn(h.EventRaised("go"))
    assert r.output is None


def test_answers_wait_while_suspended(run):
    """**suspend** Answers and grants are kept in order."""

    def body(ctx):
        total = yield ctx.call_entity(A, "add")
        with (yield ctx.lock_entities([A])):
            return total

    r = run(body)
    r.start()
    r.turn(h.ExecutionSuspended(), h.EntityOperationCompleted(1, "1"))
    r.turn(h.ExecutionResumed(), h.ExecutionSuspended())
    r.turn(h.EntityLockGranted(2))
    r.turn(h.ExecutionResumed())
    assert r.output == 1


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (
            lambda ctx: ctx.call_entity(A, "add"),
            lambda ctx: ctx.call_entity(A, "sub"),
            ("operation 'add' of '@account@a'", "operation 'sub' of '@account@a'"),
        ),
        (
            lambda ctx: ctx.call_entity(A, "add"),
            lambda ctx: ctx.call_entity(B, "add"),
            ("operation 'add' of '@account@a'", "operation 'add' of '@account@b'"),
        ),
        (
            lambda ctx: ctx.signal_entity(A, "add"),
            lambda ctx: ctx.call_entity(A, "add"),
            ("signal 'add' to '@account@a'", "operation 'add' of '@account@a'"),
        ),
        (
            lambda ctx: ctx.call_activity("add"),
            lambda ctx: ctx.signal_entity(A, "add"),
            ("activity 'add'", "signal 'add' to '@account@a'"),
        ),
        (
            lambda ctx: ctx.lock_entities([A, B]),
            lambda ctx: ctx.lock_entities([A]),
            ("the lock of @account@a, @account@b", "the lock of @account@a"),
        ),
    ],
)
def test_a_mismatch_names_both_sides(was, now, said):
    """**replay-check** Kind, entity and operation have to be the same."""

    def body_of(ask):
        def body(ctx):
            ask(ctx)
            yield ctx.wait_for_external_event("never")

        return body

    r = Run(body_of(was))
    r.start()
    with pytest.raises(NonDeterminismError) as caught:
        r.replay(body_of(now))
    assert f"history records {said[0]}, but the code now asks for {said[1]}." in str(caught.value)


def test_a_release_has_to_be_repeated():
    """**replay-check** Leaving a section is part of what was done."""

    def body(ctx, leave=True):
        lock = yield ctx.lock_entities([A])
        if leave:
            lock.release()
        yield ctx.wait_for_external_event("never")

    r = Run(body)
    r.start()
    r.turn(h.EntityLockGranted(1))
    with pytest.raises(NonDeterminismError, match="the release of '@account@a'"):
        r.replay(lambda ctx: body(ctx, leave=False))


def test_the_rules_of_a_section(run):
    """**entity-lock** What breaks them raises, takes no number and sends nothing."""

    def body(ctx):
        refused = []

        def breaks(call, *arguments):
            with pytest.raises(EntityLockError) as caught:
                call(*arguments)
            refused.append(str(caught.value))

        request = ctx.lock_entities([A, B])
        breaks(ctx.lock_entities, [C])
        with (yield request):
            breaks(ctx.lock_entities, [A])
            breaks(ctx.call_entity, C, "get")
            breaks(ctx.signal_entity, B, "log")
            ctx.signal_entity(C, "log")
            call = ctx.call_entity(A, "get")
            breaks(ctx.call_entity, A, "get")
            ctx.call_entity(B, "get")
            yield call
            ctx.call_entity(A, "get")
        ctx.call_entity(C, "get")
        return len(refused)

    r = run(body)
    assert [action.task_id for action in r.start()] == [1]
    assert [action.task_id for action in r.turn(h.EntityLockGranted(1))] == [2, 3, 4]
    last = r.turn(h.EntityOperationCompleted(3, "0"))
    assert [type(action) for action in last] == [
        a.CallEntity,
        a.UnlockEntity,
        a.UnlockEntity,
        a.CallEntity,
        a.CompleteOrchestration,
    ]
    assert r.output == 5


def test_bad_arguments_are_refused(run):
    """Nothing is sent."""

    def body(ctx):
        for call in (
            lambda: ctx.call_entity("@account@a", "get"),
            lambda: ctx.signal_entity(("account", "a"), "get"),
            lambda: ctx.lock_entities("account"),
            lambda: ctx.lock_entities(A),
            lambda: ctx.lock_entities(["@account@a"]),
            lambda: ctx.call_entity(A, 3),
        ):
            with pytest.raises(ArgumentTypeError):
                call()
        for call in (
            lambda: ctx.lock_entities([]),
            lambda: ctx.call_entity(A, " "),
            lambda: ctx.send_event("@account@a", "e"),
        ):
            with pytest.raises(InvalidRequestError):
                call()
        yield ctx.create_timer(timedelta(0))

    r = run(body)
    assert r.start() == [a.CreateTimer(1, r.now)]


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (("account", "a"), 'not tuple: write EntityId("name", "key")'),
        ("account", 'not str: write EntityId("name", "key")'),
        ("@account@a", "not str: write EntityId.parse('@account@a')"),
        (
            Run,
            "not Run: write EntityId(name, key), where the name is its own and the key says which "
            "one",
        ),
    ],
)
def test_what_is_no_entity_id_is_told_what_is(given, instead):
    """Of whatever takes one."""

    def body(ctx):
        texts = []
        for ask in (
            lambda: ctx.call_entity(given, "get"),
            lambda: ctx.signal_entity(given, "get"),
            lambda: ctx.lock_entities([A, given]),
        ):
            with pytest.raises(ArgumentTypeError) as caught:
                ask()
            texts.append(str(caught.value))
        return texts

    r = Run(body)
    r.start()
    assert r.output == [
        f"{call} takes an EntityId, {instead}"
        for call in ("call_entity", "signal_entity", "lock_entities")
    ]


def test_a_lock_has_to_be_waited_for():
    """Whoever forgot it is told so, and so is who waits for what gives nothing to wait for."""

    def forgets(ctx):
        with ctx.lock_entities([A]):
            yield ctx.call_entity(A, "get")

    def forgets_too(ctx):
        lock = ctx.lock_entities([A])
        lock.release()

    def waits(ctx):
        yield ctx.signal_entity(A, "log")

    def returns(ctx):
        return (yield ctx.lock_entities([A]))

    for body in (forgets, forgets_too):
        r = Run(body)
        r.start()
        assert r.end.failure.error_type == "durabletask.errors.OrchestrationStateError"
        assert "write with (yield ctx.lock_entities(...))" in r.end.failure.message
    r = Run(waits)
    r.start()
    assert "such as signal_entity" in r.end.failure.message
    r = Run(returns)
    r.start()
    r.turn(h.EntityLockGranted(1))
    assert "it is the lock of entities" in r.end.failure.message


def test_async_with_waits_and_leaves(run):
    """**entity-lock**, **async-body** Whatever ends the block, and the section is left once."""

    async def body(ctx):
        with contextlib.suppress(task.TaskFailedError):
            async with ctx.lock_entities([A, B]) as lock:
                await ctx.call_entity(A, "get")
                lock.release()
                await ctx.call_entity(C, "get")
        async with ctx.lock_entities([A]):
            return "done"

    r = run(body)
    assert r.start() == [a.LockEntities(1, ("@account@a", "@account@b"))]
    assert r.turn(h.EntityLockGranted(1)) == [a.CallEntity(2, "@account@a", "get")]
    actions = r.turn(h.EntityOperationCompleted(2, "0"))
    assert [action.task_id for action in actions] == [3, 4, 5]
    assert r.turn(h.EntityOperationFailed(5, NO)) == [a.LockEntities(6, ("@account@a",))]
    assert r.turn(h.EntityLockGranted(6))[0] == a.UnlockEntity(7, "@account@a", 6)
    assert r.output == "done"


def test_a_closed_body_sends_nothing(run):
    """**dispose** A section that is left because the session is given up is not left."""

    def body(ctx):
        with (yield ctx.lock_entities([A])):
            try:
                yield ctx.wait_for_external_event("never")
            finally:
                ctx.signal_entity(B, "log")
                ctx.call_entity(A, "get")
                ctx.lock_entities([C])

    r = run(body)
    r.start()
    r.turn(h.EntityLockGranted(1))
    before = len(r.session.ledger.actions)
    r.session.dispose()
    assert len(r.session.ledger.actions) == before


@pytest.mark.parametrize(
    "text", ["", "a", "@", "@a", "@a@", "@ @k", "@a@ ", "@" + "n" * 200 + "@" + "k" * 60]
)
def test_texts_that_are_no_entity_ids(text):
    with pytest.raises(InvalidRequestError):
        EntityId.parse(text)


def test_entity_ids():
    """**entity-state** Names ignore case, keys do not, and may contain anything."""
    odd = EntityId("Größe", "K@k /\U0001f600")
    assert EntityId.parse(str(odd)) == odd == EntityId("GRÖßE", "K@k /\U0001f600")
    assert EntityId("n", "k") != EntityId("n", "K")
    assert sorted([EntityId("b", "1"), EntityId("a", "2")])[0].name == "a"
    with pytest.raises(InvalidRequestError, match="must not contain '@'"):
        EntityId("a@b", "c")
    with pytest.raises(ArgumentTypeError):
        EntityId("a", 1)  # type: ignore[arg-type]


# --- rewind --------------------------------------------------------------------------------------


def rewind(r):
    after = rewound(r.history, h.ExecutionRewound("execution-1"))
    return [event for turn in after.turns for event in turn], after.received


def test_a_failed_operation_runs_again(run):
    """**rewind** Its failure goes, and it is open as one that has no answer yet."""

    def body(ctx):
        first = yield ctx.call_entity(A, "add", 1)
        return first + (yield ctx.call_entity(A, "add", 2))

    r = run(body)
    r.start()
    r.turn(h.EntityOperationCompleted(1, "1"))
    r.turn(h.EntityOperationFailed(2, NO))
    history, received = rewind(r)
    assert [*open_operations([*history, *received])] == [2]
    assert not any(isinstance(event, h.EntityOperationFailed) for event in history)
    r.history = history
    r.session = r.new_session()
    r.session.replay(history)
    assert r.turn(*received) == []
    r.turn(h.EntityOperationCompleted(2, "3"))
    assert r.output == 4


def test_no_rewind_into_a_section():
    """**rewind** A lock that was held when it failed is held no more."""

    def body(ctx):
        with (yield ctx.lock_entities([A])):
            yield ctx.call_activity("work")

    r = Run(body)
    r.start()
    r.turn(h.EntityLockGranted(1))
    r.turn(h.TaskFailed(2, NO))
    with pytest.raises(OrchestrationStateError, match="the lock of @account@a"):
        rewind(r)


def test_a_rewind_past_a_section(run):
    """**rewind** A section that was left before stays left."""

    def body(ctx):
        with (yield ctx.lock_entities([A])):
            yield ctx.call_entity(A, "add", 1)
        return (yield ctx.call_activity("work"))

    r = run(body)
    r.start()
    r.turn(h.EntityLockGranted(1))
    r.turn(h.EntityOperationCompleted(2, "1"))
    r.turn(h.TaskFailed(4, NO))
    history, received = rewind(r)
    r.history = history
    r.session = r.new_session()
    r.session.replay(history)
    assert r.turn(*received) == []
    r.turn(h.TaskCompleted(4, "5"))
    assert r.output == 5


def test_locks_that_are_open():
    """Those asked for, less the entities given up."""
    locks: dict[int, tuple[str, ...]] = {}
    follow_locks(locks, [h.EntityLockRequested(1, ("x", "y")), h.EntityLockRequested(5, ("z",))])
    follow_locks(locks, [h.EntityUnlockSent(2, "x", 1), h.EntityUnlockSent(6, "z", 5)])
    assert locks == {1: ("y",)}
    follow_locks(locks, [h.EntityUnlockSent(3, "y", 1), h.EntityUnlockSent(3, "y", 1)])
    assert locks == {}
