"""Seam 2: storage backends, and the machinery they all share."""

from durabletask.store.api import Store
from durabletask.store.backend import StoreBackend
from durabletask.store.batch import (
    FINISHED_STATUSES,
    ActivityRow,
    Batch,
    CommitResult,
    FinishedActivity,
    InstanceUpdate,
    LaneKey,
    Message,
    NewInstance,
    NextExecution,
    Park,
    RewoundInstance,
    Turn,
)
from durabletask.store.lone import LoneTurn, lone_turn
from durabletask.store.options import StoreOptions
from durabletask.store.pace import QUICK_SECONDS, SMALL, Pace, is_small
from durabletask.store.record import (
    ClaimedActivity,
    ClaimedInstance,
    InboxMessage,
    InstanceRecord,
    Interest,
    LaneOptions,
    LaneStanding,
    Unclaimed,
    Work,
)
from durabletask.store.vigil import Vigil, give_way

__all__ = [
    "FINISHED_STATUSES",
    "QUICK_SECONDS",
    "SMALL",
    "ActivityRow",
    "Batch",
    "ClaimedActivity",
    "ClaimedInstance",
    "CommitResult",
    "FinishedActivity",
    "InboxMessage",
    "InstanceRecord",
    "InstanceUpdate",
    "Interest",
    "LaneKey",
    "LaneOptions",
    "LaneStanding",
    "LoneTurn",
    "Message",
    "NewInstance",
    "NextExecution",
    "Pace",
    "Park",
    "RewoundInstance",
    "Store",
    "StoreBackend",
    "StoreOptions",
    "Turn",
    "Unclaimed",
    "Vigil",
    "Work",
    "give_way",
    "is_small",
    "lone_turn",
]
