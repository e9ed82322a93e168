"""**entity-serial**, **entity-lock**: in which order an entity deals with what it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask import history as h
from durabletask.engine import Entity
from durabletask.errors import BackendUnavailableError

ME, YOU, SHE = (h.EntityCaller(name, f"{name}/1") for name in ("me", "you", "she"))
A, B = "@e@a", "@e@b"


def call(caller, number=1, operation="op"):
    return h.EntityOperationCalled(number, A, operation, None, caller)


def signal(operation="op"):
    return h.EntityOperationSignaled(0, A, operation)


def lock(caller, number=7, entities=(A,), position=0):
    return h.EntityLockRequested(number, entities, position, caller)


def unlock(caller, lock_id=7, following=()):
    return h.EntityUnlockSent(0, A, lock_id, caller, following)


def turn(entity, *events, most=100, state=None):
    """Make a turn; what ran, and what was answered."""
    plan = entity.plan(events, most)
    entity.advanced(plan, state)
    return plan.operations, plan.answers


def test_requests_are_dealt_with_in_the_order_of_arrival():
    requests = [call(ME, 1), signal(), call(YOU, 2), call(ME, 3)]
    assert turn(Entity(), *requests) == (requests, [])


def test_a_lock_is_granted_when_the_last_entity_is_held():
    entity = Entity()
    assert turn(entity, lock(ME, entities=(A, B))) == ([], [(B, lock(ME, 7, (A, B), 1))])
    assert entity.lock == h.EntityLockHolder(ME, 7)
    other = Entity()
    assert turn(other, lock(ME, 7, (A, B), 1)) == ([], [(ME, h.EntityLockGranted(7))])
    assert turn(other, unlock(ME)) == ([], [])
    assert other.lock is None


def test_only_the_holder_is_heard_while_it_is_locked():
    entity = Entity()
    before, mine, again = call(YOU, 1), call(ME, 2), call(ME, 3)
    others = [call(YOU, 4), signal(), lock(SHE, 9)]
    ran, answers = turn(entity, before, others[0], lock(ME), others[1], mine, others[2])
    assert (ran, answers) == ([before, others[0], mine], [(ME, h.EntityLockGranted(7))])
    assert entity.waiting == (others[1], others[2])
    assert not entity.can_go_on
    assert turn(entity, again) == ([again], [])
    ran, answers = turn(entity, unlock(ME))
    assert (ran, answers) == ([others[1]], [(SHE, h.EntityLockGranted(9))])


def test_another_execution_of_the_holder_is_somebody_else():
    entity = Entity()
    turn(entity, lock(ME))
    assert turn(entity, call(h.EntityCaller("me", "me/2")), unlock(ME, 8)) == ([], [])
    assert entity.lock is not None


def test_a_lock_that_waits_can_be_given_up():
    entity = Entity()
    turn(entity, lock(ME), lock(YOU, 3), lock(SHE, 4))
    assert turn(entity, unlock(YOU, 3, (B,))) == ([], []), "the request was no further yet"
    assert turn(entity, unlock(ME)) == ([], [(SHE, h.EntityLockGranted(4))])
    assert entity.waiting == ()


def test_giving_up_follows_the_request():
    """The word goes where the request went, and behind it."""
    entity = Entity()
    ran = turn(entity, lock(ME, 7, (A, B, "@e@c")), unlock(ME, 7, (B, "@e@c")))
    onward = h.EntityUnlockSent(0, B, 7, ME, ("@e@c",))
    assert ran == ([], [(B, lock(ME, 7, (A, B, "@e@c"), 1)), (B, onward)])
    assert entity.is_blank


def test_a_long_turn_is_cut_short():
    entity = Entity()
    requests = [call(ME, number) for number in range(5)]
    plan = entity.plan(requests, 3)
    assert (plan.operations, plan.is_partial) == (requests[:3], True)
    entity.advanced(plan, "1")
    assert entity.can_go_on
    plan = entity.plan([], 3)
    assert (plan.operations, plan.is_partial) == (requests[3:], False)


def test_a_record_tells_a_state_only_if_it_has_changed():
    entity = Entity()
    told = [entity.advanced(entity.plan([signal()], 9), state) for state in ("1", "1", None)]
    assert told == [
        h.EntityAdvanced((1,), None, True, "1"),
        h.EntityAdvanced((2,)),
        h.EntityAdvanced((3,), None, True),
    ]


def test_what_is_no_snapshot_is_refused():
    for damaged in ("", "[]", "\ud800", '{"queue": [[1]]}', "{" * 100_000):
        with pytest.raises(BackendUnavailableError, match="state of an entity"):
            Entity(damaged)


callers = st.sampled_from([ME, YOU, SHE])
requests = st.one_of(
    st.builds(call, callers, st.integers(1, 3)),
    st.builds(signal),
    st.builds(lock, callers, st.integers(7, 8)),
    st.builds(unlock, callers, st.integers(7, 8), st.sampled_from([(), (B,)])),
)
turns = st.lists(st.tuples(st.lists(requests, max_size=6), st.integers(0, 4), st.booleans()))


def standing(entity):
    return (entity.state, entity.lock, entity.waiting)


@given(turns)
def test_memory_is_what_history_says(story):
    """Whoever reads the history comes to the same place; so does a new execution; and a turn that
    comes to nothing leaves no trace."""
    entity = Entity()
    begun: str | None = None
    history: list[h.HistoryEvent] = []
    for number, (events, most, renewed) in enumerate(story):
        before = standing(entity)
        entity.undo(entity.plan(events, most))
        assert standing(entity) == before
        plan = entity.plan(events, most)
        lined_up = [*plan.settled.values()]
        assert [e for e in lined_up if e in plan.operations] == plan.operations
        history += [*events, entity.advanced(plan, f'"{number}"' if number % 3 else None)]
        reader = Entity(begun)
        reader.recall(history)
        assert standing(reader) == standing(entity)
        if renewed:
            begun, history = entity.snapshot(), []
            entity = Entity(begun)
            assert standing(entity) == standing(reader)


@given(turns)
def test_every_request_is_settled_once(story):
    """Nothing is dealt with twice, nothing is forgotten, and no stranger runs under a lock."""
    entity = Entity()
    received = settled = 0
    for events, most, _ in story:
        lock_now = entity.lock
        plan = entity.plan(events, most)
        received += len(events)
        settled += len(plan.settled)
        given_up = None
        for request in plan.settled.values():
            dropped, given_up = given_up, None
            if isinstance(request, h.EntityLockRequested):
                asked = h.EntityLockHolder(request.caller, request.task_id)
                if asked != dropped:  # else it was given up while it waited
                    assert lock_now is None
                    lock_now = asked
            elif isinstance(request, h.EntityUnlockSent):
                left = h.EntityLockHolder(request.caller, request.lock_id)
                if lock_now == left:
                    lock_now = None
                else:
                    given_up = left
            elif lock_now is not None:
                assert isinstance(request, h.EntityOperationCalled)
                assert request.caller == lock_now.caller
        assert lock_now == entity.lock
        entity.advanced(plan, None)
    assert received == settled + len(entity.waiting)
