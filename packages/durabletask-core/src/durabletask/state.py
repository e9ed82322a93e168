"""What a client sees of an orchestration instance."""

from __future__ import annotations

import builtins
import enum
import sys
from datetime import datetime
from typing import Any

import msgspec

from durabletask.errors import OrchestrationFailedError
from durabletask.serialization import DEFAULT_CONVERTER, DataConverter

__all__ = [
    "FINISHED",
    "FailureDetails",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "ParentInstance",
    "PurgeResult",
]


class OrchestrationStatus(enum.Enum):
    """Life of an instance. COMPLETED, FAILED and TERMINATED are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TERMINATED = "TERMINATED"
    SUSPENDED = "SUSPENDED"

    @property
    def is_finished(self) -> bool:
        """True for COMPLETED, FAILED and TERMINATED."""
        return self in FINISHED


FINISHED = frozenset(
    {
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.TERMINATED,
    }
)


class FailureDetails(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """How something failed, in a form that crosses processes and languages.

    Attributes:
        error_type: fully qualified type, e.g. ``builtins.ValueError``.
        message: text of the exception.
        stack_trace: formatted traceback, or None.
        cause: the failure that caused this one, or None.
        non_retriable: True if no retry policy may try again.
    """

    error_type: str
    message: str
    stack_trace: str | None = None
    cause: FailureDetails | None = None
    non_retriable: bool = False

    def is_caused_by(self, error: type[BaseException] | str) -> bool:
        """Whether this failure or one of its causes is ``error``.

        ``error`` is an exception class (its subclasses match too, as far as they are importable
        names already loaded) or a type name, bare (``"ValueError"``) or fully qualified.
        """
        details: FailureDetails | None = self
        while details is not None:
            if _type_matches(details.error_type, error):
                return True
            details = details.cause
        return False


def _type_matches(recorded: str, error: type[BaseException] | str) -> bool:
    if isinstance(error, str):
        return recorded == error or (
            recorded.rpartition(".")[2] == error.rpartition(".")[2]
            and ("." not in error or "." not in recorded)
        )
    if recorded in (f"{error.__module__}.{error.__qualname__}", error.__qualname__):
        return True
    loaded = _loaded_type(recorded)
    return loaded is not None and issubclass(loaded, error)


def _loaded_type(qualified: str) -> type[BaseException] | None:
    """The exception class of that name if its module is loaded. Never imports anything."""
    parts = qualified.split(".")
    for cut in range(len(parts) - 1, -1, -1):
        module = sys.modules.get(".".join(parts[:cut])) if cut else builtins
        if module is None:
            continue
        found: Any = module
        for name in parts[cut:]:
            found = getattr(found, name, None)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
    return None


class ParentInstance(msgspec.Struct, frozen=True, array_like=True):
    """Where a sub-orchestration reports its outcome.

    Attributes:
        instance_id, execution_id: the waiting parent and its generation.
        task_id: number of the parent's call.
        name: name of the parent orchestration.
    """

    instance_id: str
    execution_id: str
    task_id: int
    name: str = ""


class OrchestrationState(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of one instance.

    ``input``, ``result`` and ``custom_status`` decode the stored JSON on access; use
    ``get_input``, ``get_output`` and ``get_custom_status`` to rebuild a type.

    Attributes:
        parked_reason: why a RUNNING instance is set aside (non-determinism, poison), or None;
            ``resume_orchestration`` releases it.
    """

    instance_id: str
    name: str
    runtime_status: OrchestrationStatus
    created_at: datetime
    last_updated_at: datetime
    completed_at: datetime | None = None
    execution_id: str = ""
    version: str | None = None
    serialized_input: str | None = None
    serialized_output: str | None = None
    serialized_custom_status: str | None = None
    failure_details: FailureDetails | None = None
    parked_reason: str | None = None
    parent_instance_id: str | None = None
    tags: dict[str, str] = {}
    converter: DataConverter = DEFAULT_CONVERTER

    @property
    def input(self) -> Any:
        """The orchestration's input as plain JSON data."""
        return self.get_input()

    @property
    def result(self) -> Any:
        """The orchestration's output as plain JSON data; None unless it completed."""
        return self.get_output()

    @property
    def custom_status(self) -> Any:
        """The custom status as plain JSON data."""
        return self.get_custom_status()

    def get_input(self, type: Any = None) -> Any:
        """The input rebuilt as ``type``. Raises SerializationError if it does not fit."""
        return self._decode(self.serialized_input, type, "input")

    def get_output(self, type: Any = None) -> Any:
        """The output rebuilt as ``type``. Raises SerializationError if it does not fit."""
        return self._decode(self.serialized_output, type, "output")

    def get_custom_status(self, type: Any = None) -> Any:
        """The custom status rebuilt as ``type``. Raises SerializationError if it does not fit."""
        return self._decode(self.serialized_custom_status, type, "custom status")

    def _decode(self, data: str | None, type: Any, what: str) -> Any:
        where = f"the {what} of orchestration {self.instance_id!r}"
        return self.converter.deserialize(data, type, where=where)

    def raise_if_failed(self) -> None:
        """Raise OrchestrationFailedError if the instance FAILED; else do nothing."""
        if self.runtime_status is OrchestrationStatus.FAILED:
            raise OrchestrationFailedError(self.instance_id, self.failure_details)


class OrchestrationQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to list or purge; every given field narrows the answer.

    Attributes:
        statuses: any of these; empty means all.
        name: exact orchestration name.
        instance_id_prefix: ids that begin with this text.
        tags: every given tag must have the given value.
        created_from, created_to: ``from <= created_at < to``, aware UTC.
        completed_from, completed_to: the same of ``completed_at``; only finished ones match.
        page_size: rows per page, 1 to 10,000.
        continuation_token: where the last page ended, opaque.
        fetch_payloads: False leaves input, output and custom status out.
    """

    statuses: frozenset[OrchestrationStatus] = frozenset()
    name: str | None = None
    instance_id_prefix: str | None = None
    tags: dict[str, str] = {}
    created_from: datetime | None = None
    created_to: datetime | None = None
    completed_from: datetime | None = None
    completed_to: datetime | None = None
    page_size: int = 100
    continuation_token: str | None = None
    fetch_payloads: bool = True


class Page(msgspec.Struct, frozen=True):
    """One page of a query, ordered by creation time then id; no token on the last page."""

    items: list[OrchestrationState]
    continuation_token: str | None = None


class PurgeResult(msgspec.Struct, frozen=True):
    """Outcome of a purge: how many instances were deleted."""

    deleted_instance_count: int
