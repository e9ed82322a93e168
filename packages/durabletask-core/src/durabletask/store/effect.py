"""What a turn sets free once it is durable."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from durabletask.engine.runtime_state import TurnOutcome
from durabletask.history import TaskScheduled
from durabletask.state import OrchestrationStatus
from durabletask.store.batch import Turn
from durabletask.store.instance import OwnedInstance

__all__ = ["TurnEffect"]


class TurnEffect(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A turn on its way to the store, with what is to happen when it is there.

    Attributes:
        local: activities this lane will run itself; the others are in the shared queue.
        status, custom_status: of the instance after the turn; UNSET leaves the custom status.
    """

    instance: OwnedInstance
    turn: Turn
    outcome: TurnOutcome
    local: Sequence[TaskScheduled]
    status: OrchestrationStatus
    custom_status: str | msgspec.UnsetType | None
