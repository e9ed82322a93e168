"""What waits to be committed on a lane, and who is to hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.store.batch import Batch

if TYPE_CHECKING:
    import asyncio

    from durabletask.store.batch import (
        ActivityRow,
        FinishedActivity,
        LaneKey,
        Message,
        NewInstance,
        Park,
        Turn,
    )
    from durabletask.store.effect import TurnEffect
    from durabletask.store.instance import OwnedInstance

__all__ = ["PendingBatch"]


class PendingBatch:
    """Collects the next batch of a lane.

    ``creates`` and ``messages`` may carry a future of the client that asked; such entries belong
    to nobody's turn, so they survive the fencing of the lane and are sent again on the next one.

    ``summoned``: the entities among the creates, each of which needs to be there once only.
    """

    __slots__ = (
        "activities",
        "create_futures",
        "creates",
        "effects",
        "finished",
        "message_futures",
        "messages",
        "parked",
        "released",
        "returned",
        "summoned",
        "turns",
    )

    def __init__(self) -> None:
        self.creates: list[NewInstance] = []
        self.create_futures: list[asyncio.Future[bool] | None] = []
        self.turns: list[Turn] = []
        self.effects: list[TurnEffect] = []
        self.messages: list[Message] = []
        self.message_futures: list[asyncio.Future[bool] | None] = []
        self.activities: list[ActivityRow] = []
        self.finished: list[FinishedActivity] = []
        self.parked: list[tuple[Park, OwnedInstance]] = []
        self.released: list[tuple[OwnedInstance, bool]] = []
        self.returned: list[tuple[int, int]] = []
        self.summoned: set[str] = set()

    def __bool__(self) -> bool:
        return bool(
            self.turns
            or self.creates
            or self.messages
            or self.activities
            or self.finished
            or self.parked
            or self.released
            or self.returned
        )

    def freeze(self, lane: LaneKey, number: int) -> Batch:
        """The batch as the store takes it."""
        return Batch(
            lane=lane,
            number=number,
            creates=self.creates,
            turns=self.turns,
            messages=self.messages,
            activities=self.activities,
            finished=self.finished,
            parked=[park for park, _ in self.parked],
            released=[(instance.instance_id, busy) for instance, busy in self.released],
            returned=self.returned,
        )

    def client_part(self) -> PendingBatch:
        """What clients asked for, without what only the lost lane could write."""
        rest = PendingBatch()
        for create, created in zip(self.creates, self.create_futures, strict=True):
            if created is not None:
                rest.creates.append(create)
                rest.create_futures.append(created)
        for message, sent in zip(self.messages, self.message_futures, strict=True):
            if sent is not None:
                rest.messages.append(message)
                rest.message_futures.append(sent)
        return rest

    def prepend(self, earlier: PendingBatch) -> None:
        """Put the client part of an earlier batch in front of this one."""
        self.creates[:0] = earlier.creates
        self.create_futures[:0] = earlier.create_futures
        self.messages[:0] = earlier.messages
        self.message_futures[:0] = earlier.message_futures

    def fail_clients(self, error: BaseException) -> None:
        """Tell every waiting client that its request was not carried out."""
        for future in (*self.create_futures, *self.message_futures):
            if future is not None and not future.done():
                future.set_exception(error)
