"""An owned instance takes messages in."""

from durabletask.history import EventRaised, TimerFired, encode_event
from durabletask.store import InboxMessage, NewInstance
from durabletask.store.instance import OwnedInstance


def test_timers_that_are_found_together_fire_as_they_were_due() -> None:
    """**timer-time** Whoever looks late lets the first one fire first."""
    row = NewInstance(instance_id="a", execution_id="a/1", name="patient", created_at=1)
    instance = OwnedInstance.bare(row)
    events = {
        1: TimerFired(1, 400),
        2: TimerFired(2, 100),
        3: EventRaised("go", None),
        4: TimerFired(3, 300),
        5: TimerFired(4, 200),
    }
    assert instance.deliver([InboxMessage(n, encode_event(e)) for n, e in events.items()], ())
    assert list(instance.inbox) == [events[n] for n in (2, 5, 3, 4, 1)]
    assert list(instance.inbox_messages.items()) == [(n, events[n]) for n in (2, 5, 3, 4, 1)]
