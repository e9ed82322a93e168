"""Running one activity: what it is called with, and what becomes of its outcome."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from durabletask.backend.workitem import ActivityResult
from durabletask.engine.failure import failure_of
from durabletask.errors import SerializationError
from durabletask.serialization import DEFAULT_CONVERTER
from durabletask.task import ActivityContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durabletask.backend.workitem import ActivityWorkItem
    from durabletask.engine.registry import ActivityRegistration
    from durabletask.serialization import DataConverter

__all__ = [
    "RuntimeActivityContext",
    "activity_arguments",
    "activity_failed",
    "activity_succeeded",
    "run_activity",
]


class RuntimeActivityContext(ActivityContext):
    """The context of one run of an activity."""

    __slots__ = ("_item",)

    def __init__(self, item: ActivityWorkItem) -> None:
        self._item = item

    @property
    def orchestration_id(self) -> str:
        return self._item.instance_id

    @property
    def task_id(self) -> int:
        return self._item.task_id

    @property
    def name(self) -> str:
        return self._item.name

    @property
    def version(self) -> str | None:
        return self._item.version

    @property
    def tags(self) -> Mapping[str, str]:
        return MappingProxyType(self._item.tags or {})

    @property
    def idempotency_key(self) -> str:
        item = self._item
        return f"{item.instance_id}:{item.origin or item.execution_id}:{item.task_id}"


def activity_arguments(
    registration: ActivityRegistration,
    item: ActivityWorkItem,
    converter: DataConverter = DEFAULT_CONVERTER,
) -> tuple[Any, ...]:
    """What to call ``registration.function`` with: ``(ctx,)`` or ``(ctx, input)``.

    An absent input leaves the function's default in force, if it has one.

    Raises:
        SerializationError: the input does not fit the annotation.
    """
    context = RuntimeActivityContext(item)
    if not registration.takes_input or (item.input is None and registration.has_default):
        return (context,)
    value = converter.deserialize(
        item.input, registration.input_type, where=registration.input_place
    )
    return (context, value)


def activity_succeeded(
    registration: ActivityRegistration, value: Any, converter: DataConverter = DEFAULT_CONVERTER
) -> ActivityResult:
    """The outcome of an activity that returned ``value``: a failure if that has no text form."""
    try:
        return ActivityResult(converter.serialize(value, where=registration.result_place))
    except Exception as error:
        return activity_failed(error)


def activity_failed(error: BaseException) -> ActivityResult:
    """The outcome of an activity that raised ``error``.

    A payload that cannot be read or written will not be the next time either, so no retry policy
    tries that again.
    """
    hopeless = isinstance(error, SerializationError)
    return ActivityResult(failure=failure_of(error, non_retriable=hopeless))


def run_activity(
    registration: ActivityRegistration,
    item: ActivityWorkItem,
    converter: DataConverter = DEFAULT_CONVERTER,
) -> ActivityResult:
    """Run an ordinary function, in whatever thread this is called, from payload to outcome.

    Raises:
        KeyboardInterrupt: everything else the function raises becomes a failure.
    """
    try:
        value = registration.function(*activity_arguments(registration, item, converter))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return activity_failed(error)
    return activity_succeeded(registration, value, converter)
