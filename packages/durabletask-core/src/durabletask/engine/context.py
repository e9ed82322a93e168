"""The context that orchestrators get."""

from __future__ import annotations

import logging
import random
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from durabletask.actions import (
    CallEntity,
    CreateSubOrchestration,
    LockEntities,
    ScheduleTask,
    SendEvent,
    SignalEntity,
)
from durabletask.arguments import checked_entity
from durabletask.engine.call import (
    ActivityCall,
    ChildCall,
    EntityCall,
    EventTimeout,
    LockCall,
    SentEvent,
    SentSignal,
)
from durabletask.engine.child import child_id, stem_of
from durabletask.engine.clock import due_at, from_micros
from durabletask.engine.critical_section import CriticalSection, checked_set
from durabletask.engine.delivery import deliver
from durabletask.engine.log import ReplaySafeLogger
from durabletask.engine.retry import Retry
from durabletask.engine.target import ACTIVITIES, ORCHESTRATIONS
from durabletask.errors import ArgumentTypeError
from durabletask.limits import check_instance_id, check_text, checked_tags
from durabletask.task import (
    CompletableTask,
    EntityLockTask,
    EventTask,
    OrchestrationContext,
    RetryPolicy,
    TimerTask,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    from durabletask.backend.capabilities import Capabilities
    from durabletask.engine.ledger import Ledger
    from durabletask.entities import EntityId
    from durabletask.history import ExecutionStarted
    from durabletask.task import Task

__all__ = ["Continuation", "RuntimeContext"]

_LOGGER = logging.getLogger("durabletask.orchestration")


class Continuation:
    """What continue_as_new asked for."""

    __slots__ = ("input", "save_events", "version")

    def __init__(self, input: str | None, save_events: bool, version: str | None) -> None:
        self.input = input
        self.save_events = save_events
        self.version = version


class RuntimeContext(OrchestrationContext):
    """Turns calls into actions while live, and into expectations while replaying."""

    __slots__ = (
        "_capabilities",
        "_child_stem",
        "_default_version",
        "_ledger",
        "_logger",
        "_random",
        "_started",
        "_uuids",
        "continuation",
    )

    def __init__(
        self,
        ledger: Ledger,
        started: ExecutionStarted,
        default_version: str | None,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._ledger = ledger
        self._started = started
        self._default_version = default_version
        self._capabilities = capabilities
        self._child_stem: str | None = None
        self._logger: ReplaySafeLogger | None = None
        self._random: random.Random | None = None
        self._uuids = 0
        self.continuation: Continuation | None = None

    # --- who and when --------------------------------------------------------------------------

    @property
    def instance_id(self) -> str:
        return self._started.instance_id

    @property
    def execution_id(self) -> str:
        return self._started.execution_id

    @property
    def name(self) -> str:
        return self._started.name

    @property
    def version(self) -> str | None:
        return self._started.version

    @property
    def parent_instance_id(self) -> str | None:
        parent = self._started.parent
        return None if parent is None else parent.instance_id

    @property
    def tags(self) -> Mapping[str, str]:
        return MappingProxyType(self._started.tags or {})

    @property
    def is_replaying(self) -> bool:
        return self._ledger.replaying

    @property
    def current_utc_datetime(self) -> datetime:
        ledger = self._ledger
        if ledger.now_datetime is None:
            ledger.now_datetime = from_micros(ledger.now)
        return ledger.now_datetime

    # --- what can be waited for ----------------------------------------------------------------

    def call_activity(
        self,
        activity: str | Callable[..., Any],
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        return_type: Any = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        try:
            target = ACTIVITIES[activity]
        except (KeyError, TypeError):
            target = ACTIVITIES.resolve(activity)
        if tags is not None:
            tags = checked_tags(tags)
        ledger = self._ledger
        if ledger.closed:
            return CompletableTask()
        # The number is taken even if the input then cannot be serialized: replay, which does not
        # serialize, sees by the gap in history that it has to look closer.
        ledger.number = number = ledger.number + 1
        call = ActivityCall(
            number, target, target.result_type if return_type is None else return_type
        )
        if retry_policy is not None:
            call.retry = _retry(retry_policy, ledger)
        if not ledger.replaying or ledger.careful:
            text = ledger.converter.serialize(input, where=target.input_place)
            action = ScheduleTask(
                number, target.name, text, target.version if version is None else version, tags
            )
            if call.retry is not None:
                call.retry.action = action
            if not ledger.replaying:
                ledger.actions[number] = action
        if ledger.replaying:
            ledger.unconfirmed[number] = call
        ledger.activities[number] = call
        return call

    def call_sub_orchestration(
        self,
        orchestration: str | Callable[..., Any],
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: Any = None,
    ) -> Task[Any]:
        try:
            target = ORCHESTRATIONS[orchestration]
        except (KeyError, TypeError):
            target = ORCHESTRATIONS.resolve(orchestration)
        if instance_id is not None:
            check_instance_id(instance_id, "the instance_id of a sub-orchestration")
        if tags is not None:
            tags = checked_tags(tags)
        ledger = self._ledger
        if ledger.closed:
            return CompletableTask()
        ledger.number = number = ledger.number + 1
        child = self._child_id(number) if instance_id is None else instance_id
        call = ChildCall(
            number, target, target.result_type if return_type is None else return_type, child
        )
        if retry_policy is not None:
            call.retry = _retry(retry_policy, ledger)
        if not ledger.replaying or ledger.careful:
            text = ledger.converter.serialize(input, where=target.input_place)
            if version is None:
                version = self._default_version if target.version is None else target.version
            action = CreateSubOrchestration(
                number, target.name, child, text, version, tags, ledger.rewound
            )
            if call.retry is not None:
                call.retry.action = action
            if not ledger.replaying:
                ledger.actions[number] = action
        if ledger.replaying:
            ledger.unconfirmed[number] = call
        ledger.children[number] = call
        return call

    def create_timer(self, fire_at: timedelta | datetime) -> TimerTask:
        ledger = self._ledger
        due = due_at(fire_at, ledger.now, "create_timer")
        if ledger.closed:
            return TimerTask(_stay, 0)
        ledger.number = number = ledger.number + 1
        timer = TimerTask(ledger.withdraw_timer, number)
        ledger.start_timer(number, timer, due)
        return timer

    def wait_for_external_event(
        self,
        name: str,
        *,
        data_type: Any = None,
        return_type: Any = None,
        timeout: timedelta | None = None,
    ) -> EventTask[Any]:
        check_text(name, "the name of an external event")
        ledger = self._ledger
        due = 0
        if timeout is not None:
            due = due_at(timeout, ledger.now, "the timeout of wait_for_external_event")
        wanted = return_type if data_type is None else data_type
        if ledger.closed:
            return EventTask(_stay, name, wanted)
        wait: EventTask[Any] = EventTask(ledger.withdraw_wait, name, wanted)
        event = ledger.events.take(name)
        if event is not None:
            deliver(ledger, wait, event)
            return wait
        ledger.events.wait(wait)
        if timeout is not None:
            ledger.number = wait._timeout_id = ledger.number + 1
            ledger.start_timer(ledger.number, EventTimeout(wait, timeout), due)
        return wait

    # --- entities ------------------------------------------------------------------------------

    def call_entity(
        self, entity_id: EntityId, operation: str, input: Any = None, *, return_type: Any = None
    ) -> Task[Any]:
        target = checked_entity(entity_id, "call_entity")
        check_text(operation, "the name of an operation")
        ledger = self._ledger
        if ledger.closed:
            return CompletableTask()
        if ledger.section is not None:
            ledger.section.check_call(target)
        ledger.number = number = ledger.number + 1
        call = EntityCall(number, target, operation, return_type)
        if not ledger.replaying or ledger.careful:
            where = f"the input of operation {operation!r} of entity {target!r}"
            text = ledger.converter.serialize(input, where=where)
            if not ledger.replaying:
                ledger.actions[number] = CallEntity(number, target, operation, text)
        if ledger.replaying:
            ledger.unconfirmed[number] = call
        if ledger.section is not None:
            ledger.section.called(target, number)
        if ledger.operations is None:
            ledger.operations = {}
        ledger.operations[number] = call
        return call

    def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: Any = None,
        *,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        target = checked_entity(entity_id, "signal_entity")
        check_text(operation, "the name of an operation")
        ledger = self._ledger
        at: int | None = None
        if signal_time is not None:
            at = due_at(signal_time, ledger.now, "the signal_time of a signal")
        if ledger.closed:
            return
        if ledger.section is not None:
            ledger.section.check_signal(target)
        ledger.number = number = ledger.number + 1
        if not ledger.replaying or ledger.careful:
            where = f"the input of operation {operation!r} of entity {target!r}"
            text = ledger.converter.serialize(input, where=where)
            if not ledger.replaying:
                ledger.actions[number] = SignalEntity(number, target, operation, text, at)
        if ledger.replaying:
            ledger.unconfirmed[number] = SentSignal(target, operation)

    def lock_entities(self, entity_ids: Iterable[EntityId]) -> EntityLockTask:
        entities = checked_set(entity_ids)
        ledger = self._ledger
        if ledger.closed:
            return EntityLockTask()
        if ledger.section is not None:
            ledger.section.refuse_nesting()
        ledger.number = number = ledger.number + 1
        call = LockCall(number, entities)
        ledger.section = CriticalSection(call)
        if ledger.replaying:
            ledger.unconfirmed[number] = call
        else:
            ledger.actions[number] = LockEntities(number, entities)
        return call

    # --- what needs no waiting -----------------------------------------------------------------

    def send_event(self, instance_id: str, event_name: str, *, data: Any = None) -> None:
        check_instance_id(instance_id, "the instance_id that send_event addresses")
        check_text(event_name, "the name of an external event")
        ledger = self._ledger
        if ledger.closed:
            return
        ledger.number = number = ledger.number + 1
        if not ledger.replaying or ledger.careful:
            where = f"the data of event {event_name!r}"
            text = ledger.converter.serialize(data, where=where)
            if not ledger.replaying:
                ledger.actions[number] = SendEvent(number, instance_id, event_name, text)
        if ledger.replaying:
            ledger.unconfirmed[number] = SentEvent(instance_id, event_name)

    def continue_as_new(
        self, new_input: Any, *, save_events: bool = False, new_version: str | None = None
    ) -> None:
        ledger = self._ledger
        if ledger.closed:
            return
        where = f"the new input of orchestration {self.name!r}"
        text = ledger.converter.serialize(new_input, where=where)
        self.continuation = Continuation(text, save_events, new_version)
        ledger.closed = True

    def set_custom_status(self, custom_status: Any) -> None:
        ledger = self._ledger
        if ledger.closed:
            return
        # Serialized while replaying too: a status that cannot be must raise again, and unlike a
        # call it leaves no number behind by which replay could tell.
        where = f"the custom status of orchestration {self.name!r}"
        text = ledger.converter.serialize(custom_status, where=where)
        if not ledger.replaying:
            ledger.custom_status = text

    def is_patched(self, patch_id: str) -> bool:
        check_text(patch_id, "the id of a patch")
        if self._capabilities is not None:
            self._capabilities.require("patches")
        return self._ledger.ask_for_patch(patch_id)

    # --- deterministic chance and quiet logs ---------------------------------------------------

    def new_uuid(self) -> uuid.UUID:
        self._uuids += 1
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{self._seed()}\0{self._uuids}")

    @property
    def random(self) -> random.Random:
        if self._random is None:
            self._random = random.Random(self._seed())
        return self._random

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        if self._logger is None:
            self._logger = self.create_replay_safe_logger(_LOGGER)
        return self._logger

    def create_replay_safe_logger(
        self, logger: logging.Logger | logging.LoggerAdapter[Any]
    ) -> ReplaySafeLogger:
        return ReplaySafeLogger(logger, self._ledger, self._started)

    def _seed(self) -> str:
        return f"{self.instance_id}\0{self.execution_id}"

    def _child_id(self, number: int) -> str:
        if self._child_stem is None:
            self._child_stem = stem_of(self.instance_id, self.execution_id)
        return child_id(self._child_stem, number)


def _retry(policy: RetryPolicy, ledger: Ledger) -> Retry[Any]:
    if not isinstance(policy, RetryPolicy):
        raise ArgumentTypeError(f"retry_policy takes a RetryPolicy, not {type(policy).__name__}")
    return Retry(policy, ledger.now)


def _stay(_: object) -> None:
    """Withdraw nothing: the task was made after the context was closed."""
