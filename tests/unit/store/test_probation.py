"""How many suspects a source runs together."""

from types import SimpleNamespace

import pytest

from durabletask.store import StoreOptions
from durabletask.store.probation import Probation


class Watch:
    """A clock that is set by hand; at first, calm has reigned for a minute."""

    def __init__(self):
        self.now = -60.0

    def __call__(self):
        return self.now


def calm(**options):
    """Probation that may begin at once."""
    watch = Watch()
    probation = Probation(StoreOptions(**options), watch)
    watch.now = 0.0
    return probation


def suspects(crashes, count):
    """Instances that were busy at so many deaths, as far as probation looks at them."""
    return [SimpleNamespace(instance_id=f"{crashes}-{n}", crashes=crashes) for n in range(count)]


def admitted(probation, instances):
    """How many of the instances there is room for."""
    for number, instance in enumerate(instances):
        if not probation.has_room:
            return number
        probation.admit(instance)
    return len(instances)


@pytest.mark.parametrize(("crashes", "together"), [(1, 64), (2, 64), (3, 8), (4, 1), (7, 1)])
def test_the_more_deaths_the_fewer_together(crashes, together):
    """**failure-poison**: who has one death to go until it is set aside is run alone."""
    assert admitted(calm(), suspects(crashes, 100)) == together


def test_the_most_dangerous_one_decides():
    probation = calm()
    assert admitted(probation, suspects(2, 5)) == 5
    assert admitted(probation, suspects(3, 10)) == 3
    assert probation.acquit(suspects(3, 1)[0])
    assert admitted(probation, suspects(4, 10)) == 1
    assert not probation.has_room


def test_who_gets_on_makes_room():
    probation = calm(poison_after=3)
    one, other = suspects(2, 2)
    assert admitted(probation, [one, other]) == 1
    assert not probation.acquit(other)
    assert probation.acquit(one)
    assert not probation.acquit(one)
    assert admitted(probation, [other]) == 1


def test_not_while_workers_die():
    """**failure-poison**: who kills workers from outside does not find suspects at work."""
    watch = Watch()
    probation = Probation(StoreOptions(probation_delay=5.0), watch)
    watch.now += 4.9
    assert not probation.has_room
    watch.now += 0.2
    assert probation.has_room
    probation.death_seen()
    assert not probation.has_room
    watch.now += 5.1
    assert admitted(probation, suspects(2, 100)) == 64
