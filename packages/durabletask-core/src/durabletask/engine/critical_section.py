"""The rules of a critical section, as an orchestration in it has to keep them.

Rule *entity-lock*: locks are taken in sorted order and do not nest; while one is held only its own
entities are called, one call at a time each. The order keeps orchestrations from waiting for each
other in a ring; the other rules keep an orchestration from waiting for itself, and from changing
behind its own back what it has locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask.actions import UnlockEntity
from durabletask.arguments import checked_entity
from durabletask.engine.call import LockCall, SentUnlock
from durabletask.errors import ArgumentTypeError, EntityLockError, InvalidRequestError
from durabletask.task import EntityLock
from durabletask.task._tasks import COMPLETED

if TYPE_CHECKING:
    from durabletask.engine.ledger import Ledger

__all__ = ["CriticalSection", "checked_set"]


def checked_set(entity_ids: object) -> tuple[str, ...]:
    """The entities of a lock as texts, sorted and each of them once.

    Raises:
        ArgumentTypeError, InvalidRequestError: they are no EntityIds, or there is none.
    """
    if isinstance(entity_ids, str):
        raise ArgumentTypeError("lock_entities takes several EntityIds, not a text")
    try:
        given = list(entity_ids)  # type: ignore[call-overload]
    except TypeError:
        raise ArgumentTypeError(
            f"lock_entities takes several EntityIds, not {type(entity_ids).__name__}: write "
            "lock_entities([a, b])"
        ) from None
    entities = {checked_entity(entity_id, "lock_entities") for entity_id in given}
    if not entities:
        raise InvalidRequestError("lock_entities needs at least one entity")
    return tuple(sorted(entities))


class CriticalSection:
    """One lock, from the request to the release.

    Attributes:
        entities: sorted.
    """

    __slots__ = ("_calls", "_is_held", "_request", "entities")

    def __init__(self, request: LockCall) -> None:
        self.entities = request.entities
        self._request = request
        self._is_held = False
        self._calls: dict[str, int] = {}

    def grant(self, ledger: Ledger, lock_id: int) -> bool:
        """All entities of this request are held from now on; False if it is not the one."""
        if self._is_held or self._request.task_id != lock_id:
            return False
        self._is_held = True
        self._request._settle(COMPLETED, EntityLock(lambda: self._leave(ledger)))
        return True

    def _leave(self, ledger: Ledger) -> None:
        """Give the entities up, each by a message of its own."""
        if ledger.closed or ledger.section is not self:
            return
        ledger.section = None
        for entity_id in self.entities:
            ledger.number = number = ledger.number + 1
            if ledger.replaying:
                ledger.unconfirmed[number] = SentUnlock(entity_id)
            else:
                ledger.actions[number] = UnlockEntity(number, entity_id, self._request.task_id)

    # --- the rules -----------------------------------------------------------------------------

    def refuse_nesting(self) -> None:
        """Raise, because there is a lock already."""
        held = "holds" if self._is_held else "has asked for"
        raise EntityLockError(
            f"the orchestration {held} the lock of {', '.join(self.entities)} already; locks do "
            "not nest, so ask for all entities at once, or leave the section first"
        )

    def check_call(self, entity_id: str) -> None:
        """Raise unless the entity may be called now."""
        if not self._is_held:
            return
        if entity_id not in self.entities:
            raise EntityLockError(
                f"the orchestration has locked {', '.join(self.entities)} and cannot call "
                f"{entity_id!r} meanwhile: that might wait for somebody who waits for the lock. "
                "Lock it as well, signal it, or leave the section first"
            )
        if entity_id in self._calls:
            raise EntityLockError(
                f"call #{self._calls[entity_id]} of the locked entity {entity_id!r} is still under "
                "way: wait for it first"
            )

    def check_signal(self, entity_id: str) -> None:
        """Raise unless the entity may be signalled now."""
        if self._is_held and entity_id in self.entities:
            raise EntityLockError(
                f"the entity {entity_id!r} is locked by this orchestration, so a signal would wait "
                "for the release: call it instead"
            )

    def called(self, entity_id: str, number: int) -> None:
        """A call is under way."""
        if self._is_held:
            self._calls[entity_id] = number

    def answered(self, entity_id: str, number: int) -> None:
        """That call has its outcome."""
        if self._calls.get(entity_id) == number:
            del self._calls[entity_id]
