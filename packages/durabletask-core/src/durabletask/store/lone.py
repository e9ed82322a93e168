"""Batches of one turn, by far the most frequent ones of a worker that has little to do.

What such a batch writes fits into one or two statements without any of the work that a batch of
many needs, and a store that takes this short way answers a lone instance in half the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.store.batch import FINISHED_STATUSES, NewInstance, Turn

if TYPE_CHECKING:
    from durabletask.store.batch import Batch

__all__ = ["LoneTurn", "lone_turn"]


class LoneTurn(msgspec.Struct, frozen=True, gc=False):
    """The only content of a batch: a turn that writes to its own instance alone.

    It consumes nothing, sends nothing, sets no timer and begins no other execution.

    Attributes:
        turn: its ``update`` may end the instance, unless the instance is new.
        new: the instance, if this batch creates it: owned by the lane, nobody's child, and in
            nobody's place.
    """

    turn: Turn
    new: NewInstance | None

    @property
    def is_append(self) -> bool:
        """Whether it adds to history and changes nothing else."""
        return self.new is None and self.turn.update is None and not self.turn.crashes_cleared

    @property
    def ends(self) -> bool:
        """Whether the instance is finished by it."""
        update = self.turn.update
        return update is not None and update.status in FINISHED_STATUSES


def lone_turn(batch: Batch) -> LoneTurn | None:
    """The turn of a batch that holds nothing else, or None.

    Example::

        lone = lone_turn(batch)
        if lone is not None and lone.is_append:
            return await self._append(batch.lane, lone.turn)
    """
    if (
        len(batch.turns) != 1
        or batch.messages
        or batch.activities
        or batch.finished
        or batch.parked
        or batch.released
        or batch.returned
    ):
        return None
    turn = batch.turns[0]
    if turn.consumed or turn.timers or turn.next is not None or turn.to_children is not None:
        return None
    if not batch.creates:
        return LoneTurn(turn, None)
    new = batch.creates[0]
    lone = LoneTurn(turn, new)
    is_plain = new.owned and new.parent is None and new.refusal is None and not new.replace
    if len(batch.creates) > 1 or not is_plain or lone.ends:
        return None
    ours = new.instance_id == turn.instance_id and new.execution_id == turn.execution_id
    return lone if ours else None
