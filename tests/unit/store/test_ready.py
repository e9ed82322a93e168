"""The order of turns: what is under way goes first, and new instances still get their share."""

from __future__ import annotations

from durabletask.store.batch import NewInstance
from durabletask.store.instance import OwnedInstance, Phase
from durabletask.store.ready import ReadyQueue


def instance(name: str, sequence: int = 0) -> OwnedInstance:
    """An instance that is ready."""
    row = NewInstance(instance_id=name, execution_id=f"{name}/1", name="O", created_at=1)
    owned = OwnedInstance.created(row)
    owned.sequence = sequence
    owned.phase = Phase.READY
    return owned


def filled(under_way: int, new: int) -> ReadyQueue:
    """A queue in which the new ones arrived first."""
    queue = ReadyQueue()
    for n in range(new):
        queue.push(instance(f"new-{n}"))
    for n in range(under_way):
        queue.push(instance(f"old-{n}", 1))
    return queue


def test_what_is_under_way_goes_first_and_new_ones_get_a_share() -> None:
    """However many are under way, an eighth of the turns begins new instances."""
    queue = filled(under_way=1000, new=1000)
    pulled = [one.instance_id for one in queue.pull(80, is_busy=False)]
    assert pulled == [f"old-{n}" for n in range(70)] + [f"new-{n}" for n in range(10)]
    assert len(queue) == 1920


def test_new_ones_begin_in_order_when_nothing_else_waits() -> None:
    """Many at once at ease, a share while activities wait, and always at least one."""
    queue = filled(under_way=0, new=100)
    assert [one.instance_id for one in queue.pull(3, is_busy=False)] == ["new-0", "new-1", "new-2"]
    assert len(queue.pull(80, is_busy=True)) == 10
    assert len(queue.pull(1, is_busy=True)) == 1


def test_what_was_lost_meanwhile_is_left_out() -> None:
    """An instance that was forgotten while it waited is handed out to nobody."""
    queue = ReadyQueue()
    lost, kept = instance("lost"), instance("kept")
    queue.push(lost)
    queue.push(kept)
    lost.phase = Phase.IDLE
    assert queue.pull(10, is_busy=False) == [kept]
    assert len(queue) == 0
