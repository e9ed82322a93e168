"""The schedule: keys in the order of their instants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask.stores.memory.schedule import Schedule

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.integers(0, 9)),
        st.tuples(st.just("discard"), st.integers(0, 5), st.just(0)),
    )
)


@given(steps)
def test_keys_come_out_in_the_order_of_their_instants(steps: list[tuple[str, int, int]]) -> None:
    """Whatever was moved or discarded: the earliest first, equal instants as they were set."""
    schedule: Schedule[int] = Schedule()
    model: dict[int, int] = {}
    for step, key, at in steps:
        if step == "set":
            if model.get(key) != at:
                model.pop(key, None)
                model[key] = at
            schedule.set(key, at)
        else:
            model.pop(key, None)
            schedule.discard(key)
        assert schedule.first() == min(model.values(), default=None)
        assert len(schedule) == len(model)
    assert schedule.count_until(4) == sum(at <= 4 for at in model.values())
    expected = sorted(((at, key) for key, at in model.items()), key=lambda entry: entry[0])
    assert schedule.pop_due(4) == [entry for entry in expected if entry[0] <= 4]
    late = [entry for entry in expected if entry[0] > 4]
    assert [schedule.pop() for _ in late] == late
    with pytest.raises(IndexError):
        schedule.pop()


def test_stale_entries_do_not_pile_up() -> None:
    """A key that moves for ever takes the room of one key."""
    schedule: Schedule[str] = Schedule()
    for at in range(10_000):
        schedule.set("a", -at)
    assert len(schedule._heap) < 200
    assert schedule.pop() == (-9_999, "a")
