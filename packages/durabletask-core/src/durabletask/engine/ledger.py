"""What an execution has asked for, what it still waits for, and what its clock says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from durabletask.actions import Action, ApplyPatch, CreateTimer
from durabletask.engine.call import ActivityCall, ChildCall, EntityCall
from durabletask.engine.critical_section import CriticalSection
from durabletask.engine.external_events import ExternalEvents
from durabletask.history import HistoryEvent, PatchApplied
from durabletask.serialization import DataConverter

if TYPE_CHECKING:
    from durabletask.task._tasks import EventTask, TimerTask

__all__ = ["Ledger"]


class Ledger(msgspec.Struct, eq=False):
    """The state that the context writes and the event handlers settle.

    Attributes:
        number: number of the latest scheduling call.
        now: clock of this turn, microseconds.
        now_datetime: the same as a datetime once somebody has asked, else None.
        replaying: committed events are applied.
        careful: serialize while replaying too, because the fast way did not fit the history.
        rewound: something that was asked for before may be asked for again.
        closed: calls do nothing any more.
        muted: loggers are silent for good.
        actions: what this live turn asks for, by number, in order.
        unconfirmed: what this replayed turn has asked for and its history has yet to confirm. One
            turn is replayed or live as a whole, so only one of these two is ever filled.
        activities, children, timers: who waits for the completion of which number.
        operations: likewise, for calls of entities; None if there were none yet, as mostly.
        section: the critical section that is asked for or held, if there is one.
        patches: the answers that ``is_patched`` has given, by id, once there are any.
        replayed: the history that is being replayed.
        applied: ids of the patches that it has recorded, once somebody has asked for one.
        external: the events and who waits for them, once there are any; see ``events``.
        custom_status: JSON text or None if set in this turn.
    """

    converter: DataConverter
    careful: bool = False
    number: int = 0
    now: int = 0
    now_datetime: datetime | None = None
    replaying: bool = True
    rewound: bool = False
    closed: bool = False
    muted: bool = False
    actions: dict[int, Action] = {}
    unconfirmed: dict[int, Any] = {}
    activities: dict[int, ActivityCall] = {}
    children: dict[int, ChildCall] = {}
    timers: dict[int, Any] = {}
    operations: dict[int, EntityCall] | None = None
    section: CriticalSection | None = None
    patches: dict[str, bool] | None = None
    replayed: Sequence[HistoryEvent] = ()
    applied: frozenset[str] | None = None
    external: ExternalEvents | None = None
    custom_status: str | UnsetType | None = UNSET

    @property
    def events(self) -> ExternalEvents:
        """External events and the waits for them. Made when first asked for: most have none."""
        if self.external is None:
            self.external = ExternalEvents()
        return self.external

    def start_timer(self, number: int, timer: Any, fire_at: int) -> None:
        """Ask for a timer; ``timer`` is what its firing settles."""
        self.timers[number] = timer
        if self.replaying:
            self.unconfirmed[number] = timer
        else:
            self.actions[number] = CreateTimer(number, fire_at)

    def ask_for_patch(self, patch_id: str) -> bool:
        """Rule *patch*: the answer to the first question of this execution holds for all of them.

        In a live turn it is yes, which history then records; in one that is replayed it is what
        history has recorded anywhere. So a question that old code did not ask, in a turn that old
        code has made, is answered no, here and in every later turn.
        """
        if self.patches is None or self.applied is None:
            self.patches = {}
            # All of it: a question may have been asked in a later turn than it is now.
            self.applied = frozenset(
                event.patch_id for event in self.replayed if isinstance(event, PatchApplied)
            )
        answer = self.patches.get(patch_id)
        if answer is None and not self.closed:
            is_new = patch_id not in self.applied
            answer = self.patches[patch_id] = not (is_new and self.replaying)
            if is_new and answer:
                # Calls have the positive numbers.
                self.actions[-len(self.patches)] = ApplyPatch(patch_id)
        return bool(answer)

    def drop_timer(self, number: int) -> None:
        """Forget a timer: unsent in this turn it is never sent, else its firing is ignored."""
        self.timers.pop(number, None)
        self.unconfirmed.pop(number, None)
        self.actions.pop(number, None)

    def withdraw_timer(self, timer: TimerTask) -> None:
        """The author cancelled a timer."""
        self.drop_timer(timer.task_id)

    def withdraw_wait(self, wait: EventTask[Any]) -> None:
        """The author cancelled the wait for an event, or it has timed out."""
        self.events.withdraw(wait)
        if wait._timeout_id is not None:
            self.drop_timer(wait._timeout_id)
