"""Locks of entities on servers that leave it to the worker to give them up.

Our own backends release what an execution holds when it ends. Others do so when they are told, so
the answer that ends an execution has to tell them; the engine does not, for it knows no servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.actions import CompleteOrchestration, ContinueAsNew, UnlockEntity
from durabletask.engine.open_work import follow_locks
from durabletask.engine.runtime_state import apply_actions
from durabletask.grpc.convert import AFTERWARDS
from durabletask.history import EntityLockRequested

if TYPE_CHECKING:
    from durabletask.backend import OrchestrationResult, OrchestrationWorkItem

__all__ = ["with_unlocks"]


def with_unlocks(item: OrchestrationWorkItem, result: OrchestrationResult) -> OrchestrationResult:
    """The outcome of a turn, with all locks given up if it ends the execution.

    Locks are given up by the texts by which they were asked for.
    """
    actions = result.actions
    ends = bool(actions) and isinstance(actions[-1], (CompleteOrchestration, ContinueAsNew))
    if not ends and not any(isinstance(action, UnlockEntity) for action in actions):
        return result
    past = item.token.past or ()
    if ends:
        locks: dict[int, tuple[str, ...]] = {}
        follow_locks(locks, past)
        follow_locks(locks, apply_actions((), actions).events)
        held = [(entity_id, lock_id) for lock_id in locks for entity_id in locks[lock_id]]
        unlocks = [
            UnlockEntity(number, entity_id, lock_id)
            for number, (entity_id, lock_id) in enumerate(held, AFTERWARDS)
        ]
        actions = [*actions[:-1], *unlocks, actions[-1]]
    asked = {e.task_id: e.request_id for e in past if isinstance(e, EntityLockRequested)}
    actions = [
        msgspec.structs.replace(action, request_id=asked.get(action.lock_id))
        if isinstance(action, UnlockEntity)
        else action
        for action in actions
    ]
    return msgspec.structs.replace(result, actions=actions)
